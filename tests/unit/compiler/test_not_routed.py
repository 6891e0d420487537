"""What skips the policy is between neighbours: the router takes none of it to another segment, in or out."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from controller.compiler.compile import compile_bridge
from controller.dataplane.pipeline import check
from tests.support.bridges import GATEWAY_MAC, ROUTER_MAC, UPLINK_OFPORT, Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter, Sent

POLICY = """weir: 1
segments:
  front: {type: routed, subnets: [10.1.0.0/24, 'fd01::/64']}
  rear: {type: routed, subnets: [10.3.0.0/24, 'fd03::/64']}
  edge: {type: routed, subnets: [10.2.0.0/24], uplink: wan, address: [192.0.2.2/24, '2001:db8::2/64'],
         via: [192.0.2.1, '2001:db8::1']}
  back: {type: internal, subnets: [10.9.0.0/24, 'fd09::/64']}
policies: {shut: {}, open: {unmatched: allow}}
"""
FRONT = ("10.1.0.11/24", "fd01::11/64")
REAR = ("10.3.0.22/24", "fd03::22/64")
NEIGHBOUR = 0x0200000000FE
IGMP4 = {"ip_proto": 2}
UDP4 = {"ip_proto": 17, "udp_src": 5, "udp_dst": 6}


def icmp6(kind: int) -> dict[str, int]:
    return {"ip_proto": 58, "icmpv6_type": kind, "icmpv6_code": 0}


def dhcp(source: int, target: int) -> dict[str, int]:
    return {"ip_proto": 17, "udp_src": source, "udp_dst": target}


def ends(source: str, target: str) -> dict[str, int]:
    if ":" in source:
        return {"eth_type": 0x86DD, "ipv6_src": int(IPv6Address(source)), "ipv6_dst": int(IPv6Address(target))}
    return {"eth_type": 0x800, "ipv4_src": int(IPv4Address(source)), "ipv4_dst": int(IPv4Address(target))}


def switch(policy: str = "shut") -> FlowInterpreter:
    """With the next routers outside known to it."""
    state = compile_bridge(bridge(POLICY, Vif(1, policy, FRONT, "front"), Vif(2, policy, REAR, "rear")))
    assert check(state) == []
    made = FlowInterpreter(state)
    told = {"eth_src": NEIGHBOUR, "eth_dst": ROUTER_MAC, "vlan_vid": 0}
    arp = {"eth_type": 0x806, "arp_op": 2, "arp_spa": 0xC0000201, "arp_sha": NEIGHBOUR, "arp_tpa": 0xC0000202}
    made.send(UPLINK_OFPORT, **told, **arp)
    advert = {**ends("2001:db8::1", "2001:db8::2"), **icmp6(136), "ip_ttl": 255}
    made.send(UPLINK_OFPORT, **told, **advert, ipv6_nd_target=int(IPv6Address("2001:db8::1")), ipv6_nd_tll=NEIGHBOUR)
    made.punted.clear()
    return made


def from_vif(made: FlowInterpreter, packet: dict[str, int]) -> list[Sent]:
    return made.send(1, vlan_vid=0, eth_src=0x020000000001, eth_dst=GATEWAY_MAC, ip_ttl=64, **packet)


def from_outside(made: FlowInterpreter, packet: dict[str, int]) -> list[Sent]:
    return made.send(UPLINK_OFPORT, vlan_vid=0, eth_src=NEIGHBOUR, eth_dst=ROUTER_MAC, ip_ttl=64, **packet)


@pytest.mark.parametrize("policy", ["shut", "open"])
@pytest.mark.parametrize("target", ["10.3.0.22", "203.0.113.5", "fd03::22", "2001:db8:ffff::5"])
def test_nothing_that_skips_the_policy_leaves_a_segment(policy: str, target: str) -> None:
    made = switch(policy)
    if ":" not in target:
        some = [ends("10.1.0.11", target) | what for what in (IGMP4, dhcp(68, 67))]
    else:
        some = [ends("fd01::11", target) | icmp6(kind) for kind in (130, 131, 132, 143)]
        whose = {"ipv6_nd_target": int(IPv6Address(target)), "ipv6_nd_sll": 0x020000000001}
        some.append(ends("fd01::11", target) | icmp6(135) | whose)
    assert [from_vif(made, packet) for packet in some] == [[] for _ in some]
    assert made.punted == [], "nobody is told"


@pytest.mark.parametrize("policy", ["shut", "open"])
def test_nothing_that_skips_the_policy_comes_in_from_outside(policy: str) -> None:
    made = switch(policy)
    some = [ends("203.0.113.5", "10.1.0.11") | what for what in (IGMP4, dhcp(67, 68), dhcp(68, 67))]
    six = ends("2001:db8:ffff::5", "fd01::11")
    some += [six | what for what in (*map(icmp6, (130, 131, 132, *range(133, 138), 143)), dhcp(547, 546))]
    assert [from_outside(made, packet) for packet in some] == [[] for _ in some]


def test_the_rest_is_routed_as_it_was() -> None:
    made = switch("open")
    assert [one.port for one in from_vif(made, ends("10.1.0.11", "10.3.0.22") | UDP4)] == [2]
    assert [one.port for one in from_vif(made, ends("fd01::11", "2001:db8:ffff::5") | UDP4)] == [UPLINK_OFPORT]
    assert [one.port for one in from_outside(made, ends("203.0.113.5", "10.1.0.11") | UDP4)] == [1]


@pytest.mark.parametrize(
    ("source", "target"), [("10.9.0.33", "10.1.0.11"), ("10.3.0.22", "10.1.0.11"), ("fd09::33", "fd01::11")]
)
def test_nothing_comes_from_outside_as_if_from_inside(source: str, target: str) -> None:
    """Inside is also what only internal segments have."""
    assert from_outside(switch("open"), ends(source, target) | UDP4) == []
