"""ARP as frames and back (RFC 826). Pure."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

ARP = b"\x08\x06"
_MESSAGE = struct.Struct("!HHBBH6s4s6s4s")
_OVER_ETHERNET = (1, 0x0800, 6, 4)
_REQUEST, _REPLY = 1, 2
_BROADCAST = b"\xff" * 6
_GROUP_BIT = 1 << 40


def request(mac: int, source: IPv4Address, target: IPv4Address) -> bytes:
    """The frame that asks who has the target."""
    own = mac.to_bytes(6, "big")
    body = _MESSAGE.pack(*_OVER_ETHERNET, _REQUEST, own, source.packed, bytes(6), target.packed)
    return _BROADCAST + own + ARP + body


def read_reply(frame: bytes) -> tuple[IPv4Address, int] | None:
    """Which address is at which MAC, as a neighbour says."""
    if frame[12:14] != ARP or len(frame) < 14 + _MESSAGE.size:
        return None
    *over, operation, sender, address, _, _ = _MESSAGE.unpack_from(frame, 14)
    mac = int.from_bytes(sender, "big")
    if tuple(over) != _OVER_ETHERNET or operation != _REPLY or mac == 0 or mac & _GROUP_BIT:
        return None
    return IPv4Address(address), mac
