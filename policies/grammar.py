"""The keys and words of the language, as data: what this version keeps, and what it does not keep yet. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The keys of one kind of mapping, or the words of one kind of value.

    built: understood. later: of the language, but not built yet: an error that says so.
    required: must be there, each with an example of how.
    """

    built: tuple[str, ...]
    later: tuple[str, ...] = ()
    required: tuple[tuple[str, str], ...] = ()


DOCUMENT = Vocabulary(
    built=("weir", "segments", "links", "services", "policies"),
    later=("groups", "classes"),
    required=(("weir", "weir: 1"),),
)
SEGMENT = Vocabulary(
    built=("type", "subnets", "uplink", "vlan"),
    later=("gateway", "address", "via"),
    required=(("type", "type: bridged"),),
)
LINK = Vocabulary(built=("capacity", "hosts"), required=(("capacity", "capacity: 10 gbit"),))
SERVICE = Vocabulary(built=("proto", "port", "source_port"), required=(("proto", "proto: tcp"),))
NODE = Vocabulary(
    built=("egress", "ingress", "unmatched", "mandatory", "default", "rules", "children"),
    later=("buffer", "cpu", "queues", "autoscale", "slo", "congestion", "best-effort"),
)
BANDWIDTH = Vocabulary(built=("guarantee", "limit", "weight", "burst"), later=("packets",))
RULE_ACTION = Vocabulary(built=("allow", "deny"), later=("reject",))
RULE = Vocabulary(
    built=("name", "direction", "from", "to", "service"),
    later=("class", "dscp", "limit", "packets", "log", "stage"),
)
ENDPOINT = Vocabulary(built=("cidr",), later=("user", "group", "app", "policy", "vif", "segment", "label"))

VERSION = Vocabulary(built=("1",))
SEGMENT_TYPE = Vocabulary(built=("bridged", "internal"), later=("routed",))
UNMATCHED = Vocabulary(built=("allow", "deny"), later=("reject",))
DIRECTION = Vocabulary(built=("egress", "ingress"))

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}", re.ASCII)
NAME_REMEDY = "Use letters, digits, '.', '_' and '-', at most 63, beginning with a letter, a digit or '_'"

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmp6": 58}
PORT_PROTOCOLS = ("tcp", "udp", "sctp")
ICMP_PROTOCOLS = ("icmp", "icmp6")
SERVICE_WORDS = (*PROTOCOLS, "ip", "any")  # cannot be names of services
