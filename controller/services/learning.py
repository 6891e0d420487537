"""Which VIFs learn their addresses from outside, and which addresses none of them may have. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import ip_interface

from controller.services.leases import Learner
from ovsdb.rows import VirtualInterface
from policies.model import IPAddress, PolicySet


def learners_of(interfaces: Mapping[str, VirtualInterface], policies: PolicySet) -> dict[int, Learner]:
    """By VIF number."""
    return {
        vif.number: Learner(name, int(vif.mac.replace(":", ""), 16), vif.segment, vif.learned)
        for name, vif in interfaces.items()
        if (segment := policies.segments.get(vif.segment)) is not None and segment.learns
    }


def reserved_of(interfaces: Mapping[str, VirtualInterface], policies: PolicySet) -> Collection[IPAddress]:
    """What was assigned to VIFs, and what routers have."""
    assigned = {ip_interface(address).ip for vif in interfaces.values() for address in vif.addresses}
    for segment in policies.segments.values():
        assigned.update(segment.gateways, segment.via, (address.ip for address in segment.addresses))
    return assigned


def changes(
    interfaces: Iterable[VirtualInterface], learned: Mapping[int, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """By name, the addresses of those VIFs of which the database says something else. learned: of all of them."""
    return {vif.name: learned[vif.number] for vif in interfaces if set(learned[vif.number]) != set(vif.learned)}
