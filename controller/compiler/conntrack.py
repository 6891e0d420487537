"""Tables egress_conntrack, egress_commit, ingress_conntrack, ingress_commit.

Each packet is looked up in the zone of the VIF that judges it; a connection is remembered there once it is allowed.

What connection tracking cannot follow is judged packet by packet: ICMP other than queries and errors. It calls these
invalid, and they are told apart from what is. They go through it all the same, because only then has each receiver of
a multicast a copy of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from controller.compiler.antispoof import DHCP4_CLIENT, DHCP6_CLIENT, MULTICAST_LISTENER, NEIGHBOUR_DISCOVERY
from controller.compiler.bridge import Bridge, BridgeVif
from controller.compiler.flow import Flow, flow, goto, of_table
from controller.compiler.parts import Part
from controller.dataplane.actions import DROP, Action, Conntrack, Instructions, SetField
from controller.dataplane.cookies import CookieKind
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import (
    EGRESS_COMMIT,
    EGRESS_CONNTRACK,
    EGRESS_METER,
    EGRESS_SOURCE,
    INGRESS_COMMIT,
    INGRESS_CONNTRACK,
    INGRESS_CURRENT,
    INGRESS_TARGET,
    MARKING,
    OUTPUT,
    Table,
)
from controller.dataplane.protocols import CT_NEW, CT_TRACKED, ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMP6, IGMP
from controller.dataplane.registers import PRECEDENCE, SOURCE_VIF, TARGET_VIF, UNJUDGED, UNTRACKED

# What connection tracking follows: errors, and queries with their replies, which it takes for invalid unless their code
# is 0. Type 0 and code 0 are also what later fragments show.
ICMP_ERRORS, ICMP_QUERIES = (3, 4, 5, 11, 12), (0, 8, 13, 14, 15, 16)
ICMP6_ERRORS, ICMP6_QUERIES = (1, 2, 3, 4), (0, 128, 129)
_NEW = CT_NEW | CT_TRACKED


def parts(bridge: Bridge) -> Iterator[Part]:
    yield Part("connections", None, _common)
    for vif in bridge.vifs:
        yield Part(("own packets", vif.number), None, partial(_back, vif))


def _common() -> Iterator[Flow]:
    yield from _look_up(EGRESS_CONNTRACK, SOURCE_VIF, EGRESS_SOURCE)
    yield from _commit(EGRESS_COMMIT, SOURCE_VIF, EGRESS_METER)
    yield from _unjudged()
    yield from _look_up(INGRESS_CONNTRACK, TARGET_VIF, INGRESS_CURRENT)
    yield from _commit(INGRESS_COMMIT, TARGET_VIF, MARKING)


def _back(vif: BridgeVif) -> Iterator[Flow]:
    back: dict[str, FieldValue] = {SOURCE_VIF: vif.number, TARGET_VIF: vif.number}
    yield flow(INGRESS_CONNTRACK, 300, back, (CookieKind.VIF, vif.number), DROP)


def unjudged(*before: Action) -> Instructions:
    """Of an entry in ingress_conntrack for IP that reaches its receiver whatever the policy says.

    It goes through connection tracking all the same: what comes after it is no longer among the 4096 tables that a
    packet may be looked up in, its copies for all receivers together.
    """
    onwards = SetField(PRECEDENCE, UNJUDGED), Conntrack(TARGET_VIF, INGRESS_TARGET.id)
    return Instructions(apply=(*before, *onwards))


def _look_up(table: Table, zone: str, onwards: Table) -> Iterator[Flow]:
    tracked = Instructions(apply=(SetField(PRECEDENCE, 0), Conntrack(zone, onwards.id)))
    untracked = Instructions(apply=(SetField(PRECEDENCE, UNTRACKED), Conntrack(zone, onwards.id)))
    for eth_type in (ETH_IPV4, ETH_IPV6):
        yield flow(table, 10, {"eth_type": eth_type}, of_table(table), tracked)
    for eth_type, protocol, name, errors, queries in (
        (ETH_IPV4, ICMP, "icmpv4", ICMP_ERRORS, ICMP_QUERIES),
        (ETH_IPV6, ICMP6, "icmpv6", ICMP6_ERRORS, ICMP6_QUERIES),
    ):
        icmp: dict[str, FieldValue] = {"eth_type": eth_type, "ip_proto": protocol}
        yield flow(table, 20, icmp, of_table(table), untracked)
        for kind in errors:
            yield flow(table, 30, {**icmp, f"{name}_type": kind}, of_table(table), tracked)
        for kind in queries:
            query = {**icmp, f"{name}_type": kind, f"{name}_code": 0}
            yield flow(table, 30, query, of_table(table), tracked)


def _commit(table: Table, zone: str, onwards: Table) -> Iterator[Flow]:
    yield flow(table, 0, {}, of_table(table), goto(onwards))
    for eth_type in (ETH_IPV4, ETH_IPV6):  # the ct action asks for one or the other
        new: dict[str, FieldValue] = {"ct_state": (_NEW, _NEW), "eth_type": eth_type}
        yield flow(table, 100, new, of_table(table), goto(onwards, Conntrack(zone, commit=True)))


def _unjudged() -> Iterator[Flow]:
    """What reaches a VIF whatever its policy says. DHCP replies only from outside: no VIF can play the server."""
    passing: list[dict[str, FieldValue]] = [{"eth_type": ETH_IPV4, "ip_proto": IGMP}]
    for kind in (*NEIGHBOUR_DISCOVERY, *MULTICAST_LISTENER):
        passing.append({"eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": kind})
    for client in (DHCP4_CLIENT, DHCP6_CLIENT):
        passing.append({**client, SOURCE_VIF: 0, "udp_src": client["udp_dst"], "udp_dst": client["udp_src"]})
    yield flow(INGRESS_CONNTRACK, 200, {"eth_type": ETH_ARP}, of_table(INGRESS_CONNTRACK), goto(OUTPUT))  # unmarked
    for fields in passing:
        yield flow(INGRESS_CONNTRACK, 200, fields, of_table(INGRESS_CONNTRACK), unjudged())
