"""Bridges for tests: from a policy text and a few VIFs to what the compiler is asked, numbered by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from controller.compiler.antispoof import link_local
from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.dataplane.entries import MeterBody
from policies.identity import USER_LABEL, Identities, Party
from policies.model import PolicySet
from policies.parser import parse
from policies.resolve import ancestry

UPLINK_OFPORT = 100


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
            BridgeVif(vif.number, vif.number, vif.mac, _interfaces(vif), vif.segment, vif.policy, vif.meter)
            for vif in vifs
        ),
        segments={
            name: BridgeSegment(segments[name], UPLINK_OFPORT if segment.uplink else None, segment.vlan)
            for name, segment in policies.segments.items()
        },
        policies=policies,
        identities=identities_of(vifs) if identities is None else identities,
        node_numbers=_numbered(nodes),
        rule_numbers=_numbered(rules),
    )  # fmt: skip


def bridge(text: str, *vifs: Vif) -> Bridge:
    return bridge_of(parse({"policy.yaml": text}), vifs)


def _interfaces(vif: Vif) -> tuple[IPv4Interface | IPv6Interface, ...]:
    return tuple(map(ip_interface, vif.addresses))


def _numbered(names: Iterable[str]) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(sorted(names), start=1)}
