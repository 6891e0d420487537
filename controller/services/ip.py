"""Frames that carry IP: read as far as somebody answers them, and made. Pure.

Written here rather than with Ryu's packet library, which raises many kinds of errors on what an instance may send, and
whose objects cost ten times as much; the tests hold the two against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

HEADER_BYTES = 14  # of Ethernet: both MACs and the type
IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
HOP_LIMIT = 64

_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS = {0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140}  # IPv6 headers that others follow
_IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
_IPV6_HEADER = struct.Struct("!IHBB16s16s")
_UDP_HEADER = struct.Struct("!HHHH")
_DO_NOT_FRAGMENT = 0x4000
_CHECKSUM_AT = {ICMP: 2, ICMP6: 2, TCP: 16, UDP: 6}
HEADERS = {4: _IPV4_HEADER.size, 6: _IPV6_HEADER.size}  # bytes, without options and extensions

Ends = tuple[bytes, bytes]  # source and destination, both IPv4 or both IPv6


@dataclass(frozen=True, slots=True)
class Packet:
    """An IP packet that is not a later fragment.

    protocol: what its payload is. size: bytes of that, by the headers. payload: the part of it that is there.
    whole: the packet from its IP header on, as far as it is there, without padding. hops: TTL or hop limit.
    """

    version: int
    source: bytes
    destination: bytes
    protocol: int
    size: int
    payload: bytes
    whole: bytes
    hops: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """A whole UDP datagram; its checksum has not been looked at."""

    ends: Ends
    ports: tuple[int, int]  # source, destination
    data: bytes


def read(frame: bytes) -> Packet | None:
    """None: not IP, malformed, or a later fragment. frame: untagged, from its MACs on; its payload may be cut short."""
    reader = _READERS.get(frame[12:HEADER_BYTES])
    return None if reader is None else reader(frame[HEADER_BYTES:])


def read_datagram(frame: bytes) -> Datagram | None:
    """None: not UDP, or not there as a whole (cut short, or a fragment)."""
    packet = read(frame)
    if packet is None or packet.protocol != UDP or len(packet.payload) < _UDP_HEADER.size:
        return None
    source, destination, length, _ = _UDP_HEADER.unpack_from(packet.payload)
    if not _UDP_HEADER.size <= length <= len(packet.payload):
        return None
    data = packet.payload[_UDP_HEADER.size : length]
    return Datagram((packet.source, packet.destination), (source, destination), data)


def is_one_host(address: bytes) -> bool:
    """Not unspecified, loopback, multicast, broadcast, or of a block that no host has."""
    if len(address) == 4:
        return address[0] not in (0, 127) and address[0] < 224
    return address[0] != 0xFF and address[:15] != bytes(15)


def packet_of(ends: Ends, protocol: int, body: bytes, hops: int = HOP_LIMIT) -> bytes:
    """The IP packet that takes the body, whose checksum, still 0, is filled in."""
    at = _CHECKSUM_AT[protocol]
    pseudo_header = b"".join(ends) + struct.pack("!II", len(body), protocol)
    checksum = checksum_of(body if protocol == ICMP else pseudo_header + body)
    if protocol == UDP and checksum == b"\0\0":
        checksum = b"\xff\xff"  # 0 says that there is none
    body = body[:at] + checksum + body[at + 2 :]
    if len(ends[0]) == 16:
        return _IPV6_HEADER.pack(6 << 28, len(body), protocol, hops, *ends) + body
    size = _IPV4_HEADER.size + len(body)
    header = _IPV4_HEADER.pack(0x45, 0, size, 0, _DO_NOT_FRAGMENT, hops, protocol, 0, *ends)
    return header[:10] + checksum_of(header) + header[12:] + body


def datagram_of(ends: Ends, ports: tuple[int, int], data: bytes) -> bytes:
    """The IP packet with this UDP datagram."""
    return packet_of(ends, UDP, _UDP_HEADER.pack(*ports, _UDP_HEADER.size + len(data), 0) + data)


def frame_of(source_mac: int, destination_mac: int, packet: bytes) -> bytes:
    """The Ethernet frame that takes an IP packet."""
    eth_type = IPV4 if packet[0] >> 4 == 4 else IPV6
    return destination_mac.to_bytes(6, "big") + source_mac.to_bytes(6, "big") + eth_type + packet


def tagged(frame: bytes, vlan: int | None) -> bytes:
    """With an 802.1Q tag of this VLAN; None: as it is."""
    return frame if vlan is None else frame[:12] + b"\x81\x00" + vlan.to_bytes(2, "big") + frame[12:]


def with_dscp(frame: bytes, dscp: int) -> bytes:
    """An untagged frame of IP with another DSCP, its ECN bits as they are."""
    at = HEADER_BYTES
    if frame[12:at] == IPV4 and len(frame) >= at + _IPV4_HEADER.size:
        length = (frame[at] & 0xF) * 4
        header = bytearray(frame[at : at + length])
        header[1] = dscp << 2 | header[1] & 3
        header[10:12] = b"\0\0"
        header[10:12] = checksum_of(bytes(header))
        return frame[:at] + bytes(header) + frame[at + length :]
    if frame[12:at] == IPV6 and len(frame) >= at + _IPV6_HEADER.size:
        word = int.from_bytes(frame[at : at + 4], "big") & ~(0x3F << 22) | dscp << 22
        return frame[:at] + word.to_bytes(4, "big") + frame[at + 4 :]
    return frame


def checksum_of(data: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def _read_ipv4(data: bytes) -> Packet | None:
    if len(data) < _IPV4_HEADER.size or data[0] >> 4 != 4:
        return None
    _, _, size, _, fragment, hops, protocol, _, source, destination = _IPV4_HEADER.unpack_from(data)
    header = (data[0] & 0xF) * 4
    if not _IPV4_HEADER.size <= header <= min(size, len(data)) or fragment & 0x1FFF:
        return None
    return Packet(4, source, destination, protocol, size - header, data[header:size], data[:size], hops)


def _read_ipv6(data: bytes) -> Packet | None:
    if len(data) < _IPV6_HEADER.size or data[0] >> 4 != 6:
        return None
    _, size, protocol, hops, source, destination = _IPV6_HEADER.unpack_from(data)
    at, end = _IPV6_HEADER.size, _IPV6_HEADER.size + size
    while protocol in _EXTENSIONS:
        if at + 8 > min(end, len(data)) or (protocol == _FRAGMENT and data[at + 2 : at + 4] > b"\x00\x07"):
            return None
        following, length = data[at], data[at + 1]
        at += 8 if protocol == _FRAGMENT else (length + 2) * 4 if protocol == _AUTHENTICATION else (length + 1) * 8
        protocol = following
    if at > min(end, len(data)):
        return None
    return Packet(6, source, destination, protocol, end - at, data[at:end], data[:end], hops)


_READERS: dict[bytes, Callable[[bytes], Packet | None]] = {IPV4: _read_ipv4, IPV6: _read_ipv6}
