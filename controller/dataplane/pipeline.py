"""The pipeline of a bridge, declared. Order of PIPELINE = order in the switch.

`check` refuses an entry outside its table's declaration. The names go into OVSDB (`Flow_Table.name`), so that
`ovs-ofctl --names dump-flows` reads well; docs/pipeline.md is printed from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controller.dataplane.actions import Action, Clone, Conntrack, Controller, Instructions, Resubmit
from controller.dataplane.entries import FlowBody, FlowKey, SwitchState
from controller.dataplane.registers import (
    EGRESS_DIGEST,
    FLOOD_CHUNK,
    MARK,
    PRECEDENCE,
    RULE,
    SEGMENT,
    SOURCE_PATH,
    SOURCE_VIF,
    TARGET_PATH,
    TARGET_VIF,
)


@dataclass(frozen=True, slots=True)
class Table:
    id: int
    name: str
    purpose: str
    matches: frozenset[str]  # fields an entry may match
    goes_to: tuple[str, ...]  # tables an entry may continue in, by goto, resubmit or conntrack
    on_miss: str = "drop"


_IP = frozenset({"eth_type", "ip_proto", "ip_frag", "ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst"})
_ICMP = frozenset({"icmpv4_type", "icmpv4_code", "icmpv6_type", "icmpv6_code"})
_L4 = _ICMP | {"tcp_src", "tcp_dst", "udp_src", "udp_dst", "sctp_src", "sctp_dst"}
_CT = frozenset(
    {"ct_state", "ct_nw_proto", "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst", "ct_tp_src", "ct_tp_dst"}
)

CLASSIFY = Table(
    0,
    "classify",
    "which VIF or segment a packet comes from; tagged frames from a VIF miss",
    frozenset({"in_port", "vlan_vid"}),
    ("antispoof", "forward"),
)
ANTISPOOF = Table(
    10,
    "antispoof",
    "only the VIF's own MAC and addresses leave it, in Ethernet, ARP and IP",
    frozenset({"reg0", "eth_src", "eth_type", "arp_op", "arp_spa", "arp_sha", "ipv4_src", "ipv6_src"}),
    ("host_protocols", "egress_meter"),
)
HOST_PROTOCOLS = Table(
    15,
    "host_protocols",
    "neighbour discovery tells only the truth (but for the link-layer option of a router solicitation, which no switch "
    "can match: so these pass from link-local addresses alone); it, DHCP, IGMP and MLD skip the policy",
    frozenset({"reg0", "udp_src", "udp_dst", "ipv6_nd_target", "ipv6_nd_sll", "ipv6_nd_tll"}) | _IP | _ICMP,
    ("egress_conntrack", "egress_meter"),
)
EGRESS_CONNTRACK = Table(
    20,
    "egress_conntrack",
    "look the connection up in the sender's zone",
    frozenset({"eth_type", "ip_proto"}) | _ICMP,
    ("egress_policy",),
)
_PATH_OF = {"egress": frozenset(SOURCE_PATH), "ingress": frozenset(TARGET_PATH)}


def _judging(direction: str, first_id: int, judge: str, vif: str) -> tuple[Table, Table, Table, Table, Table]:
    """The five tables in which one side judges. Each rule is found once for all VIFs, and acts for each VIF apart."""
    names = [f"{direction}_{part}" for part in ("policy", "audit", "verdict", "packets", "commit")]
    onwards = {"egress": "egress_meter", "ingress": "mark"}[direction]
    finds = _PATH_OF[direction] | {vif, "conj_id", PRECEDENCE} | _IP | _L4 | _CT
    return (
        Table(first_id, names[0], f"the {judge}'s rules: find the one that decides", finds, (names[1], names[4])),
        Table(
            first_id + 1,
            names[1],
            "rules under `stage: audit` count what they would have decided",
            finds | {RULE},
            (names[1], names[2]),
        ),
        Table(
            first_id + 2,
            names[2],
            "what the rule does, counted for each rule and VIF: allow with its class and rate, deny, reject, log",
            frozenset({RULE, vif, FLOOD_CHUNK}),
            (names[3], names[4]),
        ),
        Table(first_id + 3, names[3], "a rule's packet rate for a VIF", frozenset({RULE, vif}), (names[4],)),
        Table(
            first_id + 5, names[4], "remember a new connection that was allowed", frozenset({"ct_state", "eth_type"}),
            (onwards,),
        ),
    )  # fmt: skip


EGRESS_POLICY, EGRESS_AUDIT, EGRESS_VERDICT, EGRESS_PACKETS, EGRESS_COMMIT = _judging(
    "egress", 30, "sender", SOURCE_VIF
)
EGRESS_METER = Table(
    40,
    "egress_meter",
    "hold a VIF to its egress rate; note which rules judged",
    frozenset({SOURCE_VIF, FLOOD_CHUNK}),
    ("forward",),
)
FORWARD = Table(
    60,
    "forward",
    "find the receivers in the segment",
    frozenset({SOURCE_VIF, SEGMENT, FLOOD_CHUNK, "eth_dst"}),
    ("forward", "ingress_conntrack", "output", "mark"),
)
INGRESS_CONNTRACK = Table(
    70,
    "ingress_conntrack",
    "look the connection up in the receiver's zone; what hosts need to work skips the policy",
    frozenset({SOURCE_VIF, TARGET_VIF, "udp_src", "udp_dst"}) | _IP | _ICMP,
    ("ingress_current", "mark"),
)
INGRESS_CURRENT = Table(
    75,
    "ingress_current",
    "what was judged as egress by rules that have changed since is judged anew: both sides judge by one policy",
    frozenset({SOURCE_VIF, EGRESS_DIGEST}),
    ("host_protocols", "ingress_policy"),
)
INGRESS_POLICY, INGRESS_AUDIT, INGRESS_VERDICT, INGRESS_PACKETS, INGRESS_COMMIT = _judging(
    "ingress", 80, "receiver", TARGET_VIF
)
MARKING = Table(90, "mark", "write the DSCP of the class or rule", frozenset({MARK, "eth_type"}), ("output",))
OUTPUT = Table(
    100,
    "output",
    "out of the receiver's port, or tagged out of the segment's uplink",
    frozenset({TARGET_VIF, SEGMENT}),
    (),
)

PIPELINE = (
    CLASSIFY,
    ANTISPOOF,
    HOST_PROTOCOLS,
    EGRESS_CONNTRACK,
    EGRESS_POLICY,
    EGRESS_AUDIT,
    EGRESS_VERDICT,
    EGRESS_PACKETS,
    EGRESS_COMMIT,
    EGRESS_METER,
    FORWARD,
    INGRESS_CONNTRACK,
    INGRESS_CURRENT,
    INGRESS_POLICY,
    INGRESS_AUDIT,
    INGRESS_VERDICT,
    INGRESS_PACKETS,
    INGRESS_COMMIT,
    MARKING,
    OUTPUT,
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
