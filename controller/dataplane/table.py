"""What a table of the pipeline declares, the fields that several match, and the tables in which one side judges."""

from __future__ import annotations

from dataclasses import dataclass

from controller.dataplane.registers import FLOOD_CHUNK, PRECEDENCE, RULE, SOURCE_PATH, TARGET_PATH


@dataclass(frozen=True, slots=True)
class Table:
    id: int
    name: str
    purpose: str
    matches: frozenset[str]  # fields an entry may match
    goes_to: tuple[str, ...]  # tables an entry may continue in, by goto, resubmit or conntrack
    on_miss: str = "drop"


IP = frozenset({"eth_type", "ip_proto", "ip_frag", "ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst"})
ICMP = frozenset({"icmpv4_type", "icmpv4_code", "icmpv6_type", "icmpv6_code"})
L4 = ICMP | {"tcp_src", "tcp_dst", "udp_src", "udp_dst", "sctp_src", "sctp_dst"}
CT = frozenset(
    {"ct_state", "ct_nw_proto", "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst", "ct_tp_src", "ct_tp_dst"}
)
_PATH_OF = {"egress": frozenset(SOURCE_PATH), "ingress": frozenset(TARGET_PATH)}


def judging(direction: str, first_id: int, judge: str, vif: str) -> tuple[Table, Table, Table, Table, Table]:
    """The five tables in which one side judges. Each rule is found once for all VIFs, and acts for each VIF apart."""
    names = [f"{direction}_{part}" for part in ("policy", "audit", "verdict", "packets", "commit")]
    onwards = {"egress": "egress_meter", "ingress": "mark"}[direction]
    finds = _PATH_OF[direction] | {vif, "conj_id", PRECEDENCE} | IP | L4 | CT
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
