"""What Weir tells an instance of its network, by whichever protocol it asks. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, IPv6Network

from controller.compiler.bridge import Bridge, BridgeVif
from policies.model import IPInterface, Segment


@dataclass(frozen=True, slots=True)
class Terms:
    """mac: the VIF's. router_mac: of who speaks to it, also where no router is. mtu: bytes of an IP packet.

    address4: the first of its segment's first IPv4 subnet. gateway4: of that subnet; None: nothing is routed there.
    addresses6, prefixes6: in the order of the segment's subnets. has_gateway6: whether it may send IPv6 to the router.
    """

    mac: int
    router_mac: int
    address4: IPv4Interface | None = None
    gateway4: IPv4Address | None = None
    addresses6: tuple[IPv6Interface, ...] = ()
    prefixes6: tuple[IPv6Network, ...] = ()
    has_gateway6: bool = False
    dns4: tuple[IPv4Address, ...] = ()
    dns6: tuple[IPv6Address, ...] = ()
    mtu: int = 1500


def terms_of(bridge: Bridge, vif: BridgeVif, router_mac: int) -> Terms:
    """router_mac: for a segment without gateways. Raises KeyError when the bridge does not know the VIF's segment."""
    segment, policy = bridge.segments[vif.segment], bridge.policies.segments[vif.segment]
    ordered = _in_order_of_subnets(vif.addresses, policy)
    address4 = next((one for one in ordered if isinstance(one, IPv4Interface)), None)
    gateways4 = (one.address for one in segment.gateways if isinstance(one.address, IPv4Interface))
    return Terms(
        mac=vif.mac,
        router_mac=next((one.mac for one in segment.gateways), router_mac),
        address4=address4,
        gateway4=next((one.ip for one in gateways4 if address4 is not None and address4.ip in one.network), None),
        addresses6=tuple(one for one in ordered if isinstance(one, IPv6Interface)),
        prefixes6=tuple(one for one in policy.subnets if isinstance(one, IPv6Network)),
        has_gateway6=any(one.address.version == 6 for one in segment.gateways),
        dns4=tuple(one for one in policy.dns if isinstance(one, IPv4Address)),
        dns6=tuple(one for one in policy.dns if isinstance(one, IPv6Address)),
        mtu=segment.mtu,
    )


def _in_order_of_subnets(addresses: Iterable[IPInterface], segment: Segment) -> list[IPInterface]:
    def place(address: IPInterface) -> tuple[int, int]:
        inside = (number for number, subnet in enumerate(segment.subnets) if address.ip in subnet)
        return next(inside, len(segment.subnets)), int(address.ip)

    return sorted(addresses, key=place)
