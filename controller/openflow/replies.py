"""What the sender of a rejected packet is told: a TCP reset, or ICMP's "administratively prohibited". Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

_MACS_AND_TYPE = 14
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_TCP, _UDP = 6, 17
_FRAGMENT, _AUTHENTICATION = 44, 51
_EXTENSIONS = {0, 43, _FRAGMENT, _AUTHENTICATION, 60, 135, 139, 140}  # IPv6 headers that others follow
_HOP_LIMIT = 64

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_TCP_BYTES = 20
_IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
_IPV6_HEADER = struct.Struct("!IHBB16s16s")
_DO_NOT_FRAGMENT = 0x4000
_TCP_HEADER = struct.Struct("!HHIIBBHHH")
_ICMP_HEADER = struct.Struct("!BBHI")


@dataclass(frozen=True, slots=True)
class _Icmp:
    """ICMP of an IP version. prohibited: type and code. most_bytes: of an error. unanswered: types."""

    protocol: int
    prohibited: tuple[int, int]
    most_bytes: int
    unanswered: frozenset[int]


_ICMP_OF = {
    4: _Icmp(1, (3, 13), 576 - _IPV4_HEADER.size, frozenset({3, 4, 5, 11, 12})),  # RFC 1812: 5.2.7.1, 4.3.2.3
    6: _Icmp(58, (1, 1), 1280 - _IPV6_HEADER.size, frozenset({*range(128), 137})),  # RFC 4443: 3.1, 2.4; 137: redirect
}


@dataclass(frozen=True, slots=True)
class _Packet:
    """An IP packet that is not a later fragment.

    protocol: what its payload is. size: bytes of that, by the headers. payload: the part of it that is there.
    whole: the packet from its IP header on, as far as it is there, without padding.
    """

    version: int
    source: bytes
    destination: bytes
    protocol: int
    size: int
    payload: bytes
    whole: bytes


def answer_to(frame: bytes) -> bytes | None:
    """The frame for who sent the rejected one: a TCP segment is reset, else an ICMP error quotes the packet.

    frame: untagged, from its MACs on; its payload may be cut short, its headers not. The answer comes as if from the
    rejected packet's destination. None where RFC 1122, 4443 and 9293 forbid an answer, or the frame is malformed:
    not IP; multicast, broadcast, unspecified or loopback at either end; a later fragment; an ICMP error; a TCP reset.
    """
    if len(frame) < _MACS_AND_TYPE or (frame[0] | frame[6]) & 1:
        return None
    read = _READERS.get(frame[12:_MACS_AND_TYPE])
    packet = None if read is None else read(frame[_MACS_AND_TYPE:])
    if packet is None or not (_is_one_host(packet.source) and _is_one_host(packet.destination)):
        return None
    answer = _reset(packet) if packet.protocol == _TCP else _unreachable(packet)
    return None if answer is None else frame[6:12] + frame[:6] + frame[12:_MACS_AND_TYPE] + answer


def _read_ipv4(data: bytes) -> _Packet | None:
    if len(data) < _IPV4_HEADER.size or data[0] >> 4 != 4:
        return None
    _, _, size, _, fragment, _, protocol, _, source, destination = _IPV4_HEADER.unpack_from(data)
    header = (data[0] & 0xF) * 4
    if not _IPV4_HEADER.size <= header <= min(size, len(data)) or fragment & 0x1FFF:
        return None
    return _Packet(4, source, destination, protocol, size - header, data[header:size], data[:size])


def _read_ipv6(data: bytes) -> _Packet | None:
    if len(data) < _IPV6_HEADER.size or data[0] >> 4 != 6:
        return None
    _, size, protocol, _, source, destination = _IPV6_HEADER.unpack_from(data)
    at, end = _IPV6_HEADER.size, _IPV6_HEADER.size + size
    while protocol in _EXTENSIONS:
        if at + 8 > min(end, len(data)) or (protocol == _FRAGMENT and data[at + 2 : at + 4] > b"\x00\x07"):
            return None
        following, length = data[at], data[at + 1]
        at += 8 if protocol == _FRAGMENT else (length + 2) * 4 if protocol == _AUTHENTICATION else (length + 1) * 8
        protocol = following
    if at > min(end, len(data)):
        return None
    return _Packet(6, source, destination, protocol, end - at, data[at:end], data[:end])


_READERS: dict[bytes, Callable[[bytes], _Packet | None]] = {_IPV4: _read_ipv4, _IPV6: _read_ipv6}


def _is_one_host(address: bytes) -> bool:
    """Not unspecified, loopback, multicast, broadcast, or of a block that no host has."""
    if len(address) == 4:
        return address[0] not in (0, 127) and address[0] < 224
    return address[0] != 0xFF and address[:15] != bytes(15)


def _reset(packet: _Packet) -> bytes | None:
    """As a host answers whose port is closed (RFC 9293, 3.10.7.1)."""
    if len(packet.payload) < _TCP_BYTES:
        return None
    source, destination, sequence, acknowledged, offset, flags, *_ = _TCP_HEADER.unpack_from(packet.payload)
    header = (offset >> 4) * 4
    if flags & _RST or not _TCP_BYTES <= header <= packet.size:
        return None
    if flags & _ACK:
        fields = (acknowledged, 0, _TCP_BYTES << 2, _RST)
    else:
        length = packet.size - header + bool(flags & _SYN) + bool(flags & _FIN)
        fields = (0, sequence + length & 0xFFFFFFFF, _TCP_BYTES << 2, _RST | _ACK)
    segment = _TCP_HEADER.pack(destination, source, *fields, 0, 0, 0)
    return _sent_back(packet, _TCP, segment, checksum_at=16)


def _unreachable(packet: _Packet) -> bytes | None:
    icmp = _ICMP_OF[packet.version]
    least = 8 if packet.protocol in (_UDP, icmp.protocol) else min(8, packet.size)
    if len(packet.payload) < least or (packet.protocol == icmp.protocol and packet.payload[0] in icmp.unanswered):
        return None
    head = _ICMP_HEADER.pack(*icmp.prohibited, 0, 0)
    return _sent_back(packet, icmp.protocol, head + packet.whole[: icmp.most_bytes - len(head)], checksum_at=2)


def _sent_back(packet: _Packet, protocol: int, body: bytes, checksum_at: int) -> bytes:
    """The IP packet that takes the body, whose checksum is still 0, from the packet's destination to its source."""
    ends = packet.destination, packet.source
    pseudo_header = packet.destination + packet.source + struct.pack("!II", len(body), protocol)
    covered = body if protocol == _ICMP_OF[4].protocol else pseudo_header + body
    body = body[:checksum_at] + _checksum(covered) + body[checksum_at + 2 :]
    if packet.version == 6:
        return _IPV6_HEADER.pack(6 << 28, len(body), protocol, _HOP_LIMIT, *ends) + body
    size = _IPV4_HEADER.size + len(body)
    header = _IPV4_HEADER.pack(0x45, 0, size, 0, _DO_NOT_FRAGMENT, _HOP_LIMIT, protocol, 0, *ends)
    return header[:10] + _checksum(header) + header[12:] + body


def _checksum(data: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")
