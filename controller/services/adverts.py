"""Router advertisements: what an instance is told, and when (RFC 4861, 4862, 8106). Pure.

Addresses come by DHCPv6 (M is set) and never from a prefix (A is not): no others than the assigned get out of a VIF.
Prefixes are on link. Where no router is the router lifetime is 0, and the rest holds.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Network
from itertools import islice

from controller.dataplane.macs import link_local
from controller.services import discovery, ip
from controller.services.discovery import ROUTER_ADVERT, ROUTER_SOLICIT
from controller.services.terms import Terms

LIFETIME_S = 9000  # of everything that is told; RFC 4861's most: no controller for two hours leaves no instance alone
PERIOD_S = 600.0
MOST_AT_ONCE = 64  # VIFs: a switch is sent no more at once than it takes
_FIRST_S = 30.0  # in which those that a new controller finds get theirs

_HEAD = struct.Struct("!BBHBBHII")
_PREFIX = struct.Struct("!BBBBII4x16s")
_PREFIX_OPTION, _MTU_OPTION, _DNS_OPTION = 3, 5, 25
_MANAGED, _OTHER = 0x80, 0x40
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_MOST_PREFIXES, _MOST_SERVERS = 16, 8  # what fits into a packet of 1,280 bytes, which any link takes


def body_of(terms: Terms) -> bytes | None:
    """The ICMPv6 message; None: the segment has no IPv6 of Weir's."""
    if not terms.prefixes6:
        return None
    lifetime_s = LIFETIME_S if terms.has_gateway6 else 0
    parts = [_HEAD.pack(ROUTER_ADVERT, 0, 0, ip.HOP_LIMIT, _MANAGED | _OTHER, lifetime_s, 0, 0)]
    parts.append(struct.pack("!BBHI", _MTU_OPTION, 1, 0, terms.mtu))
    for prefix in terms.prefixes6[:_MOST_PREFIXES]:
        place = prefix.prefixlen, _ON_LINK, LIFETIME_S, LIFETIME_S, prefix.network_address.packed
        parts.append(_PREFIX.pack(_PREFIX_OPTION, 4, *place))
    if terms.dns6:
        servers = terms.dns6[:_MOST_SERVERS]
        parts.append(struct.pack("!BBHI", _DNS_OPTION, 1 + 2 * len(servers), 0, LIFETIME_S))
        parts += [server.packed for server in servers]
    parts.append(discovery.link_option(discovery.SOURCE_LINK, terms.router_mac))
    return b"".join(parts)


def answer(terms: Terms, frame: bytes) -> bytes | None:
    """The frame for the instance that sent this solicitation; None: none is due."""
    packet = discovery.read(frame, ROUTER_SOLICIT)
    body = body_of(terms)
    if packet is None or body is None or discovery.read_options(packet.payload[8:]) is None:
        return None
    if packet.source == bytes(16):  # it has no address yet
        return discovery.to_all_nodes(terms.router_mac, body)
    ends = link_local(terms.router_mac).to_bytes(16, "big"), packet.source
    return discovery.message((terms.router_mac, terms.mac), ends, body)


def unasked(terms: Terms) -> bytes | None:
    """The frame that every VIF gets from time to time. None: nothing is to be told."""
    body = body_of(terms)
    return None if body is None else discovery.to_all_nodes(terms.router_mac, body)


@dataclass(frozen=True, slots=True)
class Prefix:
    """From somebody's advertisement: hosts may make themselves an address of it."""

    network: IPv6Network
    valid_s: int


def read_prefixes(frame: bytes) -> list[Prefix] | None:
    """What a router outside offers, so many at most; those that hosts make no address of (RFC 4862, 5.5.3) are left
    out.

    None: no advertisement that a host believes.
    """
    packet = discovery.read(frame, ROUTER_ADVERT)
    if packet is None or len(packet.payload) < _HEAD.size or packet.source[:1] != b"\xfe":
        return None
    options = discovery.read_options(packet.payload[_HEAD.size :])
    if options is None:
        return None
    offered = (value for option, value in options if option == _PREFIX_OPTION)
    return [found for value in islice(offered, _MOST_PREFIXES) for found in _prefix(value)]


def _prefix(value: bytes) -> Iterable[Prefix]:
    if len(value) != _PREFIX.size - 2:
        return
    _, _, length, flags, valid_s, preferred_s, packed = _PREFIX.unpack(b"\0\0" + value)
    if not flags & _AUTONOMOUS or length != 64 or preferred_s > valid_s or packed[0] == 0xFF:
        return
    network = IPv6Network((packed, length), strict=False)
    if not (network.is_link_local or int(network.network_address) == 0):
        yield Prefix(network, valid_s)


class AdvertBook:
    """When each VIF of one bridge is told next. What has changed is told at once, to so many at a time."""

    def __init__(self, now_s: float) -> None:
        self._start_s = self._look_s = now_s
        self._wanted: Mapping[int, bytes] = {}
        self._due: dict[int, tuple[bytes, float]] = {}  # by VIF number: what it is told, and when

    def due(self, wanted: Mapping[int, bytes], now_s: float) -> list[tuple[int, bytes]]:
        """VIF number and frame of what is to be sent now. wanted: by VIF number what each is to be told; the same
        object for as long as it is the same."""
        if wanted is self._wanted and now_s < self._look_s:
            return []
        for number in self._due.keys() - wanted.keys():
            del self._due[number]
        sent: list[tuple[int, bytes]] = []
        for number, frame in wanted.items():
            told, at_s = self._due.get(number, (frame, self._first_s(number, now_s)))
            if told != frame or at_s <= now_s:
                if len(sent) == MOST_AT_ONCE:
                    at_s, frame = now_s, told  # in the next round
                else:
                    sent.append((number, frame))
                    at_s = now_s + PERIOD_S * (0.75 + 0.25 * _spread(number))
            self._due[number] = frame, at_s
        self._wanted = wanted
        self._look_s = min((at_s for _, at_s in self._due.values()), default=math.inf)
        return sent

    def _first_s(self, number: int, now_s: float) -> float:
        """Those that were there before the book are told of a router that they know, one after the other."""
        return now_s if now_s > self._start_s else now_s + _FIRST_S * _spread(number)


def _spread(number: int) -> float:
    """0..1, far apart for numbers that follow each other."""
    return number * 0.6180339887 % 1.0
