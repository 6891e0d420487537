"""ICMP errors of both families, and to whom none is sent (RFC 1122, 1812, 4443). Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from controller.dataplane.asks import Ask
from controller.services import ip
from controller.services.ip import Packet

_HEADER = struct.Struct("!BBHI")
_GROUP_BIT = 1

Kind = tuple[int, int]  # type and code


@dataclass(frozen=True, slots=True)
class _Family:
    """most_bytes: of an error. unanswered: types."""

    protocol: int
    most_bytes: int
    unanswered: frozenset[int]


_FAMILIES = {
    4: _Family(ip.ICMP, 576 - ip.HEADERS[4], frozenset({3, 4, 5, 11, 12})),  # RFC 1812: 4.3.2.3
    6: _Family(ip.ICMP6, 1280 - ip.HEADERS[6], frozenset({*range(128), 137})),  # RFC 4443: 2.4; 137: redirect
}
_KINDS: dict[Ask, dict[int, Kind]] = {
    Ask.TTL_EXCEEDED: {4: (11, 0), 6: (3, 0)},
    Ask.NO_ROUTE: {4: (3, 0), 6: (1, 0)},
    Ask.NO_HOST: {4: (3, 1), 6: (1, 3)},
    Ask.TOO_BIG: {4: (3, 4), 6: (2, 0)},
}
COMPLAINTS = frozenset(_KINDS)


def is_quotable(frame: bytes, packet: Packet) -> bool:
    """Whether an error about the packet may be sent: from and to one host, on Ethernet too."""
    group = (frame[0] | frame[6]) & _GROUP_BIT
    return not group and ip.is_one_host(packet.source) and ip.is_one_host(packet.destination)


def complaint(ask: Ask, frame: bytes, router: bytes, mtu: int = 0) -> bytes | None:
    """The IP packet that tells the sender why the router, with this address, did not pass the frame on.

    ask: of COMPLAINTS. mtu: of where it was too big for. None where no error may be sent.
    """
    packet = ip.read(frame)
    if packet is None or len(router) != len(packet.source) or not is_quotable(frame, packet):
        return None
    return error(packet, _KINDS[ask][packet.version], router, mtu if ask is Ask.TOO_BIG else 0)


def error(packet: Packet, kind: Kind, source: bytes, rest: int = 0) -> bytes | None:
    """The IP packet with an error that quotes `packet`, to its sender. rest: the header's last 32 bits.

    None for an ICMP error or redirect, and for what is cut so short that its sender could not tell whose it was.
    """
    family = _FAMILIES[packet.version]
    least = 8 if packet.protocol in (ip.UDP, family.protocol) else min(8, packet.size)
    is_icmp = packet.protocol == family.protocol
    if len(packet.payload) < least or (is_icmp and packet.payload[0] in family.unanswered):
        return None
    head = _HEADER.pack(*kind, 0, rest)
    body = head + packet.whole[: family.most_bytes - len(head)]
    return ip.packet_of((source, packet.source), family.protocol, body)
