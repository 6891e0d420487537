"""What the sender of a rejected packet is told: a TCP reset, or ICMP's "administratively prohibited". Pure."""

from __future__ import annotations

import struct

from controller.services import icmp, ip
from controller.services.ip import Packet

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_TCP_BYTES = 20
_TCP_HEADER = struct.Struct("!HHIIBBHHH")
_PROHIBITED = {4: (3, 13), 6: (1, 1)}  # type and code: RFC 1812, 5.2.7.1; RFC 4443, 3.1


def answer_to(frame: bytes) -> bytes | None:
    """The frame for who sent the rejected one: a TCP segment is reset, else an ICMP error quotes the packet.

    frame: untagged, from its MACs on; its payload may be cut short, its headers not. The answer comes as if from the
    rejected packet's destination. None where RFC 1122, 4443 and 9293 forbid an answer, or the frame is malformed:
    not IP; multicast, broadcast, unspecified or loopback at either end; a later fragment; an ICMP error; a TCP reset.
    """
    packet = ip.read(frame)
    if packet is None or not icmp.is_quotable(frame, packet):
        return None
    if packet.protocol == ip.TCP:
        answer = _reset(packet)
    else:
        answer = icmp.error(packet, _PROHIBITED[packet.version], packet.destination)
    return None if answer is None else frame[6:12] + frame[:6] + frame[12 : ip.HEADER_BYTES] + answer


def _reset(packet: Packet) -> bytes | None:
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
    return ip.packet_of((packet.destination, packet.source), ip.TCP, segment)
