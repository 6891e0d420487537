"""What the ends of a rule come to at this moment: numbers of VIFs and networks.

On a rule's own side an endpoint narrows the VIF and its address; on the other side it names addresses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network

from policies.identity import APP_LABEL, Identities, Party
from policies.model import Endpoint, IPAddress, IPNetwork, PolicySet

Networks = tuple[IPNetwork, ...]
_ANYBODY = Endpoint()


@dataclass(frozen=True, slots=True)
class Own:
    """One way to hold on the own side. vifs: numbers, ascending; None: any VIF. networks: None: any address."""

    vifs: tuple[int, ...] | None
    networks: Networks | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an endpoint asks of the other side, but for networks. vif: what it says of VIFs, without users and segment.

    users: for each of `user` and `group` that is given, whoever will do and their addresses.
    """

    vif: Endpoint
    users: tuple[tuple[frozenset[str], frozenset[IPAddress]], ...]
    segment: str | None
    subnets: Networks  # of the segment


class Selector:
    """Looks endpoints up among the identities of a moment."""

    def __init__(self, policies: PolicySet, identities: Identities) -> None:
        self._policies, self._identities = policies, identities
        self._by_user: dict[str, list[Party]] = defaultdict(list)
        self._by_label: dict[tuple[str, str], list[Party]] = defaultdict(list)
        self._by_address: dict[IPAddress, list[Party]] = defaultdict(list)
        self._by_segment: dict[str, list[Party]] = defaultdict(list)
        self._by_policy: dict[str, list[Party]] = defaultdict(list)  # by each node above a VIF
        self._known: dict[Endpoint, Networks | None] = {}  # many rules name the same
        for party in identities.parties.values():
            self._by_segment[party.segment].append(party)
            steps = party.policy.split("/")
            for depth in range(1, len(steps) + 1):
                self._by_policy["/".join(steps[:depth])].append(party)
            for user in party.users:
                self._by_user[user].append(party)
            for label in party.labels:
                self._by_label[label].append(party)
            for address in party.addresses:
                self._by_address[address].append(party)

    def own(self, endpoints: Sequence[Endpoint] | None, local: Sequence[Party]) -> tuple[Own, ...] | None:
        """None: whatever VIF and address. local: the VIFs that may be judged by the rule here."""
        if endpoints is None:
            return None
        found: dict[Own, None] = {}
        for endpoint in endpoints:
            found.update(dict.fromkeys(self._own(endpoint, local)))
        return None if Own(None, None) in found else tuple(found)

    def remote(self, endpoints: Sequence[Endpoint] | None) -> Networks | None:
        """None: any address of either family."""
        if endpoints is None:
            return None
        found: dict[IPNetwork, None] = {}
        for endpoint in endpoints:
            if endpoint not in self._known:
                self._known[endpoint] = self._remote(endpoint)
            networks = self._known[endpoint]
            if networks is None:
                return None
            found.update(dict.fromkeys(networks))
        return tuple(found)

    def _own(self, endpoint: Endpoint, local: Sequence[Party]) -> Iterator[Own]:
        bare = replace(endpoint, networks=None, user=None, group=None)
        wanted = self._users(endpoint)
        if bare == _ANYBODY:
            if not wanted:
                yield Own(None, endpoint.networks)
                return
            members = [party for party in local if all(users & party.users for users in wanted)]
            if members:
                yield Own(_numbers(members), endpoint.networks)
            bound = self._bound_to_all(wanted)
            if bound:
                yield from _if_any(None, _within(bound, endpoint.networks))
            if len(wanted) == 1:
                return
        by_networks: dict[Networks | None, list[Party]] = defaultdict(list)
        for party in local:
            if self._has(party, bare):
                missing = [users for users in wanted if not users & party.users]
                narrowed = _within(self._bound_to_all(missing), endpoint.networks) if missing else endpoint.networks
                by_networks[narrowed].append(party)
        for networks, members in by_networks.items():
            yield from _if_any(_numbers(members), networks)

    def _remote(self, endpoint: Endpoint) -> Networks | None:
        if endpoint.is_address:
            return endpoint.networks
        if endpoint == Endpoint(endpoint.networks, segment=endpoint.segment):
            return self._of_segment(endpoint.segment or "", endpoint.networks)
        wanted = _Wanted(
            replace(endpoint, networks=None, user=None, group=None, segment=None),
            tuple((users, self._bound(users)) for users in self._users(endpoint)),
            endpoint.segment,
            () if endpoint.segment is None else self._subnets(endpoint.segment),
        )
        hosts = [address for address in self._candidates(endpoint, wanted) if self._is_at(wanted, address)]
        return _within(hosts, endpoint.networks)

    def _of_segment(self, name: str, within: Networks | None) -> Networks:
        """Its subnets, and the addresses of its VIFs that lie in none of them."""
        subnets = self._subnets(name)
        others = {
            ip_network(address)
            for party in self._by_segment[name]
            for address in party.addresses
            if not _is_in(address, subnets)
        }
        return _overlap((*subnets, *sorted(others, key=_order)), within)

    def _candidates(self, endpoint: Endpoint, wanted: _Wanted) -> list[IPAddress]:
        """All addresses that the endpoint may name, and not many more."""
        parties: Iterable[Party]
        bound: Iterable[IPAddress] = ()
        if endpoint.vif is not None:
            known = self._identities.parties.get(endpoint.vif)
            parties = [known] if known else []
        elif endpoint.app is not None:
            parties = self._by_label[APP_LABEL, endpoint.app]
        elif endpoint.labels:
            parties = self._by_label[endpoint.labels[0]]
        elif endpoint.policy is not None:
            parties = self._by_policy[endpoint.policy]
        else:
            users, bound = wanted.users[0]
            parties = [party for user in users for party in self._by_user[user]]
        return sorted({*bound, *(address for party in parties for address in party.addresses)}, key=_by_number)

    def _is_at(self, wanted: _Wanted, address: IPAddress) -> bool:
        missing = [users for users, bound in wanted.users if address not in bound]
        in_place = wanted.segment is None or _is_in(address, wanted.subnets)
        if in_place and not missing and wanted.vif == _ANYBODY:
            return True
        return any(
            self._has(party, wanted.vif)
            and all(users & party.users for users in missing)
            and (in_place or party.segment == wanted.segment)
            for party in self._by_address.get(address, ())
        )

    def _has(self, party: Party, endpoint: Endpoint) -> bool:
        """Whether what the endpoint says of VIFs, but for users, is so of this one."""
        return (
            endpoint.vif in (None, party.name)
            and endpoint.segment in (None, party.segment)
            and (endpoint.app is None or (APP_LABEL, endpoint.app) in party.labels)
            and all(label in party.labels for label in endpoint.labels)
            and (endpoint.policy is None or f"{party.policy}/".startswith(f"{endpoint.policy}/"))
        )

    def _users(self, endpoint: Endpoint) -> list[frozenset[str]]:
        """For each of `user` and `group` that is given: whoever will do."""
        found = [] if endpoint.user is None else [frozenset({endpoint.user})]
        if endpoint.group is not None:
            group = self._policies.groups.get(endpoint.group)
            found.append(group.users if group else frozenset())
        return found

    def _bound(self, users: Iterable[str]) -> frozenset[IPAddress]:
        return frozenset().union(*(self._identities.addresses.get(user, frozenset()) for user in users))

    def _bound_to_all(self, wanted: Sequence[frozenset[str]]) -> list[IPAddress]:
        return sorted(frozenset.intersection(*map(self._bound, wanted)), key=_by_number)

    def _subnets(self, segment: str) -> Networks:
        known = self._policies.segments.get(segment)
        return known.subnets if known else ()


def _numbers(parties: Iterable[Party]) -> tuple[int, ...]:
    return tuple(sorted(party.number for party in parties))


def _if_any(vifs: tuple[int, ...] | None, networks: Networks | None) -> Iterator[Own]:
    if networks is None or networks:
        yield Own(vifs, networks)


def _within(addresses: Iterable[IPAddress], networks: Networks | None) -> Networks:
    return tuple(ip_network(address) for address in addresses if networks is None or _is_in(address, networks))


def _is_in(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _overlap(networks: Networks, within: Networks | None) -> Networks:
    """The parts of `networks` in `within`: of two prefixes that meet, one holds the other."""
    if within is None:
        return networks
    found: dict[IPNetwork, None] = {}
    for one in networks:
        for other in within:
            if one.version == other.version and one.overlaps(other):
                found[one if one.prefixlen >= other.prefixlen else other] = None
    return tuple(found)


def _by_number(address: IPAddress) -> tuple[int, int]:
    return address.version, int(address)


def _order(network: IPNetwork) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
