"""Bridges for tests: from a policy text and a few VIFs to what the compiler is asked, numbered by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.dataplane.entries import MeterBody
from policies.model import PolicySet
from policies.parser import parse
from policies.resolve import resolve

UPLINK_OFPORT = 100


@dataclass(frozen=True, slots=True)
class Vif:
    """A VIF of a test. number: also its OpenFlow port; its MAC is 02:00:00:00:00:NN."""

    number: int
    policy: str
    addresses: tuple[str, ...]
    segment: str = "s"
    meter: MeterBody | None = None

    @property
    def mac(self) -> int:
        return 0x020000000000 + self.number


def bridge_of(policies: PolicySet, vifs: Iterable[Vif]) -> Bridge:
    """Every uplink is port 100. Segments, nodes and rules are numbered by their place in the sorted list of names."""
    vifs = tuple(vifs)
    leaves = sorted({vif.policy for vif in vifs})
    nodes = {path: resolve(policies, path) for path in leaves}
    rules = {rule.identity for node in nodes.values() for rule in node.rules}
    segments = _numbered(policies.segments)
    return Bridge(
        vifs=tuple(
            BridgeVif(vif.number, vif.number, vif.mac, _interfaces(vif), vif.segment, vif.policy, vif.meter)
            for vif in vifs
        ),
        segments={
            name: BridgeSegment(segments[name], UPLINK_OFPORT if segment.uplink else None, segment.vlan)
            for name, segment in policies.segments.items()
        },
        nodes=nodes,
        node_numbers=_numbered(leaves),
        rule_numbers=_numbered(rules),
    )  # fmt: skip


def bridge(text: str, *vifs: Vif) -> Bridge:
    return bridge_of(parse({"policy.yaml": text}), vifs)


def _interfaces(vif: Vif) -> tuple[IPv4Interface | IPv6Interface, ...]:
    return tuple(map(ip_interface, vif.addresses))


def _numbered(names: Iterable[str]) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(sorted(names), start=1)}
