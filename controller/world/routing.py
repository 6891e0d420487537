"""The router of a host's bridge, from the Weir DB: its addresses, its ways out, what is behind other hosts' routers.

All hosts come to the same, for they read the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_interface

from controller.compiler.bridge import BridgeSegment, Gateway, RemoteVif, WayOut
from controller.dataplane.macs import gateway_mac, mac_number, router_mac
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from policies.model import DEFAULT_MTU, PolicySet, Segment, SegmentType
from policies.ways_out import ways_out


def bridge_segment(segment: Segment, number: int, chassis: str, snapshot: Snapshot) -> BridgeSegment:
    """The segment on the bridge of `chassis`, which has a row.

    Raises ValueError when on its uplink another host's router has the same MAC.
    """
    uplinks = snapshot.chassis[chassis].ports_of(segment.uplink) if segment.uplink else ()
    return BridgeSegment(
        number,
        uplinks,
        segment.vlan,
        gateways=tuple(_gateways(segment, snapshot.system_id)),
        way_out=_way_out(segment, chassis, snapshot),
        mtu=segment.mtu or DEFAULT_MTU,
        learns=segment.learns,
    )


def remote_vifs(
    members: Mapping[str, Sequence[VirtualInterface]], policies: PolicySet, chassis: str, snapshot: Snapshot
) -> tuple[RemoteVif, ...]:
    """VIFs of routed segments on other hosts, by number. members: by chassis, its VIFs that take part."""
    here, system = snapshot.chassis[chassis], snapshot.system_id
    found = []
    for name, vifs in members.items():
        if name == chassis:
            continue
        transit = _transit(policies, here, snapshot.chassis[name])
        mac = mac_number(router_mac(system, name))
        found += [
            RemoteVif(vif.number, tuple(map(ip_interface, vif.addresses)), vif.segment, transit, mac)
            for vif in vifs
            if policies.segments[vif.segment].type is SegmentType.ROUTED
        ]
    return tuple(sorted(found, key=lambda vif: vif.number))


def _gateways(segment: Segment, system: str) -> Iterator[Gateway]:
    for subnet, address in zip(segment.subnets, segment.gateways, strict=False):  # none: it is not routed
        yield Gateway(ip_interface((address, subnet.prefixlen)), mac_number(gateway_mac(system)))


def _way_out(segment: Segment, chassis: str, snapshot: Snapshot) -> WayOut | None:
    if segment.type is not SegmentType.ROUTED or segment.uplink is None:
        return None
    having = [name for name, row in snapshot.chassis.items() if row.ports_of(segment.uplink)]
    if chassis in having:
        _check_macs(segment.uplink, having, chassis, snapshot.system_id)
    standing = [name for name in having if snapshot.chassis[name].connected] or having
    mac = mac_number(router_mac(snapshot.system_id, chassis))
    return WayOut(segment.addresses, segment.via, mac, answers=chassis == min(standing, default=chassis))


def _check_macs(uplink: str, having: Sequence[str], chassis: str, system: str) -> None:
    """A router's MAC holds 16 bits of a hash of its host's name."""
    mac = router_mac(system, chassis)
    for other in having:
        if other != chassis and router_mac(system, other) == mac:
            first, second = sorted((chassis, other))
            raise ValueError(
                f"hosts '{first}' and '{second}': their routers on uplink '{uplink}' have one MAC, {mac}. Rename one "
                "of them: it is made from the name."
            )


def _transit(policies: PolicySet, here: Chassis, there: Chassis) -> str | None:
    """Name of the first way out whose uplink both hosts have."""
    both = (own.name for own in ways_out(policies) if own.uplink and here.ports_of(own.uplink))
    return next((name for name in both if there.ports_of(policies.segments[name].uplink or "")), None)
