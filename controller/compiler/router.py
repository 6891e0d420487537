"""Table router: what is asked of the router, and what is to be routed, is taken out of its segment; the rest goes on.

An instance finds at its gateway's address, and at those of VIFs of its segment on other hosts, the one MAC that the
router has in every segment. On an uplink each host's router has its own. Neighbours there are learned from what they
answer, and from what they ask.

The kernel's datapath cannot make an advertisement of a solicitation: there the controller answers neighbour discovery.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_network

from controller.compiler import router_answers as answers
from controller.compiler.antispoof import NEIGHBOUR_ADVERT
from controller.compiler.bridge import Bridge, BridgeSegment, Gateway, RemoteVif, WayOut
from controller.compiler.flow import Flow, Origin, flow, goto, of_table
from controller.compiler.forward import outwards, passing
from controller.compiler.parts import Part
from controller.compiler.router_answers import GATEWAY_FLAGS, PROXY_FLAGS, ROUTER_FLAGS, Fields
from controller.compiler.services import OUTSIDE, ask
from controller.dataplane.actions import DROP, Instructions, Learn
from controller.dataplane.asks import Ask
from controller.dataplane.cookies import LEARNED, CookieKind
from controller.dataplane.macs import link_local
from controller.dataplane.match import FieldValue
from controller.dataplane.pipeline import NEXT_HOP, ROUTE, ROUTER
from controller.dataplane.protocols import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP6
from controller.dataplane.registers import NETWORK, NEXT_HOP4, NEXT_HOP6, SEGMENT, SOURCE_VIF
from policies.model import IPInterface, IPNetwork, SegmentType

ROUTERS = 0xFFFF_FFFF_0000  # of the MAC of a host's router: what those of all hosts of a system have in common
NEIGHBOUR_IDLE_S, MOST_NEIGHBOURS = 300, 1024  # of one uplink's segment
_ETH_TYPE = {4: ETH_IPV4, 6: ETH_IPV6}
_SOLICITED_NODE = (0xFF02_0000_0000_0000_0000_0001_FF00_0000, (1 << 128) - (1 << 24))
_ABSENT = 0  # what the switch holds for a link-layer address option that the packet does not have
_NOBODY = 0  # the sender of an ARP probe
_REQUEST, _REPLY = 1, 2


def parts(bridge: Bridge) -> Iterator[Part]:
    routed = {name: segment for name, segment in bridge.used_segments().items() if segment.is_routed}
    writes = bridge.writes_adverts
    if routed and writes:
        gateway_mac = next(iter(routed.values())).gateways[0].mac
        yield Part("advertise", gateway_mac, lambda: [answers.second_step(gateway_mac, of_table(ROUTER))])
    for segment in routed.values():
        inputs = segment.number, segment.gateways, writes
        yield Part(("router", segment.number), inputs, partial(_of_segment, *inputs))
    for vif in bridge.remote:
        if vif.segment in routed:
            segment = routed[vif.segment]
            inputs_of_vif = segment.number, segment.gateways, vif.addresses, writes
            yield Part(("proxy", vif.number), inputs_of_vif, partial(_proxy, vif, segment, writes))
    ways_out, inside = bridge.ways_out(), (*subnets(bridge), *_internal(bridge))
    for name, segment in ways_out.items():
        own = tuple(address for other in ways_out.values() if other.way_out for address in other.way_out.addresses)
        yield Part(
            ("way out", name), (segment, inside, own, writes), partial(_of_way_out, segment, inside, own, writes)
        )


def subnets(bridge: Bridge) -> tuple[IPNetwork, ...]:
    """Of all routed segments."""
    return tuple(
        gateway.address.network for segment in bridge.segments.values() for gateway in segment.gateways
    )  # fmt: skip


def _internal(bridge: Bridge) -> Iterator[IPNetwork]:
    """Subnets of internal segments: nothing outside has their addresses."""
    for segment in bridge.policies.segments.values():
        if segment.type is SegmentType.INTERNAL:
            yield from segment.subnets


def network_of(version: int, side: str, network: IPNetwork) -> Fields:
    """What an entry matches for packets from ("src") or to ("dst") a network."""
    ends = int(network.network_address), int(network.netmask)
    return {"eth_type": _ETH_TYPE[version], f"ipv{version}_{side}": ends}


def network_digest(segment: BridgeSegment) -> int:
    """32 bits that say which network the segment's uplink is in: neighbours learned in another one are none here."""
    return zlib.crc32(f"{segment.uplink_ofports} {segment.vlan}".encode())


def of_routers(mac: int) -> FieldValue:
    """The eth_src of what comes from any host's router. mac: of this one's."""
    return mac & ROUTERS, ROUTERS


def _of_segment(number: int, gateways: Sequence[Gateway], writes_adverts: bool) -> Iterator[Flow]:
    """gateways: at least one; all have one MAC."""
    origin, mac, inside = (CookieKind.SEGMENT, number), gateways[0].mac, {SEGMENT: number}
    own6 = {link_local(mac), *(int(one.address.ip) for one in gateways if one.address.version == 6)}
    for gateway in gateways:
        if gateway.address.version == 4:
            yield _answer_arp(inside, int(gateway.address.ip), mac, origin)
    for target in sorted(own6):
        yield from _solicited({**inside, **answers.solicit(target)}, mac, GATEWAY_FLAGS, origin, writes_adverts)
    for eth_type in (ETH_IPV4, ETH_IPV6):
        yield flow(ROUTER, 170, {**inside, "eth_dst": mac, "eth_type": eth_type}, origin, goto(ROUTE))


def _proxy(vif: RemoteVif, segment: BridgeSegment, writes_adverts: bool) -> Iterator[Flow]:
    """An address that is a gateway's as well is the gateway's: elsewhere nobody's fault stops this bridge."""
    origin, inside, mac = (CookieKind.VIF, vif.number), {SEGMENT: segment.number}, segment.gateways[0].mac
    gateways = {gateway.address.ip for gateway in segment.gateways}
    for address in vif.addresses:
        if address.ip in gateways:
            continue
        if address.version == 4:
            yield _answer_arp(inside, int(address.ip), mac, origin)
        else:
            fields = {**inside, **answers.solicit(int(address.ip))}
            yield from _solicited(fields, mac, PROXY_FLAGS, origin, writes_adverts)


def _answer_arp(inside: dict[str, int], address: int, mac: int, origin: Origin) -> Flow:
    fields: Fields = {**inside, **answers.arp_request(address)}
    return flow(ROUTER, 180, fields, origin, answers.to_instance(answers.arp_answer(address, mac)))


def _solicited(fields: Fields, mac: int, flags: int, origin: Origin, writes_adverts: bool) -> Iterator[Flow]:
    """fields: of the solicitation. An answer of the switch is as long as the question: one without the asker's MAC
    leaves no room for the router's, which it needs unless it had asked that MAC."""
    if not writes_adverts:
        yield flow(ROUTER, 190, fields, origin, ask(Ask.NEIGHBOUR_SOLICIT))
        return
    bare: Fields = {**fields, "ipv6_nd_sll": _ABSENT}
    to_all: Fields = {**bare, "ipv6_dst": _SOLICITED_NODE}
    yield flow(ROUTER, 190, to_all, origin, ask(Ask.NEIGHBOUR_SOLICIT))
    target = fields["ipv6_nd_target"]
    assert isinstance(target, int)
    short, long = (answers.advertise(target, mac, flags, has_option) for has_option in (False, True))
    yield flow(ROUTER, 185, bare, origin, answers.to_instance(short))
    yield flow(ROUTER, 180, fields, origin, answers.with_option(long))


def _of_way_out(
    segment: BridgeSegment, inside: Sequence[IPNetwork], own: Sequence[IPInterface], writes_adverts: bool
) -> Iterator[Flow]:
    """What comes in where the router has its way out. inside: all routed and internal subnets. own:
    the router's addresses outside.

    From inside nothing can come that another host's router did not send. What is for nobody here passes at most.
    """
    assert segment.way_out is not None
    way_out, origin = segment.way_out, _origin(segment)
    here: Fields = {**_here(segment), "eth_dst": way_out.mac}
    for eth_type in _ETH_TYPE.values():
        routed: Fields = {**here, "eth_type": eth_type}
        yield flow(ROUTER, 260, {**routed, "eth_src": of_routers(way_out.mac)}, origin, goto(ROUTE))
        yield flow(ROUTER, 240, routed, origin, goto(ROUTE))
    for network in (*inside, *(ip_network(address.ip) for address in own)):
        yield flow(ROUTER, 250, {**here, **network_of(network.version, "src", network)}, origin, DROP)
    yield from _neighbours4(segment, way_out)
    yield from _neighbours6(segment, way_out, writes_adverts)
    yield flow(ROUTER, 200, _here(segment), origin, passing(segment))


def _neighbours4(segment: BridgeSegment, way_out: WayOut) -> Iterator[Flow]:
    origin = _origin(segment)
    here: Fields = {**_here(segment), "eth_type": ETH_ARP}
    learn = _learned(segment, ETH_IPV4, NEXT_HOP4, "arp_spa", "arp_sha")
    for router in way_out.via:
        if router.version == 4:  # it may have moved to another machine, and says so
            told: Fields = {**here, "arp_op": _REQUEST, "arp_spa": int(router)}
            yield flow(ROUTER, 280, told, origin, _after(learn, passing(segment)))
    for address in way_out.addresses:
        if address.version == 6:
            continue
        network, own = address.network, int(address.ip)
        neighbour = int(network.network_address), int(network.netmask)
        asked: Fields = {**here, **answers.arp_request(own)}
        says: Fields = {**here, "arp_op": _REPLY, "arp_spa": neighbour}
        onwards = passing(segment)
        if way_out.answers:
            onwards = answers.to_outside(*answers.arp_answer(own, way_out.mac), *outwards(segment))
            yield flow(ROUTER, 300, {**asked, "arp_spa": _NOBODY}, origin, onwards)
        yield flow(ROUTER, 310, {**here, "arp_spa": own}, origin, passing(segment))
        yield flow(ROUTER, 290, {**asked, "arp_spa": neighbour}, origin, _after(learn, onwards))
        copied = _after(learn, ask(Ask.NEIGHBOUR_ANSWER))
        yield flow(ROUTER, 290, {**says, "eth_dst": way_out.mac}, origin, copied)
        yield flow(ROUTER, 285, says, origin, _after(learn, passing(segment)))


def _neighbours6(segment: BridgeSegment, way_out: WayOut, writes_adverts: bool) -> Iterator[Flow]:
    """Each host's router has a link-local address of its own; the others are of all of them, and one answers."""
    own = {int(address.ip) for address in way_out.addresses if address.version == 6}
    if not own:
        return
    origin, here = _origin(segment), _here(segment)
    heard = _learned(segment, ETH_IPV6, NEXT_HOP6, "ipv6_src", "ipv6_nd_sll")
    told = _learned(segment, ETH_IPV6, NEXT_HOP6, "ipv6_nd_target", "ipv6_nd_tll")
    answer = answers.to_outside(*outwards(segment))
    for target in sorted((own if way_out.answers else set()) | {link_local(way_out.mac)}):
        fields: Fields = {**here, **answers.solicit(target)}
        bare: Fields = {**fields, "ipv6_nd_sll": _ABSENT}
        if not writes_adverts:
            yield flow(ROUTER, 300, bare, origin, ask(Ask.NEIGHBOUR_SOLICIT))
            yield flow(ROUTER, 290, fields, origin, _after(heard, ask(Ask.NEIGHBOUR_SOLICIT)))
            continue
        short = answers.advertise(target, way_out.mac, ROUTER_FLAGS, has_option=False)
        long = answers.advertise(target, way_out.mac, ROUTER_FLAGS, has_option=True)
        to_all: Fields = {**bare, "ipv6_dst": _SOLICITED_NODE}
        yield flow(ROUTER, 310, to_all, origin, ask(Ask.NEIGHBOUR_SOLICIT))
        yield flow(ROUTER, 300, bare, origin, replace(answer, apply=(*short, *answer.apply)))
        yield flow(ROUTER, 290, fields, origin, answers.with_option((heard, *long)))
    if writes_adverts:
        yield answers.second_step(way_out.mac, origin, answer, **here)
    advert: Fields = {
        **here, "eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": NEIGHBOUR_ADVERT, "icmpv6_code": 0,
        "ip_ttl": answers.ON_LINK_HOPS,
    }  # fmt: skip
    for target in sorted(own):
        yield flow(ROUTER, 310, {**advert, "ipv6_nd_target": target}, origin, passing(segment))
    yield flow(ROUTER, 300, {**advert, "ipv6_nd_tll": _ABSENT}, origin, passing(segment))
    copied = _after(told, ask(Ask.NEIGHBOUR_ANSWER))
    yield flow(ROUTER, 290, {**advert, "eth_dst": way_out.mac}, origin, copied)
    yield flow(ROUTER, 285, advert, origin, _after(told, passing(segment)))


def _learned(segment: BridgeSegment, eth_type: int, register: str, address: str, mac: str) -> Learn:
    return Learn(
        NEXT_HOP.id,
        100,
        LEARNED | segment.number,
        ((SEGMENT, segment.number), (NETWORK, network_digest(segment)), ("eth_type", eth_type), (register, address)),
        (("eth_dst", mac),),
        NEIGHBOUR_IDLE_S,
        MOST_NEIGHBOURS,
    )


def _after(learn: Learn, onwards: Instructions) -> Instructions:
    return replace(onwards, apply=(learn, *onwards.apply))


def _here(segment: BridgeSegment) -> dict[str, FieldValue]:
    return {SOURCE_VIF: OUTSIDE, SEGMENT: segment.number}


def _origin(segment: BridgeSegment) -> Origin:
    return CookieKind.SEGMENT, segment.number
