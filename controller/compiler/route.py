"""Tables route and way_out: where a packet that was sent to the router goes.

A packet for a segment that takes less than another routed one is measured first, and looked up again. It is too large
as it came: nothing of it has been changed when the controller is asked.

Networks of the language never overlap, so what is found needs no longest prefix: VIFs come before the subnets that they
are in, and the next router last. What comes from outside goes to VIFs alone; what another host's router sent, to VIFs
of this host alone, so that two hosts that know different things throw no packet to and fro.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_network

from controller.compiler.antispoof import DHCP_PORTS, MULTICAST_LISTENER, NEIGHBOUR_DISCOVERY
from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif, RemoteVif
from controller.compiler.flow import Flow, Origin, flow, goto, of_table
from controller.compiler.forward import outwards
from controller.compiler.parts import Part
from controller.compiler.router import network_digest, network_of, of_routers, subnets
from controller.compiler.router_answers import Fields, echo, to_outside
from controller.compiler.services import OUTSIDE, ask
from controller.dataplane.actions import DROP, Action, DecrementTtl, Instructions, IsLarger, Move, Resubmit, SetField
from controller.dataplane.asks import Ask
from controller.dataplane.cookies import CookieKind
from controller.dataplane.macs import link_local
from controller.dataplane.pipeline import FORWARD, MARKING, NEXT_HOP, ROUTE, WAY_OUT
from controller.dataplane.protocols import ETH_IPV4, ETH_IPV6, ICMP6, IGMP, UDP
from controller.dataplane.registers import (
    FLOOD_CHUNK,
    MEASURED,
    MOST_BYTES,
    NETWORK,
    NEXT_HOP4,
    NEXT_HOP6,
    SEGMENT,
    SOURCE_VIF,
    TOO_LARGE_BIT,
)
from policies.model import IPAddress, IPInterface, IPNetwork

_ETH_TYPE = {4: ETH_IPV4, 6: ETH_IPV6}
_NEXT_HOP = {4: NEXT_HOP4, 6: NEXT_HOP6}
# Of one link or one host alone: neither from there nor to there is anything routed.
_NEVER = tuple(
    map(
        ip_network,
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8"),
    )
)
_UNKNOWN_MAC = 0
_ETHERNET_BYTES = 14
_FORGET_MEASURE = SetField(FLOOD_CHUNK, 0), SetField(MOST_BYTES, 0)


def parts(bridge: Bridge) -> Iterator[Part]:
    routed = {name: segment for name, segment in bridge.segments.items() if segment.is_routed}
    ways_out = bridge.ways_out()
    used = any(vif.segment in routed for vif in bridge.vifs)
    if not (used or ways_out):
        return
    mac = next(iter(routed.values())).gateways[0].mac
    outer = [segment.way_out for segment in ways_out.values() if segment.way_out is not None]
    by_port = next((segment for segment in ways_out.values() if segment.is_transit), None)
    inner = tuple(gateway.address.ip for segment in routed.values() for gateway in segment.gateways)
    own = (*inner, *(address.ip for way_out in outer for address in way_out.addresses))
    yield Part("own addresses", (mac, own), partial(_own, mac, own))
    if outer:
        found = outwards(by_port) if by_port is not None else ()
        inputs_outside = outer[0].mac, own, found
        yield Part("own addresses outside", inputs_outside, partial(_own_outside, outer[0].mac, own, found))
    largest = max(segment.mtu for segment in routed.values())
    yield Part("route", subnets(bridge), partial(_common, subnets(bridge)))
    if any(_most(largest, segment) for segment in routed.values()):
        yield Part("too large", None, _too_large)
    for vif in bridge.vifs:
        if vif.segment in routed:
            segment = routed[vif.segment]
            most = _most(largest, segment)
            inputs_of_vif = vif.addresses, vif.mac, segment.number, mac, most
            yield Part(("route", vif.number), inputs_of_vif, partial(_to_vif, vif, segment.number, mac, most))
    for other in bridge.remote:
        transit = ways_out.get(other.transit) if other.transit is not None else None
        most = None if transit is None else _most(largest, routed[other.segment], transit)
        inputs = other.addresses, other.router_mac, transit, most
        yield Part(("route", other.number), inputs, partial(_to_remote, other, transit, most))
    for segment in ways_out.values():
        most = _most(largest, segment)
        yield Part(("route out", segment.number), (segment, most), partial(_to_outside, segment, most))


def _most(largest: int, *segments: BridgeSegment) -> int | None:
    """Bytes of a packet that all of these take; None: as many as any routed segment, so that nothing is measured."""
    least = min(segment.mtu for segment in segments)
    return least if least < largest else None


def _own(mac: int, own: Sequence[IPAddress]) -> Iterator[Flow]:
    for address in _with_link_local(own, mac):
        yield from echo(address, mac, of_table(ROUTE))


def _own_outside(mac: int, own: Sequence[IPAddress], found: Sequence[Action]) -> Iterator[Flow]:
    """Pings from the uplink, and what may not come from there. found: finds the port where it has several."""
    for address in _with_link_local(own, mac):
        yield from echo(address, mac, of_table(ROUTE), to_outside(*found))
    outside: Fields = {SOURCE_VIF: OUTSIDE}
    yield flow(ROUTE, 250, {**outside, "eth_src": of_routers(mac)}, of_table(ROUTE), DROP)
    yield flow(ROUTE, 140, outside, of_table(ROUTE), DROP)


def _with_link_local(own: Sequence[IPAddress], mac: int) -> list[IPAddress]:
    return [*own, IPv6Address(link_local(mac))] if any(address.version == 6 for address in own) else list(own)


def _common(inside: Sequence[IPNetwork]) -> Iterator[Flow]:
    table = of_table(ROUTE)
    for fields in _of_one_link():
        yield flow(ROUTE, 860, fields, table, DROP)
    for network in _NEVER:
        for side in ("src", "dst"):
            yield flow(ROUTE, 850, network_of(network.version, side, network), table, DROP)
    for eth_type in _ETH_TYPE.values():
        for ttl in (0, 1):
            yield flow(ROUTE, 800, {"eth_type": eth_type, "ip_ttl": ttl}, table, ask(Ask.TTL_EXCEEDED))
        yield flow(ROUTE, 10, {"eth_type": eth_type}, table, ask(Ask.NO_ROUTE))
    for network in inside:
        yield flow(ROUTE, 150, network_of(network.version, "dst", network), table, ask(Ask.NO_HOST))
        yield from _no_broadcast(160, network)


def _of_one_link() -> Iterator[Fields]:
    """What is between neighbours alone, and whole: all that skips the policy is among it."""
    yield {"eth_type": ETH_IPV4, "ip_proto": IGMP}
    for kind in (*NEIGHBOUR_DISCOVERY, *MULTICAST_LISTENER):
        yield {"eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": kind}
    for version, ports in DHCP_PORTS.items():
        for port in ports:
            yield {"eth_type": _ETH_TYPE[version], "ip_proto": UDP, "udp_dst": port}


def _too_large() -> Iterator[Flow]:
    for eth_type in _ETH_TYPE.values():
        measured: Fields = {"eth_type": eth_type, FLOOD_CHUNK: MEASURED | 1 << TOO_LARGE_BIT}
        yield flow(ROUTE, 700, measured, of_table(ROUTE), ask(Ask.TOO_BIG))


def _no_broadcast(priority: int, network: IPNetwork) -> Iterator[Flow]:
    """To a network's own address or to all its hosts nothing is routed (RFC 2644)."""
    if network.version == 4 and network.num_addresses > 2:
        for address in (network[0], network[-1]):
            yield flow(ROUTE, priority, _to(address), of_table(ROUTE), DROP)


def _fitting(priority: int, fields: Fields, origin: Origin, onwards: Instructions, most: int | None) -> Iterator[Flow]:
    """What matches goes onwards; where it may have `most` bytes only, once it has been measured."""
    if most is None:
        yield flow(ROUTE, priority, fields, origin, onwards)
        return
    measure = IsLarger(most + _ETHERNET_BYTES, FLOOD_CHUNK, TOO_LARGE_BIT)
    actions = SetField(FLOOD_CHUNK, MEASURED), SetField(MOST_BYTES, most), measure, Resubmit(ROUTE.id)
    yield flow(ROUTE, priority + 5, {**fields, FLOOD_CHUNK: 0}, origin, Instructions(apply=actions))
    yield flow(ROUTE, priority, fields, origin, replace(onwards, apply=(*_FORGET_MEASURE, *onwards.apply)))


def _to_vif(vif: BridgeVif, segment: int, mac: int, most: int | None) -> Iterator[Flow]:
    onwards = goto(
        FORWARD, DecrementTtl(), SetField("eth_src", mac), SetField("eth_dst", vif.mac), SetField(SEGMENT, segment)
    )
    for address in _distinct(vif.addresses):
        yield from _fitting(300, _to(address), (CookieKind.VIF, vif.number), onwards, most)


def _to_remote(vif: RemoteVif, transit: BridgeSegment | None, most: int | None) -> Iterator[Flow]:
    onwards = ask(Ask.NO_HOST)
    if transit is not None:
        to_host = SetField("eth_dst", vif.router_mac), SetField(SEGMENT, transit.number)
        onwards = goto(WAY_OUT, DecrementTtl(), *to_host)
    for address in _distinct(vif.addresses):
        yield from _fitting(200, _to(address), (CookieKind.VIF, vif.number), onwards, most)


def _to_outside(segment: BridgeSegment, most: int | None) -> Iterator[Flow]:
    assert segment.way_out is not None
    origin, way_out = (CookieKind.SEGMENT, segment.number), segment.way_out
    for network in _connected(way_out.addresses):
        version = network.version
        found = Move(f"ipv{version}_dst", _NEXT_HOP[version])
        yield from _fitting(100, network_of(version, "dst", network), origin, _by(segment, found), most)
        yield from _no_broadcast(110, network)
    for router in way_out.via:
        found_router = SetField(_NEXT_HOP[router.version], int(router))
        yield from _fitting(50, {"eth_type": _ETH_TYPE[router.version]}, origin, _by(segment, found_router), most)
    here: Fields = {SEGMENT: segment.number}
    yield flow(WAY_OUT, 200, {**here, "eth_dst": _UNKNOWN_MAC}, origin, ask(Ask.NEIGHBOUR))
    sent = SetField("eth_src", way_out.mac), SetField("came_in_by", 0)  # it may go out where it came in
    yield flow(WAY_OUT, 100, here, origin, goto(MARKING, *sent, *outwards(segment)))


def _by(segment: BridgeSegment, next_hop: Move | SetField) -> Instructions:
    """Out of this segment's uplink: the MAC of the next hop is looked up, or stays unknown."""
    unknown = SetField("eth_dst", _UNKNOWN_MAC)
    where = SetField(SEGMENT, segment.number), SetField(NETWORK, network_digest(segment))
    return goto(WAY_OUT, DecrementTtl(), *where, next_hop, unknown, Resubmit(NEXT_HOP.id))


def _connected(addresses: Sequence[IPInterface]) -> list[IPNetwork]:
    """What is on the uplink itself, but for link-local addresses, which are on every link."""
    networks: Mapping[IPNetwork, None] = dict.fromkeys(address.network for address in addresses)
    return [network for network in networks if not network.is_link_local]


def _distinct(addresses: Sequence[IPInterface]) -> list[IPAddress]:
    return list(dict.fromkeys(address.ip for address in addresses))


def _to(address: IPv4Address | IPv6Address) -> Fields:
    return {"eth_type": _ETH_TYPE[address.version], f"ipv{address.version}_dst": int(address)}
