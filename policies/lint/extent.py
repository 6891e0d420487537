"""What a rule matches in one direction, as boxes. Pure.

The axes: own address, remote address, IP protocol, and two numbers of that protocol: destination and source port, or
ICMP type and code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from policies.grammar import PROTOCOLS
from policies.lint.boxes import Box, Range, Ranges, among, covered
from policies.lint.endpoints import End, Identities, Identity, at_leaf, ends, ends_of_subnets
from policies.model import Direction, Endpoint, PolicySet, Rule, ServiceMatch

VERSIONS = (4, 6)
ONLY_IN = {PROTOCOLS["icmp"]: 4, PROTOCOLS["icmp6"]: 6}  # IP version, by protocol
_ALL_PROTOCOLS: Range = (0, 255)
_ALL_NUMBERS: Range = (0, 65535)


class Atom(NamedTuple):
    """A box of packets between one identity and another."""

    own: Identity
    remote: Identity
    version: int
    box: Box


@dataclass(frozen=True, slots=True)
class Part:
    """In one IP version each own end is combined with each remote end and each box of services."""

    own: Sequence[End]
    remote: Sequence[End]
    services: Sequence[Box]

    def __len__(self) -> int:
        return len(self.own) * len(self.remote) * len(self.services)


Extent = dict[int, Part]  # by IP version; without those in which nothing matches


def sides(rule: Rule, direction: Direction) -> tuple[tuple[Endpoint, ...] | None, tuple[Endpoint, ...] | None]:
    """Its own and its remote side."""
    egress = direction is Direction.EGRESS
    return (rule.sources, rule.destinations) if egress else (rule.destinations, rule.sources)


class Reading:
    """A rule as far as it matches; read once, for both directions and all leaves."""

    def __init__(self, rule: Rule, policies: PolicySet) -> None:
        self._rule = rule
        self._policies = policies
        self._ends = {side: ends(side, policies) for side in (rule.sources, rule.destinations)}
        self._services = {version: _services(rule, version) for version in VERSIONS}

    def matched(self, direction: Direction, leaf: str) -> Extent:
        """What of it can be at a leaf."""
        own, remote = sides(self._rule, direction)
        here: dict[int, list[End]] = {version: [] for version in VERSIONS}
        for version, owned in self._ends[own].items():
            for asked, where in owned:
                who = at_leaf(asked, leaf)
                if who is not None:
                    here[version].append((who, where))
        return self._extent(here, self._ends[remote])

    def covering(self, direction: Direction) -> Extent:
        """What it decides, at whichever leaf."""
        own, remote = sides(self._rule, direction)
        subnets = ends_of_subnets(remote, self._policies)
        remotes = {version: [*found, *subnets[version]] for version, found in self._ends[remote].items()}
        return self._extent(self._ends[own], remotes)

    def _extent(self, own: dict[int, list[End]], remote: dict[int, list[End]]) -> Extent:
        parts = {version: Part(own[version], remote[version], self._services[version]) for version in VERSIONS}
        return {version: part for version, part in parts.items() if len(part)}


def size(extent: Extent) -> int:
    return sum(len(part) for part in extent.values())


def effort(extent: Extent) -> int:
    """Of looking at its sides, one after the other."""
    return sum(len(side) for part in extent.values() for side in (part.own, part.remote, part.services))


def atoms(extent: Extent) -> Iterator[Atom]:
    for version, part in extent.items():
        for (own, own_range), (remote, remote_range), service in product(part.own, part.remote, part.services):
            yield Atom(own, remote, version, (own_range, remote_range, *service))


def is_within(one: Extent, other: Extent, identities: Identities) -> bool:
    """Whether all that one matches the other does: side by side, as each is a product of its sides."""
    return all(
        version in other
        and _are_within(part.own, other[version].own, identities)
        and _are_within(part.remote, other[version].remote, identities)
        and all(covered(service, among(other[version].services)) for service in part.services)
        for version, part in one.items()
    )


def _are_within(some: Sequence[End], others: Sequence[End], identities: Identities) -> bool:
    of_others: dict[Identity, list[Range]] = defaultdict(list)
    for who, where in others:
        of_others[who].append(where)
    reached: dict[Identity, Ranges] = {}
    for who, where in some:
        if who not in reached:
            wider = identities.wider(who, of_others)
            reached[who] = Ranges(addresses for other in wider for addresses in of_others[other])
        if not reached[who].hold(where):
            return False
    return True


def _services(rule: Rule, version: int) -> list[Box]:
    return [_box(service) for service in rule.services if ONLY_IN.get(service.protocol or 0, version) == version]


def _box(service: ServiceMatch) -> Box:
    if service.protocol is None:
        return _ALL_PROTOCOLS, _ALL_NUMBERS, _ALL_NUMBERS
    protocol = (service.protocol, service.protocol)
    if service.protocol in ONLY_IN:
        return protocol, _one(service.icmp_type), _one(service.icmp_code)
    return protocol, service.ports or _ALL_NUMBERS, service.source_ports or _ALL_NUMBERS


def _one(number: int | None) -> Range:
    return _ALL_NUMBERS if number is None else (number, number)
