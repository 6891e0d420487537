"""The random policy sets and packets of the laws: right, readable, and telling something; their frames are whole."""

from __future__ import annotations

import struct
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policies.endpoints_meaning import is_in_any
from policies.model import Direction, Endpoint, Rule
from policies.parser import parse
from policies.resolve import resolve
from policies.semantics import Delivery, Packet, deliver, walk
from tests.support.frames import ICMP, ICMP6, SCTP, SYN, TCP, UDP, checksum, icmp6, transport
from tests.support.parties_and_packets import icmp, packet, sctp, tcp, udp
from tests.support.random_packets import (
    ANSWER,
    Trip,
    crc32c,
    error,
    flood_mac,
    floods,
    fragments,
    frame,
    reply,
    tagged,
    trips,
)
from tests.support.random_policies import HERE, OFFICE, Case, cases, changes, interfaces, mac

KEYS = ("networks", "user", "group", "app", "policy", "vif", "segment", "labels")
MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"
the_same = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def seen(delivery: Delivery) -> set[str]:
    """What a delivery is an example of."""
    found = {"passes" if delivery.passes else "dropped"}
    for verdict in (delivery.egress, delivery.ingress):
        if verdict is not None:
            traits = {
                "unmatched": verdict.rule is None,
                "rule": verdict.rule is not None,
                "audited": verdict.audited,
                "marked": verdict.mark is not None,
                "limited": verdict.limit_kbps,
                "paced": verdict.packets_pps,
                "logged": verdict.log,
                "class": verdict.traffic_class != "normal",
            }
            found |= {verdict.action.value, *(trait for trait, holds in traits.items() if holds)}
            found |= narrowed_by(verdict.rule) if verdict.rule is not None else set()
    return found


def narrowed_by(rule: Rule) -> set[str]:
    endpoints: list[Endpoint] = [*(rule.sources or ()), *(rule.destinations or ())]
    kinds = {key for endpoint in endpoints for key in KEYS if getattr(endpoint, key)}
    return kinds | ({"service"} if any(service.protocol is not None for service in rule.services) else set())


def test_they_are_examples_of_all_that_the_language_says() -> None:
    found: Counter[str] = Counter()
    written: set[str] = set()

    @the_same
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        case = data.draw(cases())
        for party in case.parties:
            written.update(*map(narrowed_by, resolve(case.policies, party.policy).rules))
        for trip in data.draw(st.lists(trips(case), min_size=6, max_size=6)):
            found.update(seen(deliver(case.policies, case.identities, trip.sender, trip.receiver, trip.packet, 0)))
            found.update([str(trip.packet.protocol), f"IPv{trip.packet.source.version}"])

    draw()
    assert written == {*KEYS, "service"}
    expected = {"allow", "deny", "reject", "audited", "marked", "limited", "paced", "logged", "class", "IPv4", "IPv6"}
    assert expected | {str(number) for number in (TCP, UDP, ICMP, ICMP6, SCTP)} <= found.keys()
    assert len(found.keys() & written) > 5  # and so decided
    assert found["rule"] > found["unmatched"] and found["passes"] * 5 > found["dropped"]


@the_same
@given(st.data())
def test_a_case_hangs_together(data: st.DataObject) -> None:
    case = data.draw(cases())
    assert case.policies == parse({"policy.yaml": case.text}) and case.text in repr(case)
    for party in case.parties:
        assert case.policies.nodes[party.policy].is_leaf
        assert mac(party).endswith(f"{party.number:02x}") and len(interfaces(party)) == len(party.addresses) - 1
        subnets = case.segments[party.segment].subnets
        assert all(is_in_any(ip_address(text.split("/")[0]), subnets) for text in interfaces(party))
    check_trip(case, data.draw(trips(case)))


def check_trip(case: Case, trip: Trip) -> None:
    ends = [party for party in (trip.sender, trip.receiver) if party is not None]
    assert ends and all(party.name in HERE for party in ends)
    assert len({party.segment for party in ends}) == 1
    assert len(ends) == 2 or ends[0].segment == OFFICE
    assert trip.sender is None or trip.packet.source in trip.sender.addresses
    for direction, party in ((Direction.EGRESS, trip.sender), (Direction.INGRESS, trip.receiver)):
        if party is not None:
            steps = walk(case.policies, case.identities, party, direction, trip.packet)
            rules = resolve(case.policies, party.policy).rules
            assert [step.rule for step in steps if step.rule is not None] == list(rules[: len(steps)])


PACKETS = [
    tcp("10.0.0.1", "10.0.0.2"),
    tcp("fd00::1", "fd00::2"),
    udp("10.0.0.1", "10.0.0.2"),
    udp("fd00::1", "fd00::2"),
    icmp("10.0.0.1", "10.0.0.2", 8),
    icmp("fd00::1", "fd00::2", 128),
    sctp("10.0.0.1", "10.0.0.2", 5000),
    sctp("fd00::1", "fd00::2", 5000),
    packet("10.0.0.1", "10.0.0.2", 47),
    packet("fd00::1", "fd00::2", 47),
]


def of_ip(whole: bytes) -> tuple[bytes, bytes]:
    """Header and payload, without padding."""
    ip = whole[14:]
    if ip[0] >> 4 == 4:
        return ip[:20], ip[20 : struct.unpack("!H", ip[2:4])[0]]
    return ip[:40], ip[40 : 40 + struct.unpack("!H", ip[4:6])[0]]


@pytest.mark.parametrize("seen", PACKETS)
@pytest.mark.parametrize("payload", [b"", b"odd"])
def test_a_frame_has_right_addresses_and_checksums(seen: Packet, payload: bytes) -> None:
    whole = frame(seen, *MACS, dscp=46, payload=payload)
    head, body = of_ip(whole)
    assert len(whole) >= 60 and whole[:6] == b"\2\0\0\0\0\2" and whole[6:12] == b"\2\0\0\0\0\1"
    assert head[-len(seen.source.packed) * 2 :] == seen.source.packed + seen.destination.packed
    if seen.source.version == 4:
        assert checksum(head) == 0 and head[1] >> 2 == 46 and head[9] == seen.protocol
    else:
        assert struct.unpack("!H", head[:2])[0] >> 6 & 0x3F == 46 and head[6] == seen.protocol
    pseudo = head[-len(seen.source.packed) * 2 :] + struct.pack("!II", len(body), seen.protocol)
    if seen.protocol in (TCP, UDP, ICMP6):
        assert checksum(pseudo + body) == 0
    if seen.protocol == ICMP:
        assert checksum(body) == 0
    if seen.protocol == SCTP:
        assert struct.unpack("<I", body[8:12])[0] == crc32c(body[:8] + bytes(4) + body[12:])
    if seen.protocol in (TCP, UDP, SCTP):
        assert struct.unpack("!HH", body[:4]) == (seen.source_port, seen.destination_port)


def test_the_checksums_are_those_that_others_make() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    ends = "fd00::1", "fd00::2"
    assert of_ip(frame(udp(*ends), *MACS, payload=b"weir"))[1] == transport(*ends, UDP, (40000, 53), b"weir")
    ping = of_ip(frame(icmp(*ends, 128), *MACS))[1]
    assert ping == icmp6(*ends, 128, ping[4:])


def test_tcp_flags_and_numbers() -> None:
    _, body = of_ip(frame(tcp("10.0.0.2", "10.0.0.1"), *MACS, tcp=ANSWER))
    assert struct.unpack("!II", body[4:12]) == (5000, 1001) and body[13] == SYN | 16


@pytest.mark.parametrize("seen", [seen for seen in PACKETS if seen.protocol != SCTP])
@pytest.mark.parametrize(("size", "payload"), [(1200, 3000), (1280, 2560), (1280, 100)])
def test_fragments_make_the_packet_again(seen: Packet, size: int, payload: int) -> None:
    whole = frame(seen, *MACS, payload=bytes(range(250)) * (payload // 250 + 1))
    head, body = of_ip(whole)
    parts, again = fragments(whole, size, number=9), b""
    for place, part in enumerate(parts):
        own, carried = of_ip(part)
        if seen.source.version == 4:
            number, field = struct.unpack("!HH", own[4:8])
            offset, more = (field & 0x1FFF) * 8, bool(field & 0x2000)
            assert checksum(own) == 0 and own[8:10] == head[8:10]
        else:
            protocol, _, field, number = struct.unpack("!BBHI", carried[:8])
            offset, more, carried = field & 0xFFF8, bool(field & 1), carried[8:]
            assert (own[6], protocol) == (44, seen.protocol)
        assert (number, offset, more) == (9, place * size, place < len(parts) - 1)
        assert part[:14] == whole[:14] and (len(carried) == size or not more)
        again += carried
    assert again == body and len(parts) == -(-len(body) // size)


def test_a_size_that_no_fragment_can_have() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        fragments(frame(PACKETS[0], *MACS), 1201)


def test_replies() -> None:
    assert reply(tcp("10.0.0.1", "10.0.0.2", 80, 9)) == tcp("10.0.0.2", "10.0.0.1", 9, 80)
    assert reply(icmp("fd00::1", "fd00::2", 128)) == icmp("fd00::2", "fd00::1", 129)
    assert reply(icmp("10.0.0.1", "10.0.0.2", 13)) == icmp("10.0.0.2", "10.0.0.1", 14)
    assert reply(icmp("10.0.0.1", "10.0.0.2", 9)) is None
    assert reply(icmp("10.0.0.1", "10.0.0.2", 8, 1)) is None
    assert reply(packet("10.0.0.1", "10.0.0.2", 47)) == packet("10.0.0.2", "10.0.0.1", 47)


def test_the_trees_are_deep_and_rules_have_names_or_none() -> None:
    found: set[str] = set()

    @the_same
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        case = data.draw(cases())
        found.add(f"{max(party.policy.count('/') for party in case.parties) + 1} levels")
        found.add(f"vlan {case.segments[OFFICE].vlan}")
        for node in case.policies.nodes.values():
            found.update("named" if rule.name else "unnamed" for rule in node.rules)

    draw()
    assert found >= {"1 levels", "2 levels", "3 levels", "5 levels", "vlan None", "vlan 120", "named", "unnamed"}


@the_same
@given(st.data())
def test_a_change_leaves_everyone_where_he_is(data: st.DataObject) -> None:
    before, after = data.draw(changes())
    assert (before.identities, before.parties) == (after.identities, after.parties)
    assert before.policies.nodes.keys() == after.policies.nodes.keys()
    assert {name: one.vlan for name, one in before.segments.items()} == {
        name: one.vlan for name, one in after.segments.items()
    }
    assert after.policies == parse({"policy.yaml": after.text})


@the_same
@given(st.data())
def test_a_flood_goes_to_the_rest_of_its_segment(data: st.DataObject) -> None:
    case = data.draw(cases())
    flood = data.draw(floods(case))
    vifs = [party for party in (flood.sender, *flood.receivers) if party is not None]
    everyone = [party for party in case.parties if party.name in HERE and party.segment == vifs[0].segment]
    assert sorted(party.number for party in vifs) == [party.number for party in everyone]
    assert [flood.sender, *flood.receivers].count(None) == (vifs[0].segment == OFFICE)
    assert int(flood.mac[:2], 16) & 1


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("239.129.2.3", "01:00:5e:01:02:03"),
        ("ff02::1:ff00:1", "33:33:ff:00:00:01"),
        ("10.0.0.255", "ff:ff:ff:ff:ff:ff"),
    ],
)
def test_what_a_flood_is_sent_to(to: str, expected: str) -> None:
    assert flood_mac(ip_address(to)) == expected


@pytest.mark.parametrize("ends", [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_an_error_quotes_what_did_not_arrive(ends: tuple[str, str]) -> None:
    about = frame(udp(*ends), *MACS, payload=b"a payload of some bytes")
    router = ip_address("10.0.0.9" if "." in ends[0] else "fd00::9")
    told = error(about, router)
    head, body = of_ip(told)
    assert told[:12] == about[6:12] + about[:6]
    assert head[-2 * len(router.packed) :] == router.packed + ip_address(ends[0]).packed
    assert body[:2] == (b"\3\1" if router.version == 4 else b"\1\3") and body[4:8] == bytes(4)
    assert about[14:].startswith(body[8:]) and len(body) >= 8 + 28


def test_a_tag() -> None:
    whole = frame(PACKETS[0], *MACS)
    assert tagged(whole, None) == whole
    assert tagged(whole, 120) == whole[:12] + b"\x81\x00\x00\x78" + whole[12:]
