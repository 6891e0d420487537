"""A bridge as its services see it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif, Gateway, WayOut
from controller.services import adverts
from controller.services.neighbours import Key
from controller.services.terms import Terms, terms_of
from policies.model import IPAddress, IPInterface

Whereabouts = tuple[str, IPAddress]  # a segment's name, and an address in it


@dataclass(frozen=True)
class Place:
    """mac: who speaks to instances of segments without a router."""

    bridge: Bridge
    mac: int

    def look(self) -> None:
        """Finds now, rather than when it is asked, what takes long with many VIFs."""
        for found in (self.vifs, self.segments, self.members, self.macs, self.adverts, self.routers, self._remote):
            len(found)

    @cached_property
    def vifs(self) -> Mapping[int, BridgeVif]:
        return {vif.number: vif for vif in self.bridge.vifs}

    @cached_property
    def segments(self) -> Mapping[int, BridgeSegment]:
        return {segment.number: segment for segment in self.bridge.segments.values()}

    @cached_property
    def members(self) -> Mapping[str, Sequence[BridgeVif]]:
        """By segment."""
        found: dict[str, list[BridgeVif]] = defaultdict(list)
        for vif in self.bridge.vifs:
            found[vif.segment].append(vif)
        return found

    @cached_property
    def macs(self) -> Mapping[Whereabouts, int]:
        """At which MAC those in a segment find its addresses: of a VIF on another host, at the router's. And those
        outside the router's, where this host answers for it."""
        routed = {name: segment.gateways[0].mac for name, segment in self.bridge.segments.items() if segment.gateways}
        remote = [vif for vif in self.bridge.remote if vif.segment in routed]
        return {
            **{(vif.segment, one.ip): routed[vif.segment] for vif in remote for one in vif.addresses},
            **{(vif.segment, one.ip): vif.mac for vif in self.bridge.vifs for one in vif.addresses},
            **self._answered,
        }

    def is_outside(self, whereabouts: Whereabouts) -> bool:
        """Whether it is an address of the router outside, for which this host answers."""
        return whereabouts in self._answered

    @cached_property
    def _answered(self) -> Mapping[Whereabouts, int]:
        ways = ((name, self.way_out(segment)) for name, segment in self.bridge.segments.items())
        return {
            (name, one.ip): way.mac for name, way in ways if way is not None and way.answers for one in way.addresses
        }

    @cached_property
    def adverts(self) -> Mapping[int, bytes]:
        """By VIF number what each is told from time to time."""
        told: dict[str, bytes | None] = {}  # by segment: it is the same for all in there
        served = [vif for vif in self.bridge.vifs if vif.is_served]
        for vif in served:
            if vif.segment not in told:
                told[vif.segment] = adverts.unasked(self.terms(vif))
        return {vif.number: frame for vif in served if (frame := told[vif.segment]) is not None}

    @cached_property
    def routers(self) -> tuple[Key, ...]:
        """The next routers outside."""
        ways = ((segment, way) for segment in self.segments.values() if (way := self.way_out(segment)) is not None)
        return tuple((segment.number, address) for segment, way in ways for address in way.via)

    def terms(self, vif: BridgeVif) -> Terms:
        return terms_of(self.bridge, vif, self.mac)

    def segment_of(self, vif: BridgeVif) -> BridgeSegment:
        return self.bridge.segments[vif.segment]

    def way_out(self, segment: BridgeSegment | None) -> WayOut | None:
        """None: it has none on this host."""
        return segment.way_out if segment is not None and segment.uplink_ofports else None

    def is_remote(self, segment: str, address: IPAddress) -> bool:
        """Whether a VIF of this segment on another host has the address."""
        return (segment, address) in self._remote

    @cached_property
    def _remote(self) -> frozenset[tuple[str, IPAddress]]:
        return frozenset((vif.segment, one.ip) for vif in self.bridge.remote for one in vif.addresses)


def router_address(gateways: tuple[Gateway, ...], source: IPAddress) -> bytes | None:
    """The router's address by which a sender with this one knows it: of its subnet if there is one, else any."""
    return _nearest([one.address for one in gateways], source)


def outside_address(way: WayOut, other: IPAddress) -> bytes | None:
    """The router's address on its uplink towards the other one. None: it has none of this family."""
    return _nearest(way.addresses, other)


def _nearest(own: Sequence[IPInterface], other: IPAddress) -> bytes | None:
    same = [one for one in own if one.version == other.version]
    near = [one for one in same if other in one.network]
    return next((one.ip.packed for one in [*near, *same]), None)
