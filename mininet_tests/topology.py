"""A topology: its switches and links, the hosts on it, and the policy under which they are VIFs.

Each switch is a chassis. Its uplink is called core, and has as many devices as other switches are linked to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mininet.node import OVSBridge
from mininet.topo import Topo

UPLINK = "core"


@dataclass(frozen=True, slots=True)
class Segment:
    """number: of its subnets, 10.NUMBER.0.0/24 and fd00:NUMBER::/64. more: what its text in the policy says beside."""

    name: str
    number: int
    type: str
    vlan: int | None = None
    more: str = ""

    @property
    def gateways(self) -> tuple[str, ...]:
        """The router's addresses in it."""
        return (f"10.{self.number}.0.1", f"fd00:{self.number}::1") if self.type == "routed" else ()

    @property
    def text(self) -> str:
        words = [f"type: {self.type}", f"subnets: [10.{self.number}.0.0/24, 'fd00:{self.number}::/64']"]
        words += [f"uplink: {UPLINK}"] if self.type == "bridged" else []
        words += [f"vlan: {self.vlan}"] if self.vlan else []
        return f"{{{', '.join([*words, *filter(None, [self.more])])}}}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is. number: of its name, its MAC and its addresses."""

    number: int
    switch: str
    segment: Segment

    @property
    def name(self) -> str:
        return f"h{self.number}"

    @property
    def port(self) -> str:
        """The switch's end of its link."""
        return f"{self.switch}-{self.name}"

    @property
    def mac(self) -> str:
        return f"02:00:00:00:00:{self.number:02x}"

    @property
    def v4(self) -> str:
        return f"10.{self.segment.number}.0.{10 + self.number}"

    @property
    def v6(self) -> str:
        return f"fd00:{self.segment.number}::{10 + self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """uplinks: of each switch, the devices. links: two devices each, named SWITCH-REST. places: of hosts that are VIFs.

    learning: a switch that is nobody's chassis, as stands between hosts anywhere. outsiders: hosts there, no VIFs.
    """

    uplinks: Mapping[str, tuple[str, ...]]
    links: tuple[tuple[str, str], ...]
    segments: tuple[Segment, ...]
    places: tuple[Place, ...]
    learning: str | None = None
    outsiders: tuple[Place, ...] = ()

    @property
    def switches(self) -> tuple[str, ...]:
        return tuple(self.uplinks)

    def policy(self, capacity: str = "100 mbit", **leaves: str) -> str:
        """Its text: a leaf for each host, of its name. leaves: what is in it; without that it allows all."""
        lines = ["weir: 1", "segments:"]
        lines += [f"  {segment.name}: {segment.text}" for segment in self.segments]
        lines += [f"links: {{{UPLINK}: {{capacity: {capacity}}}}}"] if any(self.uplinks.values()) else []
        lines += ["policies:"]
        lines += [f"  {place.name}: {{{leaves.get(place.name, 'unmatched: allow')}}}" for place in self.places]
        return "\n".join(lines) + "\n"


class Planned(Topo):  # type: ignore[misc]
    def build(self, plan: Plan) -> None:
        for switch in plan.switches:
            self.addSwitch(switch)
        if plan.learning:
            self.addSwitch(plan.learning, cls=OVSBridge, datapath="user")
        for one, other in plan.links:
            self.addLink(one.partition("-")[0], other.partition("-")[0], intfName1=one, intfName2=other)
        for place in (*plan.places, *plan.outsiders):
            self.addHost(place.name, ip=f"{place.v4}/24", mac=place.mac)
            self.addLink(place.name, place.switch, intfName2=place.port)
