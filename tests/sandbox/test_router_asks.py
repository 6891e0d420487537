"""What the controller is asked, read from what a real Open vSwitch sends up to the real ryu-manager."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from controller.compiler.compile import compile_bridge
from controller.dataplane.asks import Ask
from controller.dataplane.macs import link_local
from controller.dataplane.text import mac
from controller.services.questions import OUTSIDE, Question, is_question, question
from policies.parser import parse
from tests.support import frames
from tests.support.bridges import GATEWAY_MAC, ROUTER_MAC, UPLINK_OFPORT, Vif, bridge_of
from tests.support.ovs_sandbox import wait_until
from tests.support.probed_switch import BRIDGE, SWITCH, ProbedSwitch, probed_switch

POLICY = """weir: 1
segments:
  edge: {type: routed, subnets: [10.20.0.0/24, 'fd20::/64'], uplink: wan, address: [192.0.2.2/24, '2001:db8::2/64'],
         via: [192.0.2.1, '2001:db8::1']}
  ext: {type: bridged, uplink: wan, vlan: 9}
policies: {open: {unmatched: allow}}
"""
EDGE, EXT = 1, 2  # numbers of the segments
SERVED, LEARNING = Vif(1, "open", ("10.20.0.11/24", "fd20::11/64"), "edge"), Vif(2, "open", (), "ext")
OWN, OTHER = mac(SERVED.mac), mac(LEARNING.mac)
GATEWAY, ROUTER, THERE = mac(GATEWAY_MAC), mac(ROUTER_MAC), "02:00:00:00:ff:ff"
OWN6, OTHER6, THERE6 = (str(ip_address(link_local(own))) for own in (SERVED.mac, LEARNING.mac, 0x02000000FFFF))
ALL = "ff:ff:ff:ff:ff:ff"
ROUTERS6, SERVERS6, NODES6 = "33:33:00:00:00:02", "33:33:00:01:00:02", "33:33:00:00:00:01"
IP, ARP, IPV6 = 0x0800, 0x0806, 0x86DD


@pytest.fixture(scope="module")
def switch() -> Iterator[ProbedSwitch]:
    with probed_switch() as one:
        for number in (2, UPLINK_OFPORT):
            one.ovs.vsctl(
                "add-port", BRIDGE, f"p{number}", "--", "set", "interface", f"p{number}", f"ofport_request={number}"
            )
        bridge = bridge_of(parse({"p.yaml": POLICY}), (SERVED, LEARNING))
        ext = replace(bridge.segments["ext"], learns=True)
        vifs = tuple(replace(vif, is_served=vif.number == SERVED.number) for vif in bridge.vifs)
        one.become(compile_bridge(replace(bridge, vifs=vifs, segments={**bridge.segments, "ext": ext})))
        yield one


def solicit(source: str, destination: str, target: str, sll: str | None, to: str, own: str = OWN) -> bytes:
    return frames.ether(own, to, IPV6, frames.solicit(source, destination, target, sll))


def udp(source: str, destination: str, ports: tuple[int, int], macs: tuple[str, str], vlan: int | None = None) -> bytes:
    version = ip_address(source).version
    datagram = frames.transport(source, destination, frames.UDP, ports, b"weir")
    packet = (frames.ipv4 if version == 4 else frames.ipv6)(source, destination, frames.UDP, datagram)
    return frames.ether(*macs, IP if version == 4 else IPV6, packet, vlan=vlan)


def icmp6(source: str, destination: str, kind: int, macs: tuple[str, str], vlan: int | None = None) -> bytes:
    body = frames.icmp6(source, destination, kind, bytes(12 if kind == 134 else 4))
    return frames.ether(*macs, IPV6, frames.ipv6(source, destination, frames.ICMP6, body), vlan=vlan)


def asked(switch: ProbedSwitch, port: int, frame: bytes) -> Question | None:
    """About a frame that comes in at a port."""
    switch.probe.sent_up()
    switch.ovs.appctl("netdev-dummy/receive", f"p{port}", frame.hex())
    found: list[Question | None] = []

    def read() -> bool:
        for punt in switch.probe.sent_up():
            assert is_question(punt.cookie), punt
            found.append(question(punt.cookie, punt.registers, punt.in_port, punt.frame))
        return bool(found)

    wait_until(read, "the switch asks")
    assert len(found) == 1
    return found[0]


def asks_nothing(switch: ProbedSwitch, port: int, frame: bytes) -> bool:
    """What comes after it on the same way is asked about, and it is not."""
    switch.probe.sent_up()
    switch.ovs.appctl("netdev-dummy/receive", f"p{port}", frame.hex())
    last = lost_at(port)
    switch.ovs.appctl("netdev-dummy/receive", f"p{port}", last.hex())
    found: list[bytes] = []
    wait_until(
        lambda: found.extend(punt.frame for punt in switch.probe.sent_up()) or last in found, "the last is asked"
    )
    return found == [last]


def lost_at(port: int) -> bytes:
    """A packet for nobody."""
    if port == UPLINK_OFPORT:
        return udp("198.51.100.7", "10.20.0.77", (1, 2), (THERE, ROUTER))
    return udp("10.20.0.11", "10.20.0.77", (1, 2), (OWN, GATEWAY))


@pytest.mark.parametrize(
    ("target", "source"), [("fd20::1", OWN6), ("fd20::1", "fd20::11"), (str(ip_address(link_local(GATEWAY_MAC))), OWN6)]
)
def test_a_solicitation_to_many_without_the_askers_mac(switch: ProbedSwitch, target: str, source: str) -> None:
    low = int(ip_address(target)) & 0xFFFFFF
    group = str(ip_address(int(ip_address("ff02::1:ff00:0")) | low))
    frame = solicit(source, group, target, None, f"33:33:ff:{low >> 16:02x}:{low >> 8 & 0xFF:02x}:{low & 0xFF:02x}")
    assert asked(switch, 1, frame) == Question(Ask.NEIGHBOUR_SOLICIT, SERVED.number, EDGE, 1, frame)
    assert asks_nothing(switch, 1, solicit(source, group, target, OWN, "33:33:ff:00:00:01"))
    assert asks_nothing(switch, 1, solicit(source, target, target, None, GATEWAY)), "an entry answers it"


@pytest.mark.parametrize("source", ["::", "2001:db8::9", "fe80::9"])
def test_one_from_outside(switch: ProbedSwitch, source: str) -> None:
    """Also who looks whether an address is taken."""
    frame = solicit(source, "ff02::1:ff00:2", "2001:db8::2", None, "33:33:ff:00:00:02", THERE)
    expected = Question(Ask.NEIGHBOUR_SOLICIT, OUTSIDE, EDGE, UPLINK_OFPORT, frame, is_own=False)
    assert asked(switch, UPLINK_OFPORT, frame) == expected
    elsewhere = solicit(source, "ff02::1:ff00:2", "2001:db8::9", None, "33:33:ff:00:00:02", THERE)
    assert asks_nothing(switch, UPLINK_OFPORT, elsewhere)


@pytest.mark.parametrize(
    ("ask", "frame"),
    [
        (Ask.DHCP4, udp("0.0.0.0", "255.255.255.255", (68, 67), (OWN, ALL))),
        (Ask.DHCP4, udp("10.20.0.11", "10.20.0.1", (68, 67), (OWN, GATEWAY))),
        (Ask.DHCP6, udp(OWN6, "ff02::1:2", (546, 547), (OWN, SERVERS6))),
        (Ask.ROUTER_SOLICIT, icmp6(OWN6, "ff02::2", 133, (OWN, ROUTERS6))),
        (Ask.ROUTER_SOLICIT, icmp6("::", "ff02::2", 133, (OWN, ROUTERS6))),
        (Ask.NO_HOST, udp("10.20.0.11", "10.20.0.77", (1, 2), (OWN, GATEWAY))),
        (Ask.NO_HOST, udp("fd20::11", "fd20::77", (1, 2), (OWN, GATEWAY))),
    ],
)
def test_what_a_vif_asks_whose_addresses_weir_chose(switch: ProbedSwitch, ask: Ask, frame: bytes) -> None:
    assert asked(switch, 1, frame) == Question(ask, SERVED.number, EDGE, 1, frame)


@pytest.mark.parametrize(
    ("destination", "next_hop"),
    [
        ("198.51.100.7", "192.0.2.1"),
        ("192.0.2.77", "192.0.2.77"),
        ("2001:db8:5::7", "2001:db8::1"),
        ("2001:db8::77", "2001:db8::77"),
    ],
)
def test_a_packet_for_a_neighbour_that_is_not_known(switch: ProbedSwitch, destination: str, next_hop: str) -> None:
    source = "10.20.0.11" if "." in destination else "fd20::11"
    found = asked(switch, 1, udp(source, destination, (1, 2), (OWN, GATEWAY)))
    assert found is not None
    assert (found.ask, found.vif, found.segment) == (Ask.NEIGHBOUR, SERVED.number, EDGE)
    assert found.next_hop == ip_address(next_hop)


def test_what_a_neighbour_answers_is_shown(switch: ProbedSwitch) -> None:
    reply = frames.ether(THERE, ROUTER, ARP, frames.arp(2, THERE, "192.0.2.77", "192.0.2.2", ROUTER))
    expected = Question(Ask.NEIGHBOUR_ANSWER, OUTSIDE, EDGE, UPLINK_OFPORT, reply, is_own=False)
    assert asked(switch, UPLINK_OFPORT, reply) == expected
    advert = frames.ether(THERE, ROUTER, IPV6, frames.advert(THERE6, "2001:db8::2", "2001:db8::77", THERE))
    assert asked(switch, UPLINK_OFPORT, advert) == replace(expected, frame=advert)


@pytest.mark.parametrize("ttl", [0, 1])
@pytest.mark.parametrize("inside", [True, False])
def test_a_packet_whose_ttl_is_used_up(switch: ProbedSwitch, ttl: int, inside: bool) -> None:
    macs, source = ((OWN, GATEWAY), "10.20.0.11") if inside else ((THERE, ROUTER), "198.51.100.7")
    frame = bytearray(udp(source, "10.20.0.11" if not inside else "198.51.100.7", (1, 2), macs))
    frame[22], frame[24:26] = ttl, b"\0\0"
    frame[24:26] = frames.checksum(bytes(frame[14:34])).to_bytes(2, "big")
    found = asked(switch, 1 if inside else UPLINK_OFPORT, bytes(frame))
    assert found is not None
    assert (found.ask, found.vif) == (Ask.TTL_EXCEEDED, SERVED.number if inside else OUTSIDE)


@pytest.mark.parametrize(
    "frame",
    [
        udp("10.40.0.1", "255.255.255.255", (67, 68), (THERE, OTHER), vlan=9),
        udp("10.40.0.1", "10.40.0.9", (67, 68), (THERE, OTHER), vlan=9),
        udp(THERE6, OTHER6, (547, 546), (THERE, OTHER), vlan=9),
        icmp6(THERE6, "ff02::1", 134, (THERE, NODES6), vlan=9),
        icmp6(THERE6, OTHER6, 134, (THERE, OTHER), vlan=9),
    ],
)
def test_what_a_server_or_router_tells_a_vif_that_learns_is_shown(switch: ProbedSwitch, frame: bytes) -> None:
    untagged = frame[:12] + frame[16:]
    expected = Question(Ask.LEASE, LEARNING.number, EXT, UPLINK_OFPORT, untagged, is_own=False)
    assert asked(switch, UPLINK_OFPORT, frame) == expected


@pytest.mark.parametrize(
    "frame",
    [
        udp("0.0.0.0", "255.255.255.255", (68, 67), (OTHER, ALL)),
        udp(OTHER6, "ff02::1:2", (546, 547), (OTHER, SERVERS6)),
    ],
)
def test_what_it_says_to_them_itself_is_shown_too(switch: ProbedSwitch, frame: bytes) -> None:
    assert asked(switch, 2, frame) == Question(Ask.LEASE, LEARNING.number, EXT, 2, frame)


def test_a_router_solicitation_of_a_vif_that_learns_goes_outside_alone(switch: ProbedSwitch) -> None:
    switch.probe.sent_up()
    before = tx(switch)
    switch.ovs.appctl("netdev-dummy/receive", "p2", icmp6(OTHER6, "ff02::2", 133, (OTHER, ROUTERS6)).hex())
    wait_until(lambda: tx(switch) == before + 1, "it leaves by the uplink")
    assert switch.probe.sent_up() == []


def tx(switch: ProbedSwitch) -> int:
    return int(switch.probe.counters(SWITCH).ports[UPLINK_OFPORT].tx_packets)


def test_a_flood_of_questions_is_bounded_for_each_vif_apart(switch: ProbedSwitch) -> None:
    """Of 200 at once some 40 come up, and another VIF's come all the same."""
    switch.probe.sent_up()
    frame = udp("10.20.0.11", "10.20.0.78", (1, 2), (OWN, GATEWAY))
    switch.ovs.appctl("netdev-dummy/receive", "p1", *[frame.hex()] * 200)
    other = udp("0.0.0.0", "255.255.255.255", (68, 67), (OTHER, ALL))
    switch.ovs.appctl("netdev-dummy/receive", "p2", other.hex())
    found: list[bytes] = []
    wait_until(lambda: found.extend(p.frame for p in switch.probe.sent_up()) or other in found, "the other's comes")
    assert 1 <= found.count(frame) <= 60
