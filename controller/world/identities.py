"""Who is where, from the Weir DB at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address, ip_interface

from controller.dataplane.macs import link_local, mac_number
from ovsdb.rows import Snapshot, UserBinding, VirtualInterface
from policies.identity import USER_LABEL, Identities, Party
from policies.model import IPAddress, PolicySet, Segment


def identities_of(snapshot: Snapshot, policies: PolicySet, now_s: float) -> Identities:
    """Every VIF with the users bound to it now, and the addresses of users bound to addresses. now_s: since 1970.

    A VIF that a binding names and that does not exist (yet) is passed over.
    """
    at_vif: dict[str, set[str]] = defaultdict(set)
    at_address: dict[str, set[IPAddress]] = defaultdict(set)
    for binding in in_force(snapshot.bindings, now_s):
        if binding.vif:
            at_vif[binding.vif].add(binding.user)
        else:
            at_address[binding.user].add(ip_address(binding.address))
    return Identities(
        parties={
            name: _party(vif, policies.segments.get(vif.segment), at_vif.get(name, set()))
            for name, vif in snapshot.interfaces.items()
        },
        addresses={user: frozenset(addresses) for user, addresses in at_address.items()},
    )


def own_addresses(vif: VirtualInterface, segment: Segment | None) -> tuple[str, ...]:
    """With prefix length: those it was given, and those that it was told from outside where that may tell it any."""
    if segment is None or not segment.learns:
        return vif.addresses
    return (*vif.addresses, *(address for address in vif.learned if address not in vif.addresses))


def in_force(bindings: Iterable[UserBinding], now_s: float) -> list[UserBinding]:
    return [binding for binding in bindings if binding.expires_at_s is None or now_s < binding.expires_at_s]


def next_expiry_s(bindings: Iterable[UserBinding], now_s: float) -> float | None:
    """When the next binding in force expires, seconds since 1970; None: none does."""
    expiries = (binding.expires_at_s for binding in in_force(bindings, now_s))
    return min((expiry_s for expiry_s in expiries if expiry_s is not None), default=None)


def _party(vif: VirtualInterface, segment: Segment | None, users: Iterable[str]) -> Party:
    labelled = vif.labels.get(USER_LABEL)
    return Party(
        name=vif.name,
        number=vif.number,
        policy=vif.policy,
        segment=vif.segment,
        addresses=frozenset(_addresses(vif, segment)),
        users=frozenset(users) | ({labelled} if labelled else frozenset()),
        labels=_labels(vif.labels),
    )


def _addresses(vif: VirtualInterface, segment: Segment | None) -> Iterable[IPAddress]:
    yield IPv6Address(link_local(mac_number(vif.mac)))
    for address in own_addresses(vif, segment):
        yield ip_interface(address).ip


def _labels(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
