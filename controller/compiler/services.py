"""Table punt, and what is sent there for one VIF alone: what it asks of Weir, and what it is told from outside.

The first is never forwarded: the controller answers. The second reaches the VIF as ever, and a copy the controller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from controller.compiler.antispoof import DHCP4_CLIENT, DHCP6_CLIENT, ROUTER_SOLICIT
from controller.compiler.bridge import Bridge, BridgeVif
from controller.compiler.conntrack import unjudged
from controller.compiler.flow import Flow, flow, goto
from controller.compiler.parts import Part
from controller.dataplane.actions import Clone, Controller, Instructions, SetField
from controller.dataplane.asks import Ask
from controller.dataplane.cookies import CookieKind
from controller.dataplane.entries import Meter, PacketMeterBody
from controller.dataplane.match import FieldValue
from controller.dataplane.meter_ids import NEIGHBOUR_METER, SERVICE_METERS
from controller.dataplane.pipeline import FORWARD, INGRESS_CONNTRACK, PUNT, ROUTER
from controller.dataplane.protocols import ETH_IPV6, ICMP6
from controller.dataplane.registers import ASK, SOURCE_VIF, TARGET_VIF

SERVICE_METER = PacketMeterBody(rate_pps=20, burst_packets=40)  # for each VIF, and for all outside together
# What neighbours outside answer, and ask: apart, so that who scans the subnets from there cuts nobody off.
NEIGHBOUR_METER_BODY = PacketMeterBody(rate_pps=100, burst_packets=200)
WHOLE = 0xFFFF  # bytes of a copy: it may have to be sent on
OUTSIDE = 0
ROUTER_ADVERT = 134


def parts(bridge: Bridge) -> Iterator[Part]:
    for number in _asking(bridge):
        yield Part(("punt", number), None, partial(_punt, number))
    if bridge.ways_out():
        yield Part("punt of neighbours", None, _punt_of_neighbours)
    for vif in bridge.vifs:
        if vif.is_served:
            yield Part(("served", vif.number), None, partial(_served, vif))
        if bridge.segments[vif.segment].learns:
            yield Part(("learns", vif.number), None, partial(_told, vif))


def meters(bridge: Bridge) -> Mapping[int, Meter]:
    of_neighbours = {NEIGHBOUR_METER: NEIGHBOUR_METER_BODY} if bridge.ways_out() else {}
    return {meter_of(number): SERVICE_METER for number in _asking(bridge)} | of_neighbours


def ask(what: Ask) -> Instructions:
    """The packet as it is now goes to the controller, and nowhere else."""
    return goto(PUNT, SetField(ASK, what))


def meter_of(number: int) -> int:
    """Id of the meter of what a VIF, or OUTSIDE, asks."""
    return SERVICE_METERS.start + number


def _asking(bridge: Bridge) -> list[int]:
    """Who may ask anything: numbers of VIFs, and OUTSIDE where the router has a way out here."""
    numbers = [
        vif.number
        for vif in bridge.vifs
        if vif.is_served or bridge.segments[vif.segment].learns or bridge.segments[vif.segment].is_routed
    ]
    return [OUTSIDE, *numbers] if bridge.ways_out() else numbers


def _punt(number: int) -> Iterator[Flow]:
    copy = Controller(WHOLE, meter_of(number))
    yield flow(PUNT, 100, {SOURCE_VIF: number}, (CookieKind.SERVICE, number), Instructions(apply=(copy,)))


def _punt_of_neighbours() -> Iterator[Flow]:
    copy = Instructions(apply=(Controller(WHOLE, NEIGHBOUR_METER),))
    for what in (Ask.NEIGHBOUR_ANSWER, Ask.NEIGHBOUR_SOLICIT):
        yield flow(PUNT, 110, {SOURCE_VIF: OUTSIDE, ASK: what}, (CookieKind.SERVICE, OUTSIDE), copy)


def _served(vif: BridgeVif) -> Iterator[Flow]:
    solicit: dict[str, FieldValue] = {"eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": ROUTER_SOLICIT}
    for fields, what in ((DHCP4_CLIENT, Ask.DHCP4), (DHCP6_CLIENT, Ask.DHCP6), (solicit, Ask.ROUTER_SOLICIT)):
        yield flow(ROUTER, 195, {**fields, SOURCE_VIF: vif.number}, (CookieKind.SERVICE, vif.number), ask(what))


def _told(vif: BridgeVif) -> Iterator[Flow]:
    """Metered for the VIF, not for the outside: an advertisement to all is a copy for each. What the VIF itself says to
    servers is forwarded, and shown too."""
    advert: dict[str, FieldValue] = {"eth_type": ETH_IPV6, "ip_proto": ICMP6, "icmpv6_type": ROUTER_ADVERT}
    copy = SetField(ASK, Ask.LEASE), Controller(WHOLE, meter_of(vif.number))
    for fields in (_answers(DHCP4_CLIENT), _answers(DHCP6_CLIENT), advert):
        told = {**fields, SOURCE_VIF: OUTSIDE, TARGET_VIF: vif.number}
        yield flow(INGRESS_CONNTRACK, 210, told, (CookieKind.SERVICE, vif.number), unjudged(*copy))
    for client in (DHCP4_CLIENT, DHCP6_CLIENT):  # it may release what it has
        says = {**client, SOURCE_VIF: vif.number}
        yield flow(ROUTER, 195, says, (CookieKind.SERVICE, vif.number), goto(FORWARD, Clone(copy)))


def _answers(client: dict[str, FieldValue]) -> dict[str, FieldValue]:
    return {**client, "udp_src": client["udp_dst"], "udp_dst": client["udp_src"]}
