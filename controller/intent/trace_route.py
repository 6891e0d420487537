"""A packet that the router is asked to bring somewhere: whether it can, and how it comes to a switch. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface

from controller.dataplane.macs import gateway_mac, link_local, mac_number, router_mac
from controller.dataplane.protocols import ICMP, ICMP6
from controller.world.desired import World
from ovsdb.rows import Chassis, VirtualInterface
from policies.identity import Party
from policies.model import IPAddress, Segment, SegmentType
from policies.semantics import Packet
from policies.semantics import way_of as reached
from policies.ways_out import ways_out

_ECHO = {4: (ICMP, 8), 6: (ICMP6, 128)}


@dataclass(frozen=True, slots=True)
class Way:
    """is_routed: whether it is sent to the router. is_answered: by the router itself, so that it goes nowhere else.

    lost: why it does not arrive whatever rules say, in words; None: it can.
    """

    is_routed: bool = False
    is_answered: bool = False
    lost: str | None = None


def way_of(packet: Packet, sender: Party | None, receiver: Party | None, world: World) -> Way:
    """Of a packet that is not for many. None: outside, or nobody."""
    if sender is not None and receiver is not None and sender.segment == receiver.segment:
        return Way()
    parties = [party for party in (sender, receiver) if party is not None]
    if not all(is_routed(party.segment, world) for party in parties):
        return Way(lost="there is no way between their segments") if len(parties) == 2 else Way()
    if sender is not None and packet.destination in _own(world):
        if (packet.protocol, packet.icmp_type) == _ECHO[packet.source.version] and packet.icmp_code == 0:
            return Way(is_routed=True, is_answered=True)
        return Way(is_routed=True, lost="the router answers nothing but ARP, neighbour discovery and pings")
    return Way(is_routed=True, lost=reached(world.policies, sender, receiver, packet).lost)


def is_routed(segment: str, world: World) -> bool:
    own = world.policies.segments.get(segment)
    return own is not None and own.type is SegmentType.ROUTED


def ways_here(world: World, host: Chassis) -> Iterator[tuple[Segment, tuple[int, ...]]]:
    """The router's ways out on a host, with the ports of their uplinks."""
    for segment in ways_out(world.policies):
        ports = host.ports_of(segment.uplink or "")
        if ports:
            yield segment, ports


def to_router(world: World) -> dict[str, int]:
    """The fields of an instance's frame to the router."""
    return {"eth_dst": mac_number(gateway_mac(world.snapshot.system_id))}


def between_routers(world: World, host: Chassis, sender: VirtualInterface | None) -> dict[str, int]:
    """Those of a frame to this host's router, from that of the sender's host, or from outside (None)."""
    system = world.snapshot.system_id
    fields = {"eth_dst": mac_number(router_mac(system, host.name))}
    if sender is not None:
        fields["eth_src"] = mac_number(router_mac(system, sender.chassis or ""))
    return fields


def peer_of(asked: Party, packet: Packet, sends: bool, world: World) -> Party | None:
    """The VIF at the other end: one of the same segment, or one to which the router brings it."""
    address = packet.destination if sends else packet.source
    known = [party for party in world.identities.parties.values() if party.policy in world.policies.nodes]
    having = [party for party in known if address in party.addresses]
    near = [party for party in having if party.segment == asked.segment]
    if near or address.is_link_local or not is_routed(asked.segment, world):
        return near[0] if near else None
    return next((party for party in having if is_routed(party.segment, world)), None)


def is_to_many(address: IPAddress, sender: Party, world: World) -> bool:
    """Whether it is for all in the sender's segment."""
    if address.is_multicast or address == IPv4Address("255.255.255.255"):
        return True
    own = [ip_interface(text).network for text in world.snapshot.interfaces[sender.name].addresses]
    return address.version == 4 and address in [network.broadcast_address for network in own]


def _own(world: World) -> set[IPAddress]:
    """The router's addresses."""
    routed = [own for own in world.policies.segments.values() if own.type is SegmentType.ROUTED]
    found = {address for own in routed for address in own.gateways}
    found |= {address.ip for own in routed for address in own.addresses}
    return found | {IPv6Address(link_local(mac_number(gateway_mac(world.snapshot.system_id))))}
