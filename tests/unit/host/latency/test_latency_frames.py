"""The frames that measure, as they stand on the wire, and the answers to them."""

from ipaddress import ip_address

import pytest

from controller.dataplane.macs import LINK_GROUP, PROBES, link_local
from controller.dataplane.protocols import ETH_IPV6
from controller.host.latency import frames
from controller.host.latency.frames import Note
from tests.support.frames import advert, arp, checksum, ether

V4, V6 = ip_address("10.9.0.7"), ip_address("fd00:9::7")
MAC = 0x0200_0000_0007
HOSTS = frames.host_macs("5a1e37", ["h1", "h2"])
ASKER = "0a:77:65:69:12:34"


def test_a_question_in_ipv4_is_a_probe_of_rfc_5227_with_its_number_in_the_senders_mac() -> None:
    asked = frames.question(0x1234, V4, MAC)
    expected = ether(ASKER, "02:00:00:00:00:07", 0x0806, arp(1, ASKER, "0.0.0.0", "10.9.0.7"))
    assert asked[:42] == expected[:42]
    assert len(asked) == 60
    answer = ether("02:00:00:00:00:07", ASKER, 0x0806, arp(2, "02:00:00:00:00:07", "10.9.0.7", "0.0.0.0", ASKER))
    assert frames.number_answered(answer) == 0x1234
    assert frames.number_answered(answer[:42]) == 0x1234
    assert frames.number_answered(asked) is None  # no answer, though a probe


def test_a_question_in_ipv6_always_has_the_same_sender_so_that_no_instance_remembers_many() -> None:
    one, other = frames.question(1, V6, MAC), frames.question(2, V6, MAC)
    assert one[6:12] == other[6:12] == PROBES[0].to_bytes(6, "big")
    source = ip_address(link_local(PROBES[0]))
    assert one[22:38] == source.packed
    payload = one[54:86]
    assert (
        checksum(source.packed + V6.packed + bytes([0, 0, 0, 32, 0, 0, 0, 58]) + payload) == 0
    )  # as sent: it is right
    answer = ether("02:00:00:00:00:07", "0a:77:65:69:00:00", ETH_IPV6, advert(str(V6), str(source), str(V6), None))
    assert frames.number_answered(answer) == frames.UNNUMBERED


def test_whom_nobody_knows_is_asked_by_his_group() -> None:
    asked = frames.question(1, V6, asker=HOSTS["h1"])
    assert asked[:6].hex(":") == "33:33:ff:00:00:07"
    assert asked[38:54] == ip_address("ff02::1:ff00:7").packed
    assert frames.question(1, V4, asker=HOSTS["h1"])[:6] == b"\xff" * 6


@pytest.mark.parametrize("vlan", [None, 30])
@pytest.mark.parametrize(
    "frame",
    [
        frames.question(0x1234, V4, MAC),
        frames.question(0x1234, V4, asker=HOSTS["h1"]),
        frames.question(0x1234, V6, MAC),
        frames.passer_by_inwards(0x1234, 46),
        frames.passer_by_outwards(0x1234, MAC, V4, 46),
        frames.passer_by_outwards(0x1234, MAC, V6, 46),
        frames.to_peer(0x1234, Note(True, 7, 6, 999), HOSTS["h1"], HOSTS["h2"]),
    ],
)
def test_every_probe_is_known_again_by_its_number_when_the_kernel_gives_it_back(frame: bytes, vlan: int | None) -> None:
    assert frames.number_sent(frames.tagged(frame, vlan)) == 0x1234
    assert frames.number_sent(frame[:33]) is None


def test_a_passer_by_waits_where_the_vifs_frames_of_its_class_do_and_no_bridge_passes_it_on() -> None:
    four, six = (frames.passer_by_outwards(9, MAC, address, 46) for address in (V4, V6))
    assert {four[:6], six[:6]} == {LINK_GROUP.to_bytes(6, "big")}
    assert {four[6:12], six[6:12]} == {MAC.to_bytes(6, "big")}
    assert four[15] >> 2 == 46
    assert int.from_bytes(six[14:16], "big") >> 6 & 63 == 46
    assert (four[26:30], six[22:38]) == (V4.packed, V6.packed)
    assert (four[22], six[21]) == (1, 1)  # hops
    assert checksum(four[14:34]) == 0


def test_what_agents_say_is_read_as_it_was_said_and_nothing_else_is() -> None:
    note = Note(True, 12, 11, 123_456_789)
    said = frames.to_peer(5, note, HOSTS["h1"], HOSTS["h2"])
    assert frames.from_peer(said) == (HOSTS["h1"], note)
    assert frames.number_answered(said) is None
    for other in (said[:20], said.replace(b"weir", b"ward"), frames.question(1, V4, MAC)):
        assert frames.from_peer(other) is None


def test_hosts_have_different_macs_and_all_are_those_of_probes() -> None:
    """1,000 hashes of 16 bits: some of them are the same."""
    names = [f"host{number}" for number in range(1000)]
    macs = frames.host_macs("5a1e37", names)
    assert len(set(macs.values())) == len(names)
    assert {mac & PROBES[1] for mac in macs.values()} == {PROBES[0]}
    assert PROBES[0] | frames.UNNUMBERED not in macs.values()
    assert frames.host_macs("5a1e37", reversed(names)) == macs  # every host comes to the same


def test_hosts_of_one_name_in_two_systems_have_different_macs() -> None:
    one, other = (frames.host_macs(system, ["h1"])["h1"] for system in ("5a1e37", "c0ffee"))
    assert one != other
