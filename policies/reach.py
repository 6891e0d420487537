"""Whether a packet comes from one interface to another at all, before any rule is asked. Pure.

Part of the oracle (policies.semantics): it shares nothing with the compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from policies.addresses import is_of_host
from policies.endpoints_meaning import is_in_any
from policies.identity import Party
from policies.model import IPAddress, PolicySet, Segment, SegmentType

_UDP, _ICMP6, _IGMP = 17, 58, 2
_DHCP_CLIENT_PORTS = {4: 68, 6: 546}
# By IP version and protocol: of DHCP the ports that it goes to, of ICMPv6 types (MLD, neighbour discovery, redirects).
_OF_ONE_LINK = {
    (4, _UDP): (67, 68),
    (6, _UDP): (546, 547),
    (6, _ICMP6): (*range(130, 138), 143),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """routers: how many it goes through. lost: why it does not arrive, in words; None: it does."""

    routers: int = 0
    lost: str | None = None


def reach(
    policies: PolicySet,
    sender: Party | None,
    receiver: Party | None,
    ends: tuple[IPAddress, IPAddress],
    ttl: int,
    of_one_link: bool = False,
) -> Reach:
    """Of a packet with these ends (source, destination) and TTL as it is sent. None: outside. of_one_link: it is
    something between neighbours, which no router forwards.

    Within a segment a packet goes to whom its sender chose, whatever its destination. Between segments the router asks
    for the destination alone. Outside is that of a bridged segment, or beyond the router's ways out.
    """
    if sender is not None and receiver is not None and sender.segment == receiver.segment:
        return Reach()
    parties = [party for party in (sender, receiver) if party is not None]
    if not all(_is_routed(policies, party) for party in parties):
        if len(parties) == 2:
            return Reach(lost="one of their segments is not routed")
        return Reach() if _has_outside(policies, parties[0]) else Reach(lost="its segment has no outside")
    if not parties:
        return Reach()
    lost = "what is between neighbours is not routed" if of_one_link else _lost(policies, sender, receiver, *ends)
    return Reach(1, lost or ("its TTL is used up" if ttl <= 1 else None))


def is_for_a_dhcp_client(version: int, protocol: int, port: int | None) -> bool:
    """Whether it goes to the port of one: no VIF may send that. port: that it goes to."""
    return protocol == _UDP and port == _DHCP_CLIENT_PORTS[version]


def is_of_one_link(version: int, protocol: int, number: int | None) -> bool:
    """Whether it is something between neighbours. number: the port that it goes to, or its type; None: neither."""
    return (version, protocol) == (4, _IGMP) or number in _OF_ONE_LINK.get((version, protocol), ())


def _is_routed(policies: PolicySet, party: Party) -> bool:
    segment = policies.segments.get(party.segment)
    return segment is not None and segment.type is SegmentType.ROUTED


def _is_internal(segment: Segment) -> bool:
    return segment.type is SegmentType.INTERNAL


def _has_outside(policies: PolicySet, party: Party) -> bool:
    segment = policies.segments.get(party.segment)
    return segment is None or segment.uplink is not None


def _lost(
    policies: PolicySet, sender: Party | None, receiver: Party | None, source: IPAddress, destination: IPAddress
) -> str | None:
    """Why the router does not bring it there."""
    routed = [segment for segment in policies.segments.values() if segment.type is SegmentType.ROUTED]
    subnets = [subnet for segment in routed for subnet in segment.subnets]
    internal = [one for segment in policies.segments.values() if _is_internal(segment) for one in segment.subnets]
    outer = [segment for segment in routed if segment.uplink is not None]
    own = {address.ip for segment in outer for address in segment.addresses}
    if not (_is_routable(source) and _is_routable(destination)):
        return "such addresses are not routed"
    if receiver is not None and destination not in receiver.addresses:
        return f"VIF {receiver.name} does not have its destination"
    if sender is None:
        if not outer:
            return "the router has no way out"
        if is_in_any(source, [*subnets, *internal]) or source in own:
            return "its source is inside, and it comes from outside"
    if receiver is None:
        if is_in_any(destination, subnets) or destination in own:
            return "its destination is inside"
        networks = [address.network for segment in outer for address in segment.addresses]
        connected = [network for network in networks if is_in_any(destination, [network])]
        if any(destination.version == 4 and not is_of_host(network, destination) for network in connected):
            return "to a whole network nothing is routed"
        if not connected and not any(via.version == destination.version for segment in outer for via in segment.via):
            return "no way out leads there"
    return None


def _is_routable(address: IPAddress) -> bool:
    """Not of one link or one host alone, nor of many hosts."""
    if isinstance(address, IPv4Address):
        return address.packed[0] not in (0, 127) and address.packed[0] < 224 and not address.is_link_local
    return not (address.is_unspecified or address.is_loopback or address.is_link_local or address.is_multicast)
