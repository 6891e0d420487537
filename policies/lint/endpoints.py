"""Endpoints as the linter compares them: what identity they ask for, and which addresses. Pure.

An identity is the set of keys of an endpoint other than its networks; all of them must hold. One holds wherever another
does if each of its keys follows from those of the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import product
from math import prod

from policies.identity import APP_LABEL
from policies.lint.boxes import Range
from policies.lint.work import Work
from policies.model import Endpoint, IPNetwork, PolicySet

Key = tuple[str, str]  # kind and value, as in ("user", "alice") or ("label app", "payroll")
Identity = tuple[Key, ...]  # sorted; empty: anybody
End = tuple[Identity, Range]  # addresses as numbers

ALL_ADDRESSES: dict[int, Range] = {4: (0, 2**32 - 1), 6: (0, 2**128 - 1)}
# what reaches or leaves a VIF although it is in no subnet: link-local, multicast, broadcast
OUTSIDE_SUBNETS = tuple(map(ip_network, ("fe80::/10", "ff00::/8", "224.0.0.0/4", "255.255.255.255/32")))


def ends(side: tuple[Endpoint, ...] | None, policies: PolicySet) -> dict[int, list[End]]:
    """What one side of a rule asks for, by IP version; without endpoints that nothing can be."""
    if side is None:
        return {version: [((), addresses)] for version, addresses in ALL_ADDRESSES.items()}
    found: dict[int, list[End]] = {version: [] for version in ALL_ADDRESSES}
    for endpoint in side:
        if flaw(endpoint, policies) is not None:
            continue
        own = identity(endpoint)
        if endpoint.networks is None:
            for version, addresses in ALL_ADDRESSES.items():
                found[version].append((own, addresses))
        for network in _possible(endpoint, policies):
            found[network.version].append((own, _numbers(network)))
    return found


def ends_of_subnets(side: tuple[Endpoint, ...] | None, policies: PolicySet) -> dict[int, list[End]]:
    """What holds besides on the remote side: the subnets of a segment are in it, whoever has their addresses."""
    named = [endpoint for endpoint in side or () if endpoint.segment is not None]
    return ends(tuple(also for endpoint in named for also in _of_subnets(endpoint, policies)), policies)


def _of_subnets(endpoint: Endpoint, policies: PolicySet) -> Iterator[Endpoint]:
    segment = policies.segments.get(endpoint.segment or "")
    subnets = segment.subnets if segment is not None else ()
    wanted = subnets if endpoint.networks is None else endpoint.networks
    found = {a if _is_within(a, b) else b for a in wanted for b in subnets if _overlap(a, b)}
    if found:
        yield replace(endpoint, segment=None, networks=tuple(sorted(found, key=str)))


def flaw(endpoint: Endpoint, policies: PolicySet) -> str | None:
    """Why nothing can be this endpoint, wherever its rule stands; None: something may be."""
    labels = dict(endpoint.labels)
    if endpoint.group is not None and endpoint.group in policies.groups and not policies.groups[endpoint.group].users:
        return f"group '{endpoint.group}' has no users"
    if endpoint.app is not None and labels.get(APP_LABEL, endpoint.app) != endpoint.app:
        return f"app '{endpoint.app}' excludes the label app '{labels[APP_LABEL]}'"
    if endpoint.networks is not None and not _possible(endpoint, policies):
        if not endpoint.networks:
            return "an endpoint has no addresses"
        subnets = ", ".join(map(str, policies.segments[endpoint.segment or ""].subnets))
        return f"{endpoint.networks[0]} is outside segment '{endpoint.segment}', which has {subnets}"
    return None


def _possible(endpoint: Endpoint, policies: PolicySet) -> list[IPNetwork]:
    """Its networks without those in which nothing of its segment can have an address."""
    networks = list(endpoint.networks or ())
    segment = policies.segments.get(endpoint.segment) if endpoint.segment is not None else None
    if segment is None or not segment.subnets:
        return networks
    places = (*segment.subnets, *OUTSIDE_SUBNETS)
    return [network for network in networks if any(_overlap(network, place) for place in places)]


def _overlap(a: IPNetwork, b: IPNetwork) -> bool:
    return _is_within(a, b) or _is_within(b, a)


def _is_within(a: IPNetwork, b: IPNetwork) -> bool:
    return a.version == b.version and a.prefixlen >= b.prefixlen and a.network_address in b


def _numbers(network: IPNetwork) -> Range:
    return int(network.network_address), int(network.broadcast_address)


def identity(endpoint: Endpoint) -> Identity:
    """Its keys other than the networks."""
    plain = ("user", "group", "policy", "vif", "segment")
    keys = {(kind, value) for kind in plain if (value := getattr(endpoint, kind)) is not None}
    keys |= {(f"label {key}", value) for key, value in endpoint.labels}
    if endpoint.app is not None:
        keys.add((f"label {APP_LABEL}", endpoint.app))
    return tuple(sorted(keys))


def at_leaf(own: Identity, leaf: str) -> Identity | None:
    """What an identity of the own side comes to for the VIFs of a leaf. None: none of them can have it."""
    asked = dict(own).get("policy")
    if asked is not None and asked not in lineage(leaf):
        return None
    return tuple(sorted({*((kind, value) for kind, value in own if kind != "policy"), ("policy", leaf)}))


def lineage(path: str) -> tuple[str, ...]:
    """'a/b/c' -> ('a', 'a/b', 'a/b/c')."""
    steps = path.split("/")
    return tuple("/".join(steps[:count]) for count in range(1, len(steps) + 1))


class Identities:
    """Which identities hold wherever another does."""

    def __init__(self, policies: PolicySet, work: Work) -> None:
        self._work = work
        self._groups = policies.groups
        self._of_user: dict[str, list[Key]] = defaultdict(list)
        for name, group in policies.groups.items():
            for user in group.users:
                self._of_user[user].append(("group", name))
        self._follow: dict[Key, tuple[Key, ...]] = {}

    def wider(self, one: Identity, among: Collection[Identity]) -> list[Identity]:
        """Those among these (a set or mapping) that hold wherever this one does. Raises OutOfWork."""
        implied = {key for own in one for key in self._implied(own)}
        values: dict[str, list[Key | None]] = defaultdict(lambda: [None])
        for key in sorted(implied):
            values[key[0]].append(key)
        combinations = prod(map(len, values.values()))
        self._work.spend(min(len(among), combinations))
        if len(among) <= combinations:
            return [other for other in among if implied.issuperset(other)]
        chosen = (tuple(key for key in keys if key is not None) for keys in product(*values.values()))
        return [other for other in chosen if other in among]

    def _implied(self, key: Key) -> tuple[Key, ...]:
        if key not in self._follow:
            self._follow[key] = (key, *self._consequences(*key))
        return self._follow[key]

    def _consequences(self, kind: str, value: str) -> Iterator[Key]:
        if kind == "user":
            yield from self._of_user[value]
        elif kind == "policy":
            yield from (("policy", path) for path in lineage(value)[:-1])
        elif kind == "group" and value in self._groups:
            users = self._groups[value].users
            yield from (
                ("group", name) for name, other in self._groups.items() if name != value and users <= other.users
            )
            yield from (("user", user) for user in users if len(users) == 1)
