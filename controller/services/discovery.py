"""Neighbour discovery as frames and back (RFC 4861), but for what is in router advertisements. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address

from controller.dataplane.macs import link_local
from controller.services import ip
from controller.services.ip import Packet

ROUTER_SOLICIT, ROUTER_ADVERT, NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT = 133, 134, 135, 136
SOURCE_LINK, TARGET_LINK = 1, 2  # options
ALL_NODES = IPv6Address("ff02::1").packed
_ALL_NODES_MAC = 0x3333_0000_0001
_HOPS = 255  # it has crossed no router: anything else is not believed
_FROM_ROUTER, _SOLICITED, _OVERRIDE = 1 << 31, 1 << 30, 1 << 29
_BODY = 24  # bytes of a solicitation or advertisement for a neighbour before its options
_UNSPECIFIED = bytes(16)
_GROUP_BIT = 1 << 40

Options = list[tuple[int, bytes]]


def read(frame: bytes, kind: int) -> Packet | None:
    """An ICMPv6 packet of this type, of which discovery may believe the headers; its checksum has been verified."""
    packet = ip.read(frame)
    if packet is None or (packet.version, packet.protocol, packet.hops) != (6, ip.ICMP6, _HOPS):
        return None
    body = packet.payload
    if len(body) < 8 or len(body) != packet.size or (body[0], body[1]) != (kind, 0):
        return None
    pseudo_header = packet.source + packet.destination + len(body).to_bytes(4, "big") + ip.ICMP6.to_bytes(4, "big")
    return packet if ip.checksum_of(pseudo_header + body) == b"\0\0" else None


def read_options(data: bytes) -> Options | None:
    """Type and what follows type and length. None: malformed."""
    found, at = [], 0
    while at < len(data):
        length = data[at + 1] * 8 if at + 1 < len(data) else 0
        if length == 0 or at + length > len(data):
            return None
        found.append((data[at], data[at + 2 : at + length]))
        at += length
    return found


def link_option(option: int, mac: int) -> bytes:
    return bytes([option, 1]) + mac.to_bytes(6, "big")


def message(macs: tuple[int, int], ends: ip.Ends, body: bytes) -> bytes:
    """The frame with an ICMPv6 body, whose checksum is filled in. macs: source, destination."""
    return ip.frame_of(*macs, ip.packet_of(ends, ip.ICMP6, body, _HOPS))


def to_all_nodes(mac: int, body: bytes) -> bytes:
    """From the link-local address of `mac`."""
    return message((mac, _ALL_NODES_MAC), (link_local(mac).to_bytes(16, "big"), ALL_NODES), body)


def solicitation(mac: int, source: IPv6Address, target: IPv6Address) -> bytes:
    """The frame that asks who has the target."""
    low = int(target) & 0xFFFFFF
    group = (int(IPv6Address("ff02::1:ff00:0")) | low).to_bytes(16, "big")
    body = bytes([NEIGHBOUR_SOLICIT]) + bytes(7) + target.packed + link_option(SOURCE_LINK, mac)
    return message((mac, 0x3333_FF00_0000 | low), (source.packed, group), body)


def asked_for(frame: bytes) -> IPv6Address | None:
    """The target of a solicitation."""
    packet = read(frame, NEIGHBOUR_SOLICIT)
    return None if packet is None or len(packet.payload) < _BODY else IPv6Address(packet.payload[8:_BODY])


def advertisement(frame: bytes, target: IPv6Address, mac: int, overrides: bool) -> bytes | None:
    """The router's answer to the solicitation in `frame`: the target is at this MAC. None: to whom is not clear.

    overrides: whether it may replace what its receiver believes.
    """
    packet = read(frame, NEIGHBOUR_SOLICIT)
    if packet is None:
        return None
    is_probe = packet.source == _UNSPECIFIED
    if not is_probe and not ip.is_one_host(packet.source):
        return None
    flags = _FROM_ROUTER | (0 if is_probe else _SOLICITED) | (_OVERRIDE if overrides else 0)
    head = bytes([NEIGHBOUR_ADVERT]) + bytes(3) + flags.to_bytes(4, "big")
    body = head + target.packed + link_option(TARGET_LINK, mac)
    to_mac = _ALL_NODES_MAC if is_probe else int.from_bytes(frame[6:12], "big")
    return message((mac, to_mac), (target.packed, ALL_NODES if is_probe else packet.source), body)


def unsolicited(target: IPv6Address, mac: int, is_router: bool = False) -> bytes:
    """The frame that tells everybody that the target is at this MAC now. Without `is_router` nobody routes by it."""
    flags = _OVERRIDE | (_FROM_ROUTER if is_router else 0)
    head = bytes([NEIGHBOUR_ADVERT]) + bytes(3) + flags.to_bytes(4, "big")
    body = head + target.packed + link_option(TARGET_LINK, mac)
    return message((mac, _ALL_NODES_MAC), (target.packed, ALL_NODES), body)


def read_advertisement(frame: bytes) -> tuple[IPv6Address, int] | None:
    """Which address is at which MAC, as a neighbour says."""
    packet = read(frame, NEIGHBOUR_ADVERT)
    if packet is None or len(packet.payload) < _BODY:
        return None
    mac = next(_links(packet.payload[_BODY:]), int.from_bytes(frame[6:12], "big"))
    return None if mac == 0 or mac & _GROUP_BIT else (IPv6Address(packet.payload[8:_BODY]), mac)


def _links(options: bytes) -> Iterator[int]:
    for option, value in read_options(options) or ():
        if option == TARGET_LINK and len(value) == 6:
            yield int.from_bytes(value, "big")
