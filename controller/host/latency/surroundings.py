"""Whom a host asks how long the way beyond its uplinks is: the next router of each, and some other hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.host.latency.frames import host_macs
from controller.host.latency.neighbours import Neighbour
from controller.host.latency.targets import Target
from controller.host.settings import uplink_of
from ovsdb.rows import Chassis
from policies.model import PolicySet

MOST_PEERS = 4  # other hosts that one asks


@dataclass(frozen=True, slots=True)
class Aims:
    """Whom a host probes. targets: by VIF number. vlans: in which agents speak to each other, by device.

    mac: by which this host asks, and is asked, on its uplinks.
    down: devices of targets whose link is down, as that of a machine that does not run: they cannot be probed.
    """

    targets: Mapping[int, Target] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()
    vlans: Mapping[str, int | None] = field(default_factory=dict)
    mac: int = 0
    down: frozenset[str] = frozenset()


def neighbours(
    policies: PolicySet, uplinks: Mapping[str, str], chassis: str, hosts: Iterable[Chassis], system_id: str
) -> tuple[tuple[Neighbour, ...], dict[str, int | None], int]:
    """uplinks: name -> device, as of AgentConfig. Returns them, in which VLAN agents speak, by device, and this host's
    MAC."""
    found = list[Neighbour]()
    vlans = {name: _vlan(policies, uplink_of(name)) for name in uplinks}
    others = list(hosts)
    macs = host_macs(system_id, {chassis, *(host.name for host in others)})
    for name, device in uplinks.items():
        found += _router(policies, uplink_of(name), device)
        if (vlan := vlans[name]) is not None:
            peers = _next(chassis, {host.name for host in others if host.connected and host.ports_of(uplink_of(name))})
            found += [Neighbour(device, macs[peer], vlan or None) for peer in peers]
    return tuple(found), {uplinks[name]: vlan or None for name, vlan in vlans.items()}, macs[chassis]


def _router(policies: PolicySet, uplink: str, device: str) -> Iterator[Neighbour]:
    """IPv4 first; at most one: answers do not say who else was asked."""
    routers = [
        (router.version, own.name, Neighbour(device, router, own.vlan))
        for own in policies.segments.values()
        if own.uplink == uplink
        for router in own.via
    ]
    if routers:
        yield min(routers, key=lambda one: one[:2])[2]


def _vlan(policies: PolicySet, uplink: str) -> int | None:
    """The least tag of the uplink's segments, 0: none; None: the uplink has no segment, so no frame crosses it."""
    return min((own.vlan or 0 for own in policies.segments.values() if own.uplink == uplink), default=None)


def _next(own: str, names: set[str]) -> list[str]:
    """Those that follow in the order of their names, the first after the last: so everybody is asked by as many."""
    ring = sorted(names - {own})
    at = sum(name < own for name in ring)
    return [*ring[at:], *ring[:at]][:MOST_PEERS]
