"""The bridge of a random case: its VIFs that are here, each on the port of its number, and its uplink."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_interface

from controller.compiler.bridge import Bridge, BridgeVif
from policies.identity import Party
from policies.resolve import ancestry
from tests.support.bridges import segment_on_bridge
from tests.support.random_policies import HERE, OFFICE, Case, interfaces, mac

UPLINK_PORT = 9
OUTSIDE_MAC = "02:ff:00:00:00:01"
PORTS = range(1, UPLINK_PORT + 1)


def here(case: Case) -> tuple[Party, ...]:
    return tuple(party for party in case.parties if party.name in HERE)


def bridge_of_case(case: Case, before: Bridge | None = None) -> Bridge:
    """before: of a policy that was in force; its rules keep their numbers, and no other gets one of them."""
    policies, parties = case.policies, here(case)
    nodes = {node.path: node for party in parties for node in ancestry(policies, party.policy)}
    rules = {rule.identity for node in nodes.values() for rule in (*node.mandatory, *node.rules, *node.default)}
    known = before.rule_numbers if before is not None else {}
    new = _numbered(rules - known.keys(), max(known.values(), default=0) + 1)
    segments = _numbered(policies.segments)
    return Bridge(
        vifs=tuple(
            BridgeVif(
                party.number,
                party.number,
                int(mac(party).replace(":", ""), 16),
                tuple(map(ip_interface, interfaces(party))),
                party.segment,
                party.policy,
            )
            for party in parties
        ),
        segments={
            name: segment_on_bridge(segment, segments[name], UPLINK_PORT) for name, segment in policies.segments.items()
        },
        policies=policies,
        identities=case.identities,
        node_numbers=_numbered(nodes),
        rule_numbers={**known, **new},
    )


def port_of(party: Party | None) -> int:
    return UPLINK_PORT if party is None else party.number


def mac_of(party: Party | None) -> str:
    return OUTSIDE_MAC if party is None else mac(party)


def vlan_at(case: Case, port: int) -> int | None:
    """The tag of frames there; None: they have none."""
    return case.segments[OFFICE].vlan if port == UPLINK_PORT else None


def _numbered(names: Iterable[str], first: int = 1) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(sorted(names), start=first)}
