"""Tables egress_conntrack, egress_commit, ingress_conntrack, ingress_commit.

Each packet is looked up in the zone of the VIF that judges it; a connection is remembered there once it is allowed.

What connection tracking cannot follow is judged packet by packet: ICMP other than queries and errors, which it would
call invalid.
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.compiler.antispoof import DHCP4_CLIENT, DHCP6_CLIENT, MULTICAST_LISTENER, NEIGHBOUR_DISCOVERY
from controller.compiler.bridge import Bridge
from controller.compiler.flow import Flow, flow, goto, of_table
from controller.dataplane.actions import DROP, Conntrack, Instructions
from controller.dataplane.cookies import CookieKind
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import (
    EGRESS_COMMIT,
    EGRESS_CONNTRACK,
    EGRESS_METER,
    EGRESS_POLICY,
    INGRESS_COMMIT,
    INGRESS_CONNTRACK,
    INGRESS_POLICY,
    OUTPUT,
    Table,
)
from controller.dataplane.protocols import CT_NEW, CT_TRACKED, ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMP6, IGMP
from controller.dataplane.registers import SOURCE_VIF, TARGET_VIF

# Errors, and queries with their replies; type 0 is also what later fragments show.
TRACKED_ICMP = (0, 3, 4, 5, 8, 11, 12, 13, 14, 15, 16)
TRACKED_ICMP6 = (0, 1, 2, 3, 4, 128, 129)
_NEW = CT_NEW | CT_TRACKED


def flows(bridge: Bridge) -> Iterator[Flow]:
    yield from _look_up(EGRESS_CONNTRACK, SOURCE_VIF, EGRESS_POLICY)
    yield from _commit(EGRESS_COMMIT, SOURCE_VIF, EGRESS_METER)
    yield from _unjudged()
    yield from _look_up(INGRESS_CONNTRACK, TARGET_VIF, INGRESS_POLICY)
    yield from _commit(INGRESS_COMMIT, TARGET_VIF, OUTPUT)
    for vif in bridge.vifs:
        back: dict[str, FieldValue] = {"reg0": vif.number, "reg1": vif.number}
        yield flow(INGRESS_CONNTRACK, 300, back, (CookieKind.VIF, vif.number), DROP)


def _look_up(table: Table, zone: str, policy: Table) -> Iterator[Flow]:
    tracked = Instructions(apply=(Conntrack(zone, policy.id),))
    for eth_type in (ETH_IPV4, ETH_IPV6):
        yield flow(table, 10, {"eth_type": eth_type}, of_table(table), tracked)
    for eth_type, protocol, field, types in (
        (ETH_IPV4, ICMP, "icmpv4_type", TRACKED_ICMP),
        (ETH_IPV6, ICMP6, "icmpv6_type", TRACKED_ICMP6),
    ):
        icmp: dict[str, FieldValue] = {"eth_type": eth_type, "ip_proto": protocol}
        yield flow(table, 20, icmp, of_table(table), goto(policy))
        for kind in types:
            yield flow(table, 30, {**icmp, field: kind}, of_table(table), tracked)


def _commit(table: Table, zone: str, onwards: Table) -> Iterator[Flow]:
    yield flow(table, 0, {}, of_table(table), goto(onwards))
    for eth_type in (ETH_IPV4, ETH_IPV6):  # the ct action asks for one or the other
        new: dict[str, FieldValue] = {"ct_state": (_NEW, _NEW), "eth_type": eth_type}
        yield flow(table, 100, new, of_table(table), goto(onwards, Conntrack(zone, commit=True)))


def _unjudged() -> Iterator[Flow]:
    """What reaches a VIF whatever its policy says. DHCP replies only from outside: no VIF can play the server."""
    passing: list[dict[str, FieldValue]] = [{"eth_type": ETH_ARP}, {"eth_type": ETH_IPV4, "ip_proto": IGMP}]
    for kind in (*NEIGHBOUR_DISCOVERY, *MULTICAST_LISTENER):
        passing.append({"eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": kind})
    for client in (DHCP4_CLIENT, DHCP6_CLIENT):
        passing.append({**client, "reg0": 0, "udp_src": client["udp_dst"], "udp_dst": client["udp_src"]})
    for fields in passing:
        yield flow(INGRESS_CONNTRACK, 200, fields, of_table(INGRESS_CONNTRACK), goto(OUTPUT))
