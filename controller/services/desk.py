"""Serves one bridge: what is asked, and what is due, becomes frames to send. Pure; the clock is an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from controller.compiler.bridge import BridgeSegment, BridgeVif, WayOut
from controller.dataplane.asks import Ask
from controller.dataplane.macs import link_local
from controller.services import adverts, arp, dhcp4, dhcp6, discovery, icmp, ip, snoop
from controller.services.adverts import AdvertBook
from controller.services.announcements import AnnouncementBook, Flood
from controller.services.neighbours import Answer, Held, Key, NeighbourBook
from controller.services.place import Place, outside_address, router_address
from controller.services.questions import OUTSIDE, Question
from controller.services.snoop import Told

_MAC_AND_MAC = 12  # bytes of a frame
_NOBODY = IPv4Address(0)  # as a host asks whether somebody has its address (RFC 5227): nobody learns from it


@dataclass(frozen=True, slots=True)
class Said:
    """frames: to be sent, with the port out of which each goes. told: by VIF number, what it was told from outside.
    floods: frames that go out of several ports each.
    """

    frames: tuple[tuple[int, bytes], ...] = ()
    told: tuple[tuple[int, tuple[Told, ...]], ...] = ()
    floods: tuple[Flood, ...] = ()


class Desk:
    """counts: asked; of these answered at once, and ignored; held: how many packets wait for a neighbour now.

    What is only a copy is neither answered nor ignored.
    """

    def __init__(self, now_s: float) -> None:
        self._neighbours, self._adverts = NeighbourBook(), AdvertBook(now_s)
        self._announcements = AnnouncementBook()
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        named = {name: self._counts[name] for name in ("asked", "answered", "ignored")}
        return {**named, "held": self._neighbours.held}

    def asked(self, question: Question | None, place: Place, now_s: float) -> Said:
        """question: None: one that cannot be read."""
        self._counts["asked"] += 1
        said = None if question is None else self._answer(question, place, now_s)
        self._counts["ignored"] += said is None
        self._counts["answered"] += said is not None and bool(said.frames)
        return said or Said()

    def due(self, place: Place, now_s: float) -> Said:
        """What nobody asked for: router advertisements, questions for neighbours, and that these stay silent; where
        addresses are now.
        """
        frames: list[tuple[int, bytes]] = []
        for number, frame in self._adverts.due(place.adverts, now_s):
            frames.append((place.vifs[number].ofport, frame))
        return Said((*frames, *self._neighbours_due(place, now_s)), floods=tuple(self._announcements.due(place)))

    def _answer(self, question: Question, place: Place, now_s: float) -> Said | None:
        ask = question.ask
        if ask is Ask.LEASE:
            return _overheard(question, place)
        if ask is Ask.NEIGHBOUR:
            return self._hold(question, place, now_s)
        if ask is Ask.NEIGHBOUR_ANSWER:
            return self._neighbour_answered(question, place, now_s)
        if ask is Ask.NEIGHBOUR_SOLICIT:
            return _advertised(question, place)
        if ask in icmp.COMPLAINTS:
            return _complaint(question, place)
        vif = place.vifs.get(question.vif)
        if vif is None or not vif.is_served:
            return None
        answer = _SERVICES[ask](place, vif, question.frame)
        return None if answer is None else Said(((vif.ofport, answer),))

    def _hold(self, question: Question, place: Place, now_s: float) -> Said | None:
        """Until the neighbour answers. Of those that come just after it did nobody needs to wait."""
        segment = place.segments.get(question.segment)
        way = place.way_out(segment)
        if segment is None or way is None or question.next_hop is None or question.vif == OUTSIDE:
            return None
        key = segment.number, question.next_hop
        frame = question.frame if question.dscp is None else ip.with_dscp(question.frame, question.dscp)
        known = self._neighbours.known(key, now_s)
        if known is not None:
            return Said(_out(segment, way, known, [frame]))
        if not self._neighbours.hold(key, Held(question.vif, frame), now_s):
            return None
        return Said(tuple(self._neighbours_due(place, now_s)))

    def _neighbour_answered(self, question: Question, place: Place, now_s: float) -> Said | None:
        segment = place.segments.get(question.segment)
        way = place.way_out(segment)
        told = arp.read_reply(question.frame) or discovery.read_advertisement(question.frame)
        if segment is None or way is None or told is None:
            return None
        answer = Answer(told[1], question.in_port)
        held = self._neighbours.answered((segment.number, told[0]), answer, now_s)
        return Said(_out(segment, way, answer, [one.frame for one in held if one.vif in place.vifs]))

    def _neighbours_due(self, place: Place, now_s: float) -> Iterable[tuple[int, bytes]]:
        due = self._neighbours.due(place.routers, now_s)
        for key in due.ask:
            yield from _question_to(place, key)
        for held in due.failed:
            vif = place.vifs.get(held.vif)
            if vif is not None:
                lost = Question(Ask.NO_HOST, held.vif, place.segment_of(vif).number, vif.ofport, held.frame)
                told = _complaint(lost, place)
                yield from () if told is None else told.frames


def _out(segment: BridgeSegment, way: WayOut, to: Answer, frames: Iterable[bytes]) -> tuple[tuple[int, bytes], ...]:
    """From the router to this neighbour."""
    macs = to.mac.to_bytes(6, "big") + way.mac.to_bytes(6, "big")
    return tuple((to.port, ip.tagged(macs + frame[_MAC_AND_MAC:], segment.vlan)) for frame in frames)


def _question_to(place: Place, key: Key) -> Iterable[tuple[int, bytes]]:
    """A host that does not answer for the router's addresses does not ask in their name either, or what is meant for
    them would come to it: it asks as nobody, or from its own link-local address."""
    segment, target = place.segments.get(key[0]), key[1]
    way = place.way_out(segment)
    own = None if way is None else outside_address(way, target)
    if segment is None or way is None or own is None:
        return
    if isinstance(target, IPv4Address):
        frame = arp.request(way.mac, IPv4Address(own) if way.answers else _NOBODY, target)
    else:
        source = IPv6Address(own) if way.answers else IPv6Address(link_local(way.mac))
        frame = discovery.solicitation(way.mac, source, target)
    for port in segment.uplink_ofports:
        yield port, ip.tagged(frame, segment.vlan)


def _complaint(question: Question, place: Place) -> Said | None:
    """From the router's address in the segment where the packet came in, back to where it came from."""
    packet, target = ip.read(question.frame), place.segments.get(question.segment)
    if packet is None:
        return None
    source = ip_address(packet.source)
    vif = place.vifs.get(question.vif)
    if vif is not None:
        segment = place.segment_of(vif)
        router, port, tag = router_address(segment.gateways, source), vif.ofport, None
        macs = place.terms(vif).router_mac, vif.mac
    else:
        way = place.way_out(target)
        if question.vif != OUTSIDE or target is None or way is None:
            return None
        router, port, tag = outside_address(way, source), question.in_port, target.vlan
        macs = way.mac, int.from_bytes(question.frame[6:_MAC_AND_MAC], "big")
    answer = None if router is None else icmp.complaint(question.ask, question.frame, router, question.most_bytes)
    return None if answer is None else Said(((port, ip.tagged(ip.frame_of(*macs, answer), tag)),))


def _advertised(question: Question, place: Place) -> Said | None:
    """To who asks for an address of the router's, or, in a routed segment, of a VIF that is on another host."""
    target = discovery.asked_for(question.frame)
    if target is None:
        return None
    vif = place.vifs.get(question.vif)
    if vif is not None:
        segment = place.segment_of(vif)
        own = {gateway.address.ip: gateway.mac for gateway in segment.gateways}
        own |= {IPv6Address(link_local(mac)): mac for mac in own.values()}
        is_remote = place.is_remote(vif.segment, target)
        mac = own.get(target) or (place.terms(vif).router_mac if is_remote and own else None)
        port, tag = vif.ofport, None
    else:
        segment, is_remote = place.segments.get(question.segment) or BridgeSegment(0), False
        way = place.way_out(segment)
        if way is None or question.vif != OUTSIDE:
            return None
        addresses = {one.ip for one in way.addresses} if way.answers else set()
        mac = way.mac if target in {*addresses, IPv6Address(link_local(way.mac))} else None
        port, tag = question.in_port, segment.vlan
    answer = None if mac is None else discovery.advertisement(question.frame, target, mac, overrides=not is_remote)
    return None if answer is None else Said(((port, ip.tagged(answer, tag)),))


def _overheard(question: Question, place: Place) -> Said | None:
    """What a VIF is told of its addresses, or says that it gives up."""
    vif = place.vifs.get(question.vif)
    if vif is None or not place.segment_of(vif).learns:
        return None
    read = snoop.read_given_up(question.frame) if question.is_own else snoop.read_told(question.frame, vif.mac)
    return Said(told=((vif.number, tuple(read)),))


def _dhcp4(place: Place, vif: BridgeVif, frame: bytes) -> bytes | None:
    return dhcp4.answer(place.terms(vif), frame)


def _dhcp6(place: Place, vif: BridgeVif, frame: bytes) -> bytes | None:
    return dhcp6.answer(place.terms(vif), frame)


def _router(place: Place, vif: BridgeVif, frame: bytes) -> bytes | None:
    return adverts.answer(place.terms(vif), frame)


_SERVICES: Mapping[Ask, Callable[[Place, BridgeVif, bytes], bytes | None]] = {
    Ask.DHCP4: _dhcp4,
    Ask.DHCP6: _dhcp6,
    Ask.ROUTER_SOLICIT: _router,
}
