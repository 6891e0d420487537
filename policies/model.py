"""The policy set as values: what parsing yields and everything else reads. No text, no switch, no clock.

Units: rates kbit/s (int), bursts bytes or seconds, weights float. Networks are `ipaddress` objects.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from policies.wording import one_line

IPNetwork = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface

MOST_LEVELS = 8  # of the tree of policies: a packet carries the numbers of so many nodes
NORMAL = "normal"  # the class of what no rule names
DEFAULT_MTU = 1500  # bytes of an IP packet on a segment that says nothing else


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
    REJECT = "reject"


class SegmentType(str, enum.Enum):
    BRIDGED = "bridged"
    INTERNAL = "internal"
    ROUTED = "routed"


class LeafQueue(str, enum.Enum):
    FIFO = "fifo"
    RED = "red"
    FQ_CODEL = "fq_codel"


@dataclass(frozen=True, slots=True)
class Segment:
    """A layer-2 network that VIFs join."""

    name: str
    type: SegmentType
    at: Position
    subnets: tuple[IPNetwork, ...] = ()
    uplink: str | None = None  # of a bridged segment; of a routed one: the router's way out
    vlan: int | None = None  # 1..4094; None: untagged on the uplink
    gateways: tuple[IPAddress, ...] = ()  # of a routed segment, one of each subnet, in the order of the subnets
    addresses: tuple[IPInterface, ...] = ()  # of the router on the uplink
    via: tuple[IPAddress, ...] = ()  # the next routers outside, at most one of each family
    dns: tuple[IPAddress, ...] = ()  # name servers that its instances are told
    mtu: int | None = None  # bytes of an IP packet; None: DEFAULT_MTU

    @property
    def learns(self) -> bool:
        """Whether its VIFs get addresses from outside: Weir has none to give."""
        return self.type is SegmentType.BRIDGED and self.uplink is not None and not self.subnets


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
    packets_pps: int | None = None  # None: no limit in packets


@dataclass(frozen=True, slots=True)
class Span:
    """What a value may be; fixed where both are the same."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """Above (or below) this part of the guarantee in force, for this long."""

    part: float  # 0..1
    for_s: float


@dataclass(frozen=True, slots=True)
class Autoscale:
    guarantee_kbps: Span
    up: Threshold
    down: Threshold


@dataclass(frozen=True, slots=True)
class Objectives:
    latency_s: float | None = None
    jitter_s: float | None = None
    loss: float | None = None  # 0..1


@dataclass(frozen=True, slots=True)
class Congestion:
    queue: LeafQueue = LeafQueue.FIFO
    ecn: bool = False


@dataclass(frozen=True, slots=True)
class ServiceMatch:
    """One protocol with optional ports or ICMP type. All None: every IP packet."""

    protocol: int | None = None  # IP protocol number; icmp6 is 58 and IPv6 only, icmp is 1 and IPv4 only
    ports: tuple[int, int] | None = None  # destination ports, inclusive
    source_ports: tuple[int, int] | None = None  # inclusive
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A name for what applications look like on the network."""

    name: str
    matches: tuple[ServiceMatch, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    users: frozenset[str]
    at: Position


@dataclass(frozen=True, slots=True)
class TrafficClass:
    """share: 0..1, the part of the VIF's rate that the class is guaranteed, and its weight in what others leave."""

    name: str
    share: float
    at: Position
    dscp: int | None = None  # 0..63; None: see policies.classes.code_points


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a rule. What is not None (labels: not empty) must all hold; at least one does. See policies.selector.

    On the own side (`from` of an egress rule, `to` of an ingress rule) it narrows the VIF and its address; on the other
    side it names addresses.
    """

    networks: tuple[IPNetwork, ...] | None = None  # any of them; `cidr`, or an address or prefix written plainly
    user: str | None = None
    group: str | None = None
    app: str | None = None
    policy: str | None = None  # path of a node: all VIFs below it
    vif: str | None = None
    segment: str | None = None
    labels: tuple[tuple[str, str], ...] = ()  # key and value, sorted

    @property
    def is_address(self) -> bool:
        """Whether it names addresses alone, whoever has them."""
        return self == Endpoint(self.networks)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written. `identity` (node path and name, or a hash of the content) is stable across applies."""

    identity: str
    action: Action
    directions: frozenset[Direction]
    at: Position
    name: str | None = None
    sources: tuple[Endpoint, ...] | None = None  # `from`, any of them; None: any, both families
    destinations: tuple[Endpoint, ...] | None = None  # `to`, any of them; None: any, both families
    services: tuple[ServiceMatch, ...] = (ServiceMatch(),)
    service_names: frozenset[str] = frozenset()  # those of `services` in which it was written
    traffic_class: str | None = None
    dscp: int | None = None  # 0..63
    limit_kbps: int | None = None  # of what it passes for one VIF, in each of its directions apart
    packets_pps: int | None = None  # likewise
    log: bool = False
    audit: bool = False  # `stage: audit`: counts what it would have done, and changes nothing


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree. A leaf has no children and takes VIFs; an inner node bounds everything below it together."""

    path: str  # "acme/web"
    at: Position
    parent: str | None = None
    children: tuple[str, ...] = ()  # paths
    egress: Bandwidth = field(default_factory=Bandwidth)
    ingress: Bandwidth = field(default_factory=Bandwidth)
    unmatched: Action = Action.DENY  # inheritance resolved, as of all below up to `best_effort`
    buffer_bytes: Span | None = None
    queues: Span | None = None
    cpu: Span | None = None  # parts of one datapath core
    slo: Objectives | None = None
    congestion: Congestion | None = None
    best_effort: bool = False
    autoscale: Autoscale | None = None  # of this node alone
    mandatory: tuple[Rule, ...] = ()
    rules: tuple[Rule, ...] = ()
    default: tuple[Rule, ...] = ()

    def bandwidth(self, direction: Direction) -> Bandwidth:
        return self.egress if direction is Direction.EGRESS else self.ingress

    @property
    def is_leaf(self) -> bool:
        return not self.children

    @property
    def level(self) -> int:
        """1 for a node of the top, at most MOST_LEVELS."""
        return self.path.count("/") + 1


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Everything that a set of files says, checked.

    Keys: segment name, uplink name, node path (parents before children), names of services, groups, classes (best
    first; NORMAL is always among them).
    """

    segments: Mapping[str, Segment] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    classes: Mapping[str, TrafficClass] = field(default_factory=dict)
