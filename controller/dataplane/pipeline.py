"""The pipeline of a bridge, declared. Order of PIPELINE = order in the switch; `check` refuses an entry outside its table's declaration.

The names go into OVSDB (`Flow_Table.name`), so `ovs-ofctl --names dump-flows` reads well, and docs/pipeline.md is printed from here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    id: int
    name: str
    purpose: str
    matches: frozenset[str]  # fields an entry may match
    goes_to: tuple[str, ...]  # tables an entry may continue in, by goto, resubmit or conntrack
    on_miss: str = "drop"


_IP = frozenset({"eth_type", "ip_proto", "ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst"})
_L4 = frozenset(
    {
        "tcp_src",
        "tcp_dst",
        "udp_src",
        "udp_dst",
        "sctp_src",
        "sctp_dst",
        "icmpv4_type",
        "icmpv4_code",
        "icmpv6_type",
        "icmpv6_code",
    }
)
_CT = frozenset(
    {"ct_state", "ct_nw_proto", "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst", "ct_tp_src", "ct_tp_dst"}
)
_ARP_ND = frozenset(
    {"arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha", "ipv6_nd_target", "ipv6_nd_sll", "ipv6_nd_tll"}
)

CLASSIFY = Table(
    0,
    "classify",
    "which VIF or segment a packet comes from",
    frozenset({"in_port", "vlan_vid"}),
    ("antispoof", "forward"),
)
ANTISPOOF = Table(
    10,
    "antispoof",
    "only the VIF's own MAC and addresses leave it, in Ethernet, IP, ARP and ND",
    frozenset({"reg0", "eth_src", "eth_dst"}) | _IP | _L4 | _ARP_ND,
    ("egress_conntrack", "egress_meter"),
)
EGRESS_CONNTRACK = Table(
    20, "egress_conntrack", "look the connection up in the sender's zone", frozenset({"eth_type"}), ("egress_policy",)
)
EGRESS_POLICY = Table(
    30, "egress_policy", "the sender's node judges", frozenset({"reg4"}) | _IP | _L4 | _CT, ("egress_commit",)
)
EGRESS_COMMIT = Table(
    35,
    "egress_commit",
    "remember a new connection that was allowed",
    frozenset({"ct_state", "eth_type"}),
    ("egress_meter",),
)
EGRESS_METER = Table(40, "egress_meter", "hold a VIF to its egress rate", frozenset({"reg0"}), ("forward",))
FORWARD = Table(
    60,
    "forward",
    "find the receivers in the segment",
    frozenset({"reg0", "reg2", "eth_dst", "in_port"}),
    ("ingress_conntrack", "output"),
)
INGRESS_CONNTRACK = Table(
    70,
    "ingress_conntrack",
    "look the connection up in the receiver's zone",
    frozenset({"reg0", "reg1", "eth_dst"}) | _IP | _L4,
    ("ingress_policy", "output"),
)
INGRESS_POLICY = Table(
    80, "ingress_policy", "the receiver's node judges", frozenset({"reg5"}) | _IP | _L4 | _CT, ("ingress_commit",)
)
INGRESS_COMMIT = Table(
    85, "ingress_commit", "remember a new connection that was allowed", frozenset({"ct_state", "eth_type"}), ("output",)
)
OUTPUT = Table(
    100, "output", "out of the receiver's port, or tagged out of the segment's uplink", frozenset({"reg1", "reg2"}), ()
)

PIPELINE = (
    CLASSIFY,
    ANTISPOOF,
    EGRESS_CONNTRACK,
    EGRESS_POLICY,
    EGRESS_COMMIT,
    EGRESS_METER,
    FORWARD,
    INGRESS_CONNTRACK,
    INGRESS_POLICY,
    INGRESS_COMMIT,
    OUTPUT,
)
