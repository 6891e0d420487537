"""The pipeline of a bridge, declared. Order of PIPELINE = order in the switch.

`check` refuses an entry outside its table's declaration. The names go into OVSDB (`Flow_Table.name`), so that
`ovs-ofctl --names dump-flows` reads well; docs/pipeline.md is printed from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.dataplane.actions import Action, Clone, Conntrack, Controller, Instructions, Resubmit
from controller.dataplane.entries import FlowBody, FlowKey, SwitchState
from controller.dataplane.registers import (
    BOUND,
    EGRESS_DIGEST,
    FLOOD_CHUNK,
    MARK,
    NEXT_HOP4,
    NEXT_HOP6,
    OUTSIDE_PORT,
    PRECEDENCE,
    SEGMENT,
    SOURCE_VIF,
    TARGET_VIF,
)
from controller.dataplane.table import ICMP, IP, L4, judging
from controller.dataplane.table import Table as Table

CLASSIFY = Table(
    0,
    "classify",
    "which VIF or segment a packet comes from; tagged frames from a VIF miss; probes of an uplink's queues end",
    frozenset({"in_port", "vlan_vid", "eth_dst", "eth_type"}),
    ("learning", "antispoof", "router"),
)
LEARNING = Table(
    5,
    "learning",
    "behind which of an uplink's several ports a sender is",
    frozenset({"in_port", SEGMENT, "eth_src"}),
    ("router",),
)
ANTISPOOF = Table(
    10,
    "antispoof",
    "only the VIF's own MAC and addresses leave it, in Ethernet, ARP and IP; answers to the host's probes end",
    frozenset({"reg0", "eth_dst", "eth_src", "arp_op", "arp_spa", "arp_sha", "udp_src", "udp_dst"}) | IP,
    ("host_protocols", "egress_meter"),
)
HOST_PROTOCOLS = Table(
    15,
    "host_protocols",
    "neighbour discovery tells only the truth (but for the link-layer option of a router solicitation, which no switch "
    "can match: so these pass from link-local addresses alone); it, what DHCP clients ask, IGMP and MLD skip the "
    "policy; nothing goes to a DHCP client",
    frozenset({"reg0", "udp_src", "udp_dst", "ipv6_nd_target", "ipv6_nd_sll", "ipv6_nd_tll"}) | IP | ICMP,
    ("egress_conntrack", "egress_meter"),
)
EGRESS_CONNTRACK = Table(
    20,
    "egress_conntrack",
    "look the connection up in the sender's zone",
    frozenset({"eth_type", "ip_proto"}) | ICMP,
    ("egress_source",),
)
EGRESS_SOURCE = Table(
    25,
    "egress_source",
    "whose rules the sender is judged by: the nodes of its policy as they are now",
    frozenset({SOURCE_VIF}),
    ("egress_policy",),
)
EGRESS_POLICY, EGRESS_AUDIT, EGRESS_VERDICT, EGRESS_PACKETS, EGRESS_COMMIT = judging("egress", 30, "sender", SOURCE_VIF)
EGRESS_METER = Table(
    40,
    "egress_meter",
    "hold a VIF to its egress rate; note which rules judged",
    frozenset({SOURCE_VIF, FLOOD_CHUNK}),
    ("egress_bounds", "router"),
)
EGRESS_BOUNDS = Table(
    45,
    "egress_bounds",
    "how many packets a VIF may send, and all below each node above it together; one bound a visit",
    frozenset({SOURCE_VIF, BOUND}),
    ("egress_bounds", "router"),
)
ROUTER = Table(
    50,
    "router",
    "answer for the router's addresses (ARP, neighbour discovery, ping), take what instances ask (DHCP, router "
    "solicitations) and what is to be routed; the rest is forwarded",
    frozenset({SOURCE_VIF, SEGMENT, FLOOD_CHUNK, "eth_dst", "eth_src", "arp_op", "arp_tpa", "arp_spa", "ip_ttl"})
    | frozenset({"udp_src", "udp_dst", "ipv6_nd_target", "ipv6_nd_sll", "ipv6_nd_tll"}) | IP | ICMP,
    ("router", "route", "punt", "forward", "outside", "ingress_conntrack", "mark"),
)  # fmt: skip
ROUTE = Table(
    52,
    "route",
    "answer pings of the router; where a destination is: at a VIF, elsewhere, nowhere; whether it takes so much",
    frozenset({SOURCE_VIF, FLOOD_CHUNK, "eth_src", "ip_ttl", "ct_state", "ct_nw_proto", "ct_tp_src", "ct_tp_dst"})
    | IP
    | L4,
    ("route", "next_hop", "way_out", "forward", "outside", "punt", "mark"),
)
NEXT_HOP = Table(
    54,
    "next_hop",
    "the MACs of neighbours outside, learned from their answers; the switch's own",
    frozenset({SEGMENT, EGRESS_DIGEST, NEXT_HOP4, NEXT_HOP6, "eth_type"}),  # there it is NETWORK
    (),
)
WAY_OUT = Table(
    56,
    "way_out",
    "out of the uplink to the next hop, once its MAC is known",
    frozenset({SEGMENT, "eth_dst"}),
    ("outside", "punt", "mark"),
)
PUNT = Table(
    58,
    "punt",
    "ask the controller, so many packets a second for each VIF",
    frozenset({SOURCE_VIF, PRECEDENCE}),
    (),
)
FORWARD = Table(
    60,
    "forward",
    "find the receivers in the segment",
    frozenset({SOURCE_VIF, SEGMENT, FLOOD_CHUNK, "eth_dst"}),
    ("forward", "outside", "ingress_conntrack", "mark"),
)
OUTSIDE = Table(
    62,
    "outside",
    "which of an uplink's several ports leads to a MAC, learned from its frames; the switch's own",
    frozenset({SEGMENT, "eth_dst"}),
    (),
)
INGRESS_CONNTRACK = Table(
    70,
    "ingress_conntrack",
    "look the connection up in the receiver's zone; what hosts need to work skips the policy",
    frozenset({SOURCE_VIF, TARGET_VIF, SEGMENT, "udp_src", "udp_dst"}) | IP | ICMP,
    ("ingress_current", "ingress_target", "punt", "output"),
)
INGRESS_CURRENT = Table(
    75,
    "ingress_current",
    "what was judged as egress by rules that have changed since is judged anew: both sides judge by one policy",
    frozenset({SOURCE_VIF, EGRESS_DIGEST}),
    ("host_protocols", "ingress_target"),
)
INGRESS_TARGET = Table(
    77,
    "ingress_target",
    "whose rules the receiver is judged by: the nodes of its policy as they are now; what asks no rule goes on",
    frozenset({TARGET_VIF, PRECEDENCE}),
    ("ingress_policy", "mark"),
)
INGRESS_POLICY, INGRESS_AUDIT, INGRESS_VERDICT, INGRESS_PACKETS, INGRESS_COMMIT = judging(
    "ingress", 80, "receiver", TARGET_VIF
)
MARKING = Table(90, "mark", "write the DSCP of the class or rule", frozenset({MARK, "eth_type"}), ("output",))
OUTPUT = Table(
    100,
    "output",
    "out of the receiver's port (queued by class where DPDK polices), or tagged out of the segment's uplink; the first "
    "of the bounds of its packets",
    frozenset({TARGET_VIF, SEGMENT, OUTSIDE_PORT, FLOOD_CHUNK, "eth_type", "ip_dscp"}),
    ("ingress_bounds",),
)
INGRESS_BOUNDS = Table(
    105,
    "ingress_bounds",
    "the other bounds of the receiver's packets, those of the nodes above it too; one bound a visit",
    frozenset({TARGET_VIF, BOUND}),
    ("ingress_bounds",),
)

PIPELINE = (
    CLASSIFY,
    LEARNING,
    ANTISPOOF,
    HOST_PROTOCOLS,
    EGRESS_CONNTRACK,
    EGRESS_SOURCE,
    EGRESS_POLICY,
    EGRESS_AUDIT,
    EGRESS_VERDICT,
    EGRESS_PACKETS,
    EGRESS_COMMIT,
    EGRESS_METER,
    EGRESS_BOUNDS,
    ROUTER,
    ROUTE,
    NEXT_HOP,
    WAY_OUT,
    PUNT,
    FORWARD,
    OUTSIDE,
    INGRESS_CONNTRACK,
    INGRESS_CURRENT,
    INGRESS_TARGET,
    INGRESS_POLICY,
    INGRESS_AUDIT,
    INGRESS_VERDICT,
    INGRESS_PACKETS,
    INGRESS_COMMIT,
    MARKING,
    OUTPUT,
    INGRESS_BOUNDS,
)
BY_ID = {table.id: table for table in PIPELINE}
BY_NAME = {table.name: table for table in PIPELINE}


def check(state: SwitchState) -> list[str]:
    """What in `state` the declaration does not allow, a sentence each; empty when all is well."""
    return [fault for key, body in state.flows.items() for fault in _faults(key, body, state)]


def _faults(key: FlowKey, body: FlowBody, state: SwitchState) -> Iterator[str]:
    table = BY_ID.get(key.table)
    if table is None:
        yield f"{key}: no table has the number {key.table}. Declare it in the pipeline"
        return
    for field, _, _ in key.match.fields:
        if field not in table.matches:
            yield f"{table.name}: {key.match} matches {field}, which is not declared. Declare it or do not match it"
    instructions = body.instructions
    for target in _targets(instructions):
        if target not in [BY_NAME[name].id for name in table.goes_to]:
            name = BY_ID[target].name if target in BY_ID else str(target)
            yield f"{table.name}: {key.match} continues in {name}, which is not declared. Declare it or go elsewhere"
    if instructions.goto is not None and instructions.goto <= key.table:
        yield f"{table.name}: {key.match} goes back to table {instructions.goto}. A goto leads onwards only"
    for meter_id in _meters(instructions):
        if meter_id not in state.meters:
            yield f"{table.name}: {key.match} uses meter {meter_id}, which is missing. Add the meter"


def _meters(instructions: Instructions) -> Iterator[int]:
    if instructions.meter_id is not None:
        yield instructions.meter_id
    yield from (action.meter_id for action in _flat(instructions.apply) if isinstance(action, Controller))


def _targets(instructions: Instructions) -> Iterator[int]:
    if instructions.goto is not None:
        yield instructions.goto
    for action in _flat(instructions.apply):
        if isinstance(action, (Resubmit, Conntrack)) and action.table is not None:
            yield action.table


def _flat(actions: Iterable[Action]) -> Iterator[Action]:
    """Those inside clones too."""
    for action in actions:
        yield action
        if isinstance(action, Clone):
            yield from _flat(action.actions)
