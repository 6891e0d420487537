"""The policy set as values: what parsing yields and everything else reads. No text, no switch, no clock.

Units: rates kbit/s (int), bursts bytes or seconds, weights float. Networks are `ipaddress` objects.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from policies.wording import one_line

IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where in the sources something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{one_line(self.file)}:{self.line}:{self.column}"


class Direction(str, enum.Enum):
    """Seen from the instance: egress leaves it, ingress reaches it."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Action(str, enum.Enum):
    ALLOW = "allow"
    DENY = "deny"


class SegmentType(str, enum.Enum):
    BRIDGED = "bridged"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Segment:
    """A layer-2 network that VIFs join."""

    name: str
    type: SegmentType
    at: Position
    subnets: tuple[IPNetwork, ...] = ()
    uplink: str | None = None  # of a bridged segment
    vlan: int | None = None  # 1..4094; None: untagged on the uplink


@dataclass(frozen=True, slots=True)
class Link:
    """The capacity of an uplink, on every host that has it or on those named."""

    uplink: str
    capacity_kbps: int
    at: Position
    hosts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A node's numbers in one direction, in bytes of the whole frame without FCS."""

    guarantee_kbps: int = 0
    limit_kbps: int | None = None  # None: no limit of its own
    weight: float = 1.0
    burst_s: float | None = None  # time at the limit; at most one of burst_s and burst_bytes is set
    burst_bytes: int | None = None  # both None: chosen by the enforcement


@dataclass(frozen=True, slots=True)
class ServiceMatch:
    """One protocol with optional ports or ICMP type. All None: every IP packet."""

    protocol: int | None = None  # IP protocol number; icmp6 is 58 and IPv6 only, icmp is 1 and IPv4 only
    ports: tuple[int, int] | None = None  # destination ports, inclusive
    source_ports: tuple[int, int] | None = None  # inclusive
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written. `identity` (node path and name, or a hash of the content) is stable across applies."""

    identity: str
    action: Action
    directions: frozenset[Direction]
    at: Position
    name: str | None = None
    sources: tuple[IPNetwork, ...] | None = None  # `from`; None: any, both families
    destinations: tuple[IPNetwork, ...] | None = None  # `to`; None: any, both families
    services: tuple[ServiceMatch, ...] = (ServiceMatch(),)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree. A leaf has no children and takes VIFs; an inner node bounds everything below it together."""

    path: str  # "acme/web"
    at: Position
    parent: str | None = None
    children: tuple[str, ...] = ()  # paths
    egress: Bandwidth = field(default_factory=Bandwidth)
    ingress: Bandwidth = field(default_factory=Bandwidth)
    unmatched: Action = Action.DENY  # inheritance resolved
    mandatory: tuple[Rule, ...] = ()
    rules: tuple[Rule, ...] = ()
    default: tuple[Rule, ...] = ()

    def bandwidth(self, direction: Direction) -> Bandwidth:
        return self.egress if direction is Direction.EGRESS else self.ingress

    @property
    def is_leaf(self) -> bool:
        return not self.children


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Everything that a set of files says, checked.

    Keys: segment name, uplink name, node path (parents before children).
    """

    segments: Mapping[str, Segment] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
