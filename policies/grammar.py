"""The keys and words of the language, as data. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The keys of one kind of mapping, or the words of one kind of value.

    built: all there are. required: must be there, each with an example of how.
    """

    built: tuple[str, ...]
    required: tuple[tuple[str, str], ...] = ()


DOCUMENT = Vocabulary(
    built=("weir", "segments", "links", "services", "groups", "classes", "policies"),
    required=(("weir", "weir: 1"),),
)
SEGMENT = Vocabulary(
    built=("type", "subnets", "gateway", "uplink", "vlan", "address", "via", "dns", "mtu"),
    required=(("type", "type: bridged"),),
)
LINK = Vocabulary(built=("capacity", "hosts"), required=(("capacity", "capacity: 10 gbit"),))
SERVICE = Vocabulary(built=("proto", "port", "source_port"), required=(("proto", "proto: tcp"),))
NODE = Vocabulary(
    built=(
        "egress", "ingress", "unmatched", "mandatory", "default", "rules", "children",
        "buffer", "cpu", "queues", "autoscale", "slo", "congestion", "best-effort",
    )
)  # fmt: skip
BANDWIDTH = Vocabulary(built=("guarantee", "limit", "weight", "burst", "packets"))
SPAN = Vocabulary(built=("min", "max"))
AUTOSCALE = Vocabulary(
    built=("guarantee", "up", "down"),
    required=(
        ("guarantee", "guarantee: {min: 50 mbit, max: 200 mbit}"),
        ("up", "up: 90 % for 5 s"),
        ("down", "down: 40 % for 30 s"),
    ),
)
OBJECTIVES = Vocabulary(built=("latency", "jitter", "loss"))
CONGESTION = Vocabulary(built=("queue", "ecn"))
CLASS = Vocabulary(built=("share", "dscp"), required=(("share", "share: 30 %"),))
RULE_ACTION = Vocabulary(built=("allow", "deny", "reject"))
RULE = Vocabulary(
    built=("name", "direction", "from", "to", "service", "class", "dscp", "limit", "packets", "log", "stage")
)
ENDPOINT = Vocabulary(built=("cidr", "user", "group", "app", "policy", "vif", "segment", "label"))

VERSION = Vocabulary(built=("1",))
SEGMENT_TYPE = Vocabulary(built=("bridged", "routed", "internal"))
LEAF_QUEUE = Vocabulary(built=("fifo", "red", "fq_codel"))
FLAG = Vocabulary(built=("true", "false"))
UNMATCHED = Vocabulary(built=("allow", "deny", "reject"))
DIRECTION = Vocabulary(built=("egress", "ingress"))
STAGE = Vocabulary(built=("audit", "enforce"))

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}", re.ASCII)
NAME_REMEDY = "Use letters, digits, '.', '_' and '-', at most 63, beginning with a letter, a digit or '_'"
LABEL = re.compile(r"[A-Za-z0-9._-]{1,63}", re.ASCII)  # a label's key, or a VIF

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmp6": 58}
PORT_PROTOCOLS = ("tcp", "udp", "sctp")
ICMP_PROTOCOLS = ("icmp", "icmp6")
SERVICE_WORDS = (*PROTOCOLS, "ip", "any")  # cannot be names of services
