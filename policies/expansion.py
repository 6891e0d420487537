"""How many flow entries a rule becomes, counted without making one. Pure.

In each family every source is combined with every destination and service, and ports are matched by value and mask. A
combination is an entry for the packets that open or continue a connection, one for replies, and one for first fragments
where ports or types are named; later fragments show neither, and have an entry for each protocol.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from policies.grammar import PROTOCOLS
from policies.model import Action, IPNetwork, Rule, ServiceMatch

MOST_OF_RULE = 10_000
MOST_OF_LEAF = 50_000  # compiled, sent and read back within seconds; and no more rules than a table has priorities

_FAMILIES = (4, 6)
_ONLY_IN = {PROTOCOLS["icmp"]: 4, PROTOCOLS["icmp6"]: 6}
_SCTP = PROTOCOLS["sctp"]

Block = tuple[int, int]  # first number and size of what one value and mask match
Numbers = tuple[Block | None, Block | None]


def entries(rule: Rule) -> int:
    """Exact up to MOST_OF_RULE; beyond it, some number above."""
    if rule.sources is None and rule.destinations is None and ServiceMatch() in rule.services:
        return 2 * len(rule.directions)
    return len(rule.directions) * sum(_of_family(rule, version) for version in _FAMILIES)


def _of_family(rule: Rule, version: int) -> int:
    """In the one direction, with its replies in the other."""
    ends = _count(rule.sources, version) * _count(rule.destinations, version)
    if not ends:
        return 0
    per_pair = 0
    for protocol, numbers in _numbers_by_protocol(rule.services, version).items():
        named = len(numbers - {(None, None)})
        per_pair += 2 * len(numbers) + (0 if protocol == _SCTP else named)
        allows_numbers = bool(named) and rule.action is Action.ALLOW
        per_pair += allows_numbers + (allows_numbers or (version == 6 and protocol is not None))
    return ends * per_pair


def _count(networks: Sequence[IPNetwork] | None, version: int) -> int:
    return 1 if networks is None else sum(network.version == version for network in networks)


def _numbers_by_protocol(services: Iterable[ServiceMatch], version: int) -> dict[int | None, set[Numbers]]:
    """Stops when there are so many that a rule with them is refused."""
    found: dict[int | None, set[Numbers]] = defaultdict(set)
    count = 0
    for service in services:
        if _ONLY_IN.get(service.protocol or 0, version) == version:
            numbers = found[service.protocol]
            before = len(numbers)
            numbers.update(_numbers(service))
            count += len(numbers) - before
        if count > MOST_OF_RULE:
            break
    return found


def _numbers(service: ServiceMatch) -> Iterator[Numbers]:
    if service.protocol in _ONLY_IN:
        kind, code = service.icmp_type, service.icmp_code
        yield None if kind is None else (kind, 1), None if code is None else (code, 1)
    else:
        yield from product(_blocks(service.source_ports), _blocks(service.ports))


def _blocks(ports: tuple[int, int] | None) -> Sequence[Block | None]:
    """The aligned blocks of sizes that are powers of two which make up a range."""
    if ports is None:
        return (None,)
    found: list[Block] = []
    first, last = ports
    while first <= last:
        size = first & -first or 1 << 16
        while first + size - 1 > last:
            size >>= 1
        found.append((first, size))
        first += size
    return found
