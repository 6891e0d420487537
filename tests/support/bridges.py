"""Bridges for tests: from a policy text and a few VIFs to what the compiler is asked, numbered by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif, Gateway, WayOut
from controller.dataplane.entries import MeterBody
from controller.dataplane.macs import link_local
from policies.identity import USER_LABEL, Identities, Party
from policies.model import DEFAULT_MTU, PolicySet, Segment, SegmentType
from policies.parser import parse
from policies.resolve import ancestry

UPLINK_OFPORT = 100
GATEWAY_MAC, ROUTER_MAC = 0x02AABBCC0000, 0x06AABBCC1234  # of the router, to instances and on the uplink


@dataclass(frozen=True, slots=True)
class Vif:
    """A VIF of a test. number: also its OpenFlow port; its MAC is 02:00:00:00:00:NN, its name vifNN unless given."""

    number: int
    policy: str
    addresses: tuple[str, ...]
    segment: str = "s"
    meter: MeterBody | None = None
    labels: tuple[tuple[str, str], ...] = ()
    users: frozenset[str] = frozenset()
    name: str = ""
    cpu_pps: int | None = None

    @property
    def mac(self) -> int:
        return 0x020000000000 + self.number

    @property
    def party(self) -> Party:
        own = [ip_interface(address).ip for address in self.addresses]
        labelled = {value for key, value in self.labels if key == USER_LABEL}
        return Party(
            self.name or f"vif{self.number}",
            self.number,
            self.policy,
            self.segment,
            frozenset([*own, IPv6Address(link_local(self.mac))]),
            self.users | labelled,
            tuple(sorted(self.labels)),
        )


def identities_of(vifs: Iterable[Vif], addresses: Mapping[str, Iterable[str]] | None = None) -> Identities:
    """addresses: texts, by the user who is bound to them."""
    parties = {vif.party.name: vif.party for vif in vifs}
    bound = {user: frozenset(map(ip_address, texts)) for user, texts in (addresses or {}).items()}
    return Identities(parties, bound)


def bridge_of(policies: PolicySet, vifs: Iterable[Vif], identities: Identities | None = None) -> Bridge:
    """Every uplink is port 100. Segments, nodes and rules are numbered by their place in the sorted list of names.

    identities: None: those of the VIFs, with no user bound to an address.
    """
    vifs = tuple(vifs)
    nodes = {node.path: node for vif in vifs for node in ancestry(policies, vif.policy)}
    rules = {rule.identity for node in nodes.values() for rule in (*node.mandatory, *node.rules, *node.default)}
    segments = _numbered(policies.segments)
    return Bridge(
        vifs=tuple(
            BridgeVif(
                vif.number, vif.number, vif.mac, _interfaces(vif), vif.segment, vif.policy, vif.meter,
                cpu_pps=vif.cpu_pps,
            )
            for vif in vifs
        ),
        segments={
            name: segment_on_bridge(segment, segments[name], UPLINK_OFPORT)
            for name, segment in policies.segments.items()
        },
        policies=policies,
        identities=identities_of(vifs) if identities is None else identities,
        node_numbers=_numbered(nodes),
        rule_numbers=_numbered(rules),
    )  # fmt: skip


def segment_on_bridge(segment: Segment, number: int, uplink_ofport: int) -> BridgeSegment:
    """With the router that this host's bridge is, if it is routed."""
    gateways = (
        Gateway(ip_interface((address, subnet.prefixlen)), GATEWAY_MAC)
        for subnet, address in zip(segment.subnets, segment.gateways, strict=False)  # none: it is not routed
    )
    is_way_out = segment.type is SegmentType.ROUTED and segment.uplink is not None
    return BridgeSegment(
        number,
        (uplink_ofport,) if segment.uplink else (),
        segment.vlan,
        tuple(gateways),
        WayOut(segment.addresses, segment.via, ROUTER_MAC) if is_way_out else None,
        segment.mtu or DEFAULT_MTU,
    )


def bridge(text: str, *vifs: Vif) -> Bridge:
    return bridge_of(parse({"policy.yaml": text}), vifs)


def _interfaces(vif: Vif) -> tuple[IPv4Interface | IPv6Interface, ...]:
    return tuple(map(ip_interface, vif.addresses))


def _numbered(names: Iterable[str]) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(sorted(names), start=1)}
