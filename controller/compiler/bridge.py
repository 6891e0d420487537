"""What the compiler is asked: one bridge, the VIFs on it, their segments, the policies they follow. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from controller.dataplane.entries import MeterBody
from policies.identity import Identities
from policies.model import PolicySet


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


@dataclass(frozen=True, slots=True)
class BridgeSegment:
    number: int
    uplink_ofport: int | None = None  # None: nothing beyond this bridge
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Bridge:
    """segments by name; node_numbers by path, of every node on the way to a leaf here; rule_numbers by identity.

    policies: the whole set in force. identities: of all hosts, now.
    """

    vifs: tuple[BridgeVif, ...] = ()
    segments: Mapping[str, BridgeSegment] = field(default_factory=dict)
    policies: PolicySet = field(default_factory=PolicySet)
    identities: Identities = field(default_factory=Identities)
    node_numbers: Mapping[str, int] = field(default_factory=dict)
    rule_numbers: Mapping[str, int] = field(default_factory=dict)

    def used_segments(self) -> dict[str, BridgeSegment]:
        """Segments that a VIF here is in, by name, in the order of their numbers."""
        names = {vif.segment for vif in self.vifs}
        used = [(name, segment) for name, segment in self.segments.items() if name in names]
        return dict(sorted(used, key=lambda item: item[1].number))
