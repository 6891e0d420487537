"""At most how many flow entries a rule becomes, counted without making one. Pure.

A rule is found in several ways: by a packet's header, by the connection's original tuple for first fragments and ICMP
errors, by that tuple for replies, and later fragments of both, which show no ports, by their protocol. In each way and
family its sources, destinations and services are the parts of a conjunctive match: they add where that is less than
combining each with each. Ports are matched by value and mask; source and destination port of one service belong
together, so the masks of the two multiply. A rule under audit is looked for among the packets of its own direction
only, with masks for the priorities of the rules before it.

A user, app, label and so on counts as one address, for how many there are is known only at run time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from policies.grammar import PROTOCOLS
from policies.model import Action, Endpoint, Rule, ServiceMatch

MOST_OF_RULE = 30_000
MOST_OF_LEAF = 200_000  # its own and inherited rules: compiled, sent and read back within seconds

_FAMILIES = (4, 6)
_ONLY_IN = {PROTOCOLS["icmp"]: 4, PROTOCOLS["icmp6"]: 6}  # extension headers of IPv6 are counted in it too
_SCTP = PROTOCOLS["sctp"]
_PRIORITY_MASKS = 16


def entries(rule: Rule) -> int:
    """An upper bound, in time linear in what the rule names. Of an audited one: now, and once it is in force."""
    in_force = _entries(rule, in_force=True)
    return max(in_force, _entries(rule, in_force=False)) if rule.audit else in_force


def _entries(rule: Rule, in_force: bool) -> int:
    if rule.sources is None and rule.destinations is None and ServiceMatch() in rule.services:
        return len(rule.directions) * (3 if in_force else _PRIORITY_MASKS)
    return len(rule.directions) * sum(_of_family(rule, version, in_force) for version in _FAMILIES)


def _of_family(rule: Rule, version: int, in_force: bool) -> int:
    services = [service for service in rule.services if _ONLY_IN.get(service.protocol or 0, version) == version]
    parts = [_ends(endpoints, version) for endpoints in (rule.sources, rule.destinations) if endpoints is not None]
    if not services or 0 in parts:
        return 0
    if not in_force:
        parts.append(_PRIORITY_MASKS)
    ways = _services_by_way(services, version, rule.action, in_force)
    return sum(_together([*parts, count]) for count in ways)


def _services_by_way(services: Sequence[ServiceMatch], version: int, action: Action, in_force: bool) -> Iterator[int]:
    """How many services show in each way in which the rule is found."""
    numbered = [service for service in services if _has_numbers(service)]
    total = sum(map(_masks, services))
    later = {service.protocol for service in numbered} if action is Action.ALLOW else set()
    yield total  # headers
    yield sum(_masks(service) for service in numbered if service.protocol != _SCTP)  # first fragments
    hidden = {service.protocol for service in services if service.protocol is not None} if version == 6 else set()
    yield len(later | hidden)  # later fragments
    if in_force:
        yield total  # replies
        yield total  # ICMP errors
        yield len(later)  # their later fragments


def _together(parts: Sequence[int]) -> int:
    """Entries of a conjunctive match, and one by its number; or each with each, where these are not more."""
    several = [count for count in parts if count != 1]
    return min(prod(several), sum(several) + 1)


def _ends(endpoints: Sequence[Endpoint], version: int) -> int:
    return sum(
        1 if end.networks is None else sum(network.version == version for network in end.networks) for end in endpoints
    )


def _has_numbers(service: ServiceMatch) -> bool:
    return (service.ports, service.source_ports, service.icmp_type, service.icmp_code) != (None, None, None, None)


def _masks(service: ServiceMatch) -> int:
    return _blocks(service.source_ports) * _blocks(service.ports)


def _blocks(ports: tuple[int, int] | None) -> int:
    """How many aligned blocks of sizes that are powers of two make up a range."""
    if ports is None:
        return 1
    count = 0
    first, last = ports
    while first <= last:
        size = first & -first or 1 << 16
        while first + size - 1 > last:
            size >>= 1
        first += size
        count += 1
    return count
