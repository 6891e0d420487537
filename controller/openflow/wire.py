"""OpenFlow 1.3 on the wire: the header, barriers, and multipart requests with their replies. Pure.

A message that is still to be sent is a `Frame`: a function from its transaction id (xid) to its bytes, because a
bundle repeats the xid inside the message.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable

Frame = Callable[[int], bytes]

VERSION = 4  # OpenFlow 1.3
MAX_XID = 0xFFFFFFFF
ANY = 0xFFFFFFFF  # OFPP_ANY, OFPG_ANY, OFPM_ALL, OFP_NO_BUFFER
ALL_TABLES = 0xFF
ONF_EXPERIMENTER = 0x4F4E4600
NICIRA_EXPERIMENTER = 0x00002320

_HEADER = struct.Struct("!BBHI")
_MULTIPART = struct.Struct("!HH4x")
_MORE = 1
_BODY_AT = _HEADER.size + _MULTIPART.size
HEADER_BYTES = _HEADER.size


class Type(enum.IntEnum):
    ERROR = 1
    EXPERIMENTER = 4
    PACKET_IN = 10
    PACKET_OUT = 13
    FLOW_MOD = 14
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    BARRIER_REPLY = 21
    METER_MOD = 29


class Multipart(enum.IntEnum):
    FLOW = 1
    PORT_STATS = 4
    METER = 9
    METER_CONFIG = 10


class WireError(ValueError):
    """The switch sent bytes that are no message of the kind that was asked for."""


def message(kind: Type, xid: int, body: bytes) -> bytes:
    return _HEADER.pack(VERSION, kind, _HEADER.size + len(body), xid) + body


def barrier_request(xid: int) -> bytes:
    return message(Type.BARRIER_REQUEST, xid, b"")


def multipart_request(kind: Multipart, body: bytes = b"") -> Frame:
    content = _MULTIPART.pack(kind, 0) + body
    return lambda xid: message(Type.MULTIPART_REQUEST, xid, content)


def multipart_body(reply: bytes, kind: Multipart) -> bytes:
    """What one multipart reply holds. Raises WireError when it is no reply of this kind."""
    if len(reply) < _BODY_AT or reply[1] != Type.MULTIPART_REPLY:
        raise WireError(f"expected a multipart reply of kind {kind.name}, got {reply[:_BODY_AT].hex()}")
    found, _ = _MULTIPART.unpack_from(reply, _HEADER.size)
    if found != kind:
        raise WireError(f"expected a multipart reply of kind {kind.name}, got kind {found}")
    return reply[_BODY_AT:]


def more_follows(reply: bytes) -> bool:
    """Whether a reply is one part of several and not the last."""
    if reply[1] != Type.MULTIPART_REPLY or len(reply) < _BODY_AT:
        return False
    return bool(_MULTIPART.unpack_from(reply, _HEADER.size)[1] & _MORE)


def padded(body: bytes) -> bytes:
    """With zeros up to a multiple of 8 bytes."""
    return body + bytes(-len(body) % 8)
