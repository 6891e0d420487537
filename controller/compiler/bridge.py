"""What the compiler is asked: one bridge, the VIFs on it, their segments, the policies they follow. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from controller.compiler.meters import FRAME_KBIT
from controller.dataplane.entries import MeterBody
from policies.identity import Identities
from policies.model import DEFAULT_MTU, PolicySet


@dataclass(frozen=True, slots=True)
class BridgeVif:
    """A VIF whose port exists on this bridge."""

    number: int
    ofport: int
    mac: int  # 48 bits
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    segment: str
    policy: str  # path of its leaf
    egress_meter: MeterBody | None = None  # None: no egress limit
    class_queues: tuple[tuple[int, int], ...] = ()  # (DSCP, queue of its port); what none names goes to queue 0
    cpu_pps: int | None = None  # packets of both directions that its processor time is good for; None: no bound
    is_served: bool = False  # Weir chose its addresses: it may ask the controller for them (DHCP, router solicitation)
    is_shaped: bool = False  # a shaper stands before its egress meter


@dataclass(frozen=True, slots=True)
class Gateway:
    """An address of the router in a routed segment, with its subnet's prefix length."""

    address: IPv4Interface | IPv6Interface
    mac: int  # 48 bits


@dataclass(frozen=True, slots=True)
class WayOut:
    """The router's leg on the uplink of a routed segment. mac: of this host's router there.

    answers: whether this host is the one that answers ARP and ND for `addresses`; the others only forward.
    """

    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    via: tuple[IPv4Address | IPv6Address, ...]  # next routers, at most one of each family
    mac: int
    answers: bool = True


@dataclass(frozen=True, slots=True)
class BridgeSegment:
    """gateways: of a routed segment. way_out: of a routed one with an uplink, which then carries none of its frames.

    uplink_ofports: of its uplink, (): nothing beyond this bridge. Where there are several the bridge is a switch
    between them, as in the middle of a chain.
    """

    number: int
    uplink_ofports: tuple[int, ...] = ()
    vlan: int | None = None
    gateways: tuple[Gateway, ...] = ()
    way_out: WayOut | None = None
    mtu: int = DEFAULT_MTU
    learns: bool = False  # what its VIFs are told from outside (DHCP, router advertisements) is shown to the controller

    @property
    def is_transit(self) -> bool:
        """Whether frames pass through this bridge from one port of the uplink to another."""
        return len(self.uplink_ofports) > 1

    @property
    def is_routed(self) -> bool:
        return bool(self.gateways)

    @property
    def is_way_out(self) -> bool:
        """Whether the router reaches the outside here."""
        return self.way_out is not None and bool(self.uplink_ofports)


@dataclass(frozen=True, slots=True)
class RemoteVif:
    """A VIF of a routed segment on another host, reached through that host's router. transit: name of the segment whose
    way out both hosts have; None: nothing joins them."""

    number: int
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    segment: str
    transit: str | None
    router_mac: int  # of that host's router on the transit


@dataclass(frozen=True, slots=True)
class Bridge:
    """segments by name; node_numbers by path, of every node on the way to a leaf here; rule_numbers by identity.

    policies: the whole set in force. identities: of all hosts, now. largest_kbit: of a packet, as its datapath sees it.
    writes_adverts: whether its datapath can set the flags and the sort of option of a neighbour advertisement.
    """

    vifs: tuple[BridgeVif, ...] = ()
    segments: Mapping[str, BridgeSegment] = field(default_factory=dict)
    policies: PolicySet = field(default_factory=PolicySet)
    identities: Identities = field(default_factory=Identities)
    node_numbers: Mapping[str, int] = field(default_factory=dict)
    rule_numbers: Mapping[str, int] = field(default_factory=dict)
    remote: tuple[RemoteVif, ...] = ()
    largest_kbit: int = FRAME_KBIT
    writes_adverts: bool = True

    def used_segments(self) -> dict[str, BridgeSegment]:
        """Segments that a VIF here is in, that pass through, or where the router reaches the outside, by name, in the
        order of their numbers."""
        names = {vif.segment for vif in self.vifs}
        names |= {name for name, segment in self.segments.items() if segment.is_transit or segment.is_way_out}
        used = [(name, self.segments[name]) for name in names]
        return dict(sorted(used, key=lambda item: item[1].number))

    def ways_out(self) -> dict[str, BridgeSegment]:
        """Routed segments whose uplink this bridge has, whether a VIF here is in them or not; likewise."""
        found = [(name, segment) for name, segment in self.segments.items() if segment.is_way_out]
        return dict(sorted(found, key=lambda item: item[1].number))
