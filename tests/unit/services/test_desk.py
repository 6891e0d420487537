"""What is done for each thing that is asked: who is answered, out of which port, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ryu.lib.packet import arp, ethernet, icmp, icmpv6, ipv4, ipv6, vlan
from ryu.lib.packet.packet import Packet

from controller.dataplane.asks import Ask
from controller.services import ip
from controller.services.desk import Desk, Said
from controller.services.place import Place
from controller.services.questions import OUTSIDE, Question
from controller.services.snoop import Source, Told
from controller.services.terms import terms_of
from tests.support import frames
from tests.unit.services import test_adverts, test_dhcp4, test_dhcp6, test_snoop
from tests.unit.services.places import (
    GATEWAY_MAC,
    INTERNAL,
    INTERNAL_TERMS,
    LEARNING,
    NUMBERS,
    OUTSIDE_MAC,
    ROUTED,
    ROUTED_TERMS,
    UPLINK,
    WAY_OUT_MAC,
    mac_of,
    place,
)

HOST4, HOST6 = ip_address("192.0.2.9"), ip_address("2001:db8::9")
VIA4, VIA6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")


def text(mac: int) -> str:
    return mac.to_bytes(6, "big").hex(":")


def asks(ask: Ask, frame: bytes, vif: int = 1, segment: str = "routed", **more: object) -> Question:
    return Question(ask, vif, NUMBERS[segment], UPLINK if vif == OUTSIDE else 100 + vif, frame, **more)  # type: ignore[arg-type]


def from_vif(destination: str, source: str | None = None, eth_dst: int = GATEWAY_MAC, payload: int = 8) -> bytes:
    """A datagram of VIF 1's."""
    macs = text(mac_of(1)), text(eth_dst)
    data = frames.udp(1000, 2000, b"x" * payload)
    if ":" in destination:
        return frames.ether(*macs, 0x86DD, frames.ipv6(source or "fd01::5", destination, 17, data))
    return frames.ether(*macs, 0x0800, frames.ipv4(source or "10.1.0.5", destination, 17, data))


def read(frame: bytes) -> Packet:
    return Packet(frame)


def said(question: Question, here: Place | None = None) -> Said:
    return Desk(0.0).asked(question, here or place(), 0.0)


def only(answer: Said, port: int) -> Packet:
    ((out, frame),) = answer.frames
    assert out == port
    return read(frame)


def test_a_place_gives_each_vif_its_terms() -> None:
    here = place()
    segment = replace(here.bridge.policies.segments["routed"], dns=(ip_address("10.1.0.53"), ip_address("fd01::53")))
    policies = replace(here.bridge.policies, segments={**here.bridge.policies.segments, "routed": segment})
    assert terms_of(replace(here.bridge, policies=policies), ROUTED, 1) == ROUTED_TERMS
    assert here.terms(INTERNAL) == INTERNAL_TERMS


def test_of_several_addresses_the_first_of_the_first_subnet_is_given() -> None:
    addresses = tuple(map(ip_interface, ("10.0.0.1/8", "10.1.0.9/24", "10.1.0.7/24", "fd99::1/64", "fd01::5/64")))
    terms = terms_of(place().bridge, replace(ROUTED, addresses=addresses), 1)
    assert str(terms.address4) == "10.1.0.7/24"
    assert [str(address.ip) for address in terms.addresses6] == ["fd01::5", "fd99::1"]


@pytest.mark.parametrize(
    ("ask", "frame"),
    [
        (Ask.DHCP4, test_dhcp4.asks(1)),
        (Ask.DHCP6, test_dhcp6.asks(1, (3, test_dhcp6.association()))),
        (Ask.ROUTER_SOLICIT, test_adverts.solicits()),
    ],
)
def test_a_served_vif_is_answered_out_of_its_port(ask: Ask, frame: bytes) -> None:
    assert only(said(asks(ask, frame)), ROUTED.ofport) is not None
    desk = Desk(0.0)
    for vif in (LEARNING.number, 77, OUTSIDE):
        assert desk.asked(asks(ask, frame, vif), place(), 0.0) == Said()
    assert desk.counts == {"asked": 3, "answered": 0, "ignored": 3, "held": 0}


COMPLAINTS4 = {Ask.TTL_EXCEEDED: (11, 0), Ask.NO_ROUTE: (3, 0), Ask.NO_HOST: (3, 1), Ask.TOO_BIG: (3, 4)}
COMPLAINTS6 = {Ask.TTL_EXCEEDED: (3, 0), Ask.NO_ROUTE: (1, 0), Ask.NO_HOST: (1, 3), Ask.TOO_BIG: (2, 0)}


@pytest.mark.parametrize("ask", COMPLAINTS4)
def test_a_sender_is_told_by_its_gateway_what_went_wrong(ask: Ask) -> None:
    packet = only(said(asks(ask, from_vif("10.7.7.7"))), ROUTED.ofport)
    ends, error = packet.get_protocol(ipv4.ipv4), packet.get_protocol(icmp.icmp)
    assert (ends.src, ends.dst, (error.type, error.code)) == ("10.1.0.1", "10.1.0.5", COMPLAINTS4[ask])
    macs = packet.get_protocol(ethernet.ethernet)
    assert (macs.src, macs.dst) == (text(GATEWAY_MAC), text(mac_of(1)))
    packet = only(said(asks(ask, from_vif("fd77::7"))), ROUTED.ofport)
    ends, error = packet.get_protocol(ipv6.ipv6), packet.get_protocol(icmpv6.icmpv6)
    assert (ends.src, ends.dst, (error.type_, error.code)) == ("fd01::1", "fd01::5", COMPLAINTS6[ask])


def test_too_big_says_how_big_it_may_be() -> None:
    ((_, frame),) = said(replace(asks(Ask.TOO_BIG, from_vif("10.7.7.7", payload=1460)), most_bytes=1400)).frames
    assert frame[14 + 20 + 4 : 14 + 20 + 8] == (1400).to_bytes(4, "big") and len(frame) == 14 + 576
    ((_, frame),) = said(replace(asks(Ask.TOO_BIG, from_vif("fd77::7", payload=1460)), most_bytes=1400)).frames
    assert frame[14 + 40 + 4 : 14 + 40 + 8] == (1400).to_bytes(4, "big") and len(frame) == 14 + 1280


@pytest.mark.parametrize(
    "frame",
    [
        from_vif("224.0.0.9"),
        from_vif("255.255.255.255"),
        from_vif("10.7.7.7", source="0.0.0.0"),
        from_vif("10.7.7.7", eth_dst=0xFFFFFFFFFFFF),
        from_vif("ff05::1"),
        frames.ether(text(1), text(2), 0x0800, frames.ipv4("10.1.0.5", "10.7.7.7", 1, frames.icmp(11, 0, bytes(32)))),
        frames.ether(text(1), text(2), 0x0800, frames.ipv4("10.1.0.5", "10.7.7.7", 17, b"later", fragment=9)),
        b"noise",
    ],
)
def test_about_these_nobody_complains(frame: bytes) -> None:
    for ask in COMPLAINTS4:
        assert said(asks(ask, frame)) == Said()


def test_where_no_router_is_nobody_complains() -> None:
    assert said(asks(Ask.NO_ROUTE, from_vif("10.7.7.7"), vif=2, segment="internal")) == Said()


def test_the_outside_is_told_by_the_routers_address_there_with_its_tag() -> None:
    frame = frames.ether(
        text(OUTSIDE_MAC), text(WAY_OUT_MAC), 0x0800, frames.ipv4("192.0.2.9", "10.1.0.77", 17, frames.udp(1, 2))
    )
    packet = only(said(asks(Ask.NO_HOST, frame, OUTSIDE)), UPLINK)
    assert packet.get_protocol(vlan.vlan).vid == 7
    ends, macs = packet.get_protocol(ipv4.ipv4), packet.get_protocol(ethernet.ethernet)
    assert (ends.src, ends.dst, macs.src, macs.dst) == (
        "192.0.2.2", "192.0.2.9", text(WAY_OUT_MAC), text(OUTSIDE_MAC),
    )  # fmt: skip


def arp_reply(address: str, mac: int = OUTSIDE_MAC) -> bytes:
    body = frames.arp(2, text(mac), address, "192.0.2.2", text(WAY_OUT_MAC))
    return frames.ether(text(mac), text(WAY_OUT_MAC), 0x0806, body)


def advert_of(address: str) -> bytes:
    packet = frames.advert(address, "2001:db8::2", address, text(OUTSIDE_MAC))
    return frames.ether(text(OUTSIDE_MAC), text(WAY_OUT_MAC), 0x86DD, packet)


def waits(destination: str, hop: object, **more: object) -> Question:
    return asks(Ask.NEIGHBOUR, from_vif(destination, eth_dst=0), next_hop=hop, **more)


def quiet_desk(here: Place) -> Desk:
    """The routers have been asked for already."""
    desk = Desk(0.0)
    assert len(desk.due(here, 0.0).frames) == 2
    return desk


def test_a_packet_waits_until_its_neighbour_has_answered() -> None:
    here = place()
    desk = quiet_desk(here)
    packet = only(desk.asked(waits("192.0.2.9", HOST4), here, 1.0), UPLINK)
    request = packet.get_protocol(arp.arp)
    assert (request.opcode, request.src_ip, request.dst_ip, request.src_mac) == (
        1, "192.0.2.2", "192.0.2.9", text(WAY_OUT_MAC),
    )  # fmt: skip
    assert packet.get_protocol(ethernet.ethernet).dst == "ff:ff:ff:ff:ff:ff" and packet.get_protocol(vlan.vlan).vid == 7
    assert not desk.asked(waits("192.0.2.9", HOST4), here, 1.1).frames and desk.counts["held"] == 2
    answer = desk.asked(asks(Ask.NEIGHBOUR_ANSWER, arp_reply("192.0.2.9"), OUTSIDE), here, 1.2)
    assert [port for port, _ in answer.frames] == [UPLINK, UPLINK]
    sent = read(answer.frames[0][1])
    macs = sent.get_protocol(ethernet.ethernet)
    assert (macs.src, macs.dst, sent.get_protocol(vlan.vlan).vid) == (text(WAY_OUT_MAC), text(OUTSIDE_MAC), 7)
    assert answer.frames[0][1][18:] == from_vif("192.0.2.9")[14:]
    assert only(desk.asked(waits("192.0.2.9", HOST4), here, 1.3), UPLINK)  # need not wait any more
    assert desk.counts == {"asked": 4, "answered": 3, "ignored": 0, "held": 0}


def test_neighbours_of_ipv6_are_asked_for_by_discovery() -> None:
    here = place()
    desk = quiet_desk(here)
    packet = only(desk.asked(waits("2001:db8::9", HOST6), here, 1.0), UPLINK)
    ends, question = packet.get_protocol(ipv6.ipv6), packet.get_protocol(icmpv6.icmpv6)
    assert (ends.src, ends.dst, question.data.dst) == ("2001:db8::2", "ff02::1:ff00:9", "2001:db8::9")
    assert question.data.option.hw_src == text(WAY_OUT_MAC)
    assert packet.get_protocol(ethernet.ethernet).dst == "33:33:ff:00:00:09"
    assert only(desk.asked(asks(Ask.NEIGHBOUR_ANSWER, advert_of("2001:db8::9"), OUTSIDE), here, 1.1), UPLINK)


def test_a_host_that_does_not_answer_for_the_router_asks_not_in_its_name() -> None:
    here = place(answers=False)
    asked = [read(frame) for _, frame in Desk(0.0).due(here, 0.0).frames]
    assert asked[0].get_protocol(arp.arp).src_ip == "0.0.0.0"
    assert asked[1].get_protocol(ipv6.ipv6).src == "fe80::4aa:bbff:fecc:1234"


def test_after_three_seconds_the_senders_are_told_that_there_is_no_such_host() -> None:
    here = place()
    desk = quiet_desk(here)
    for question in (waits("192.0.2.9", HOST4), waits("2001:db8::9", HOST6)):
        desk.asked(question, here, 1.0)
    assert [len(desk.due(here, second).frames) for second in (1.5, 2.0, 3.0)] == [0, 2, 2]
    errors = [(port, read(frame)) for port, frame in desk.due(here, 4.0).frames]
    assert [port for port, _ in errors] == [ROUTED.ofport] * 2 and desk.counts["held"] == 0
    told = errors[0][1].get_protocol(icmp.icmp)
    assert (told.type, told.code) == (3, 1) and errors[0][1].get_protocol(ipv4.ipv4).src == "10.1.0.1"
    told = errors[1][1].get_protocol(icmpv6.icmpv6)
    assert (told.type_, told.code) == (1, 3) and errors[1][1].get_protocol(ipv6.ipv6).src == "fd01::1"


def test_what_waited_leaves_with_the_dscp_of_its_rule() -> None:
    here = place()
    desk = quiet_desk(here)
    for hop, destination, answer in ((HOST4, "192.0.2.9", arp_reply), (HOST6, "2001:db8::9", advert_of)):
        desk.asked(waits(destination, hop, dscp=46), here, 1.0)
        ((_, frame),) = desk.asked(asks(Ask.NEIGHBOUR_ANSWER, answer(destination), OUTSIDE), here, 1.1).frames
        packet = read(frame)
        if hop.version == 4:
            assert packet.get_protocol(ipv4.ipv4).tos == 46 << 2
            assert ip.checksum_of(frame[18:38]) == b"\0\0"
        else:
            assert packet.get_protocol(ipv6.ipv6).traffic_class == 46 << 2


@pytest.mark.parametrize(
    "question",
    [
        waits("192.0.2.9", None),
        waits("192.0.2.9", HOST4, vif=OUTSIDE),
        waits("192.0.2.9", HOST4, segment="internal"),
        asks(Ask.NEIGHBOUR_ANSWER, b"noise", OUTSIDE),
        asks(Ask.NEIGHBOUR_ANSWER, arp_reply("192.0.2.9", 0), OUTSIDE),
        asks(Ask.NEIGHBOUR_ANSWER, arp_reply("192.0.2.9", 1 << 40), OUTSIDE),
        asks(Ask.LEASE, b"", vif=1),
    ],
)
def test_what_makes_no_sense_is_ignored(question: Question) -> None:
    here = place()
    desk = quiet_desk(here)
    assert desk.asked(question, here, 1.0) == Said() and desk.counts["ignored"] == 1
    assert desk.asked(None, here, 1.0) == Said() and desk.counts["ignored"] == 2


def solicits(target: str, source: str = "fe80::aa:bbff:fecc:1", sll: str | None = None) -> bytes:
    packet = frames.solicit(source, "ff02::1:ff00:1", target, sll)
    return frames.ether(text(mac_of(1)), "33:33:ff:00:00:01", 0x86DD, packet)


@pytest.mark.parametrize(
    ("target", "overrides"), [("fd01::1", True), ("fe80::aa:bbff:fecc:0", True), ("fd01::8", False)]
)
def test_who_asks_for_the_router_or_for_a_vif_of_another_host_gets_the_routers_mac(
    target: str, overrides: bool
) -> None:
    packet = only(said(asks(Ask.NEIGHBOUR_SOLICIT, solicits(target))), ROUTED.ofport)
    ends, answer = packet.get_protocol(ipv6.ipv6), packet.get_protocol(icmpv6.icmpv6).data
    assert (ends.src, ends.dst, ends.hop_limit) == (target, "fe80::aa:bbff:fecc:1", 255)
    assert (answer.dst, answer.option.hw_src, answer.res) == (target, text(GATEWAY_MAC), 0b111 if overrides else 0b110)


def test_who_looks_for_duplicates_is_answered_as_all_are() -> None:
    packet = only(said(asks(Ask.NEIGHBOUR_SOLICIT, solicits("fd01::1", source="::"))), ROUTED.ofport)
    assert packet.get_protocol(ipv6.ipv6).dst == "ff02::1"
    assert packet.get_protocol(icmpv6.icmpv6).data.res == 0b101


@pytest.mark.parametrize("target", ["fd01::5", "fd01::77", "fd02::8", "2001:db8::2"])
def test_for_others_nobody_answers(target: str) -> None:
    assert said(asks(Ask.NEIGHBOUR_SOLICIT, solicits(target))) == Said()


def test_the_outside_finds_the_router_by_the_host_that_answers_for_it() -> None:
    for target, answers, expected in (
        ("2001:db8::2", True, 1),
        ("2001:db8::2", False, 0),
        (str(IPv6Address("fe80::4aa:bbff:fecc:1234")), False, 1),
        ("fd01::1", True, 0),
    ):
        question = asks(Ask.NEIGHBOUR_SOLICIT, solicits(target, source="2001:db8::9"), OUTSIDE)
        assert len(said(question, place(answers)).frames) == expected


def test_what_a_learning_vif_is_told_and_gives_up_is_passed_on() -> None:
    mac = replace(LEARNING, mac=mac_of(1))
    here = place()
    here = Place(replace(here.bridge, vifs=(*here.bridge.vifs[:2], mac)), here.mac)
    lease = asks(Ask.LEASE, test_snoop.answer4(3, o50=test_snoop.OWN.ip.packed), 3, "outside", is_own=False)
    assert said(lease, here).told == ((3, (Told(Source.DHCP4, test_snoop.OWN, 3600),)),)
    release = asks(Ask.LEASE, test_dhcp4.asks(7, ciaddr="10.1.0.5"), 3, "outside")
    assert said(release, here).told == ((3, (Told(Source.DHCP4, None),)),)
    forged = asks(Ask.LEASE, test_snoop.answer4(3, o50=test_snoop.OWN.ip.packed), 3, "outside")
    assert said(forged, here).told == ((3, ()),)


FRAMES = [
    test_dhcp4.asks(1), test_dhcp6.asks(1, (3, test_dhcp6.association())), test_adverts.solicits(),
    from_vif("10.7.7.7"),
    from_vif("fd77::7"), arp_reply("192.0.2.9"), advert_of("2001:db8::9"), solicits("fd01::1"),
]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from(Ask), st.sampled_from([0, 1, 2, 3, 77]), st.sampled_from([0, 1, 2, 3, 99]),
                  st.one_of(st.binary(max_size=100), st.sampled_from(FRAMES)), st.booleans(),
                  st.sampled_from([None, HOST4, HOST6])),
        max_size=8,
    )
)  # fmt: skip
def test_no_series_of_questions_does_harm(questions: list[tuple[Ask, int, int, bytes, bool, object]]) -> None:
    here, desk = place(), Desk(0.0)
    ports = {vif.ofport for vif in here.bridge.vifs} | {UPLINK}
    for turn, (ask, vif, segment, frame, is_own, hop) in enumerate(questions):
        question = Question(ask, vif, segment, UPLINK, frame, is_own, hop)  # type: ignore[arg-type]
        assert {port for port, _ in desk.asked(question, here, float(turn)).frames} <= ports
        assert {port for port, _ in desk.due(here, turn + 0.5).frames} <= ports
    counts = desk.counts
    assert counts["asked"] == len(questions) >= counts["answered"] + counts["ignored"]
