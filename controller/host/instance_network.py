"""What the segment of a VIF means for the interface in the instance. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface

from controller.host.desired import mtu
from controller.host.route_codec import Gateway
from ovsdb.rows import VirtualInterface
from policies.model import DEFAULT_MTU, PolicySet, Segment, SegmentType


@dataclass(frozen=True, slots=True)
class InstanceNetwork:
    """mtu: bytes of an IP packet. gateways: of the default routes, at most one of each family.

    hears_routers: whether the instance acts on router advertisements; takes_addresses: whether it also makes itself
    addresses of the prefixes in them.
    """

    mtu: int = DEFAULT_MTU
    gateways: tuple[Gateway, ...] = ()
    hears_routers: bool = False
    takes_addresses: bool = False


def instance_network(vif: VirtualInterface, policies: PolicySet) -> InstanceNetwork:
    """On a routed segment the agent sets the routes; on a bridged one routers outside may, on an internal one nobody.

    Only where the segment has no subnets does anything but Weir choose addresses.
    """
    segment, mtu_bytes = policies.segments.get(vif.segment), mtu(vif, policies)
    if segment is None:
        return InstanceNetwork(mtu_bytes)
    outside = segment.type is SegmentType.BRIDGED
    return InstanceNetwork(mtu_bytes, _gateways(vif, segment), outside, outside and not segment.subnets)


def _gateways(vif: VirtualInterface, segment: Segment) -> tuple[Gateway, ...]:
    """Those that the VIF reaches from an address of its own."""
    networks = [ip_interface(text).network for text in vif.addresses]
    found: dict[int, Gateway] = {}
    for gateway in segment.gateways:
        if any(gateway.version == network.version and gateway in network for network in networks):
            found.setdefault(gateway.version, gateway)
    return tuple(found.values())
