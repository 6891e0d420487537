"""The frames of the kernel's traffic-control messages (rtnetlink): a fixed head, then attributes. Pure.

Layouts: linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

ECHO, REPLACE, CREATE, DUMP = 0x8, 0x100, 0x400, 0x300  # flags of a request
KIND, OPTIONS, STATISTICS = 1, 2, 7  # attributes
NESTED = 0x8000  # flag of an attribute's type

_HEAD = struct.Struct("=BBHiIII")  # family, padding, ifindex, handle, parent, info
_ATTRIBUTE = struct.Struct("=HH")


@dataclass(frozen=True, slots=True)
class Request:
    """A message without its netlink header. what: for people."""

    type: int
    flags: int
    body: bytes
    what: str


@dataclass(frozen=True, slots=True)
class Row:
    """An answer. info: of a class the handle of its leaf, of a filter its priority and protocol."""

    ifindex: int
    handle: int
    parent: int
    info: int
    attributes: Mapping[int, bytes]


def head(ifindex: int, handle: int, parent: int, info: int = 0) -> bytes:
    return _HEAD.pack(0, 0, 0, ifindex, handle, parent, info)


def row(body: bytes) -> Row:
    _, _, _, ifindex, handle, parent, info = _HEAD.unpack_from(body)
    return Row(ifindex, handle, parent, info, dict(attributes(body[_HEAD.size :])))


def places(body: bytes) -> tuple[int, int, int]:
    """ifindex, handle and parent of an answer, without its attributes."""
    _, _, _, ifindex, handle, parent, _ = _HEAD.unpack_from(body)
    return ifindex, handle, parent


def options(kind: str, payload: bytes, nested: bool = True) -> bytes:
    return attribute(KIND, kind.encode() + b"\0") + attribute(OPTIONS | (NESTED if nested else 0), payload)


def attribute(type_: int, payload: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, type_) + payload + bytes(-length % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + _ATTRIBUTE.size <= len(data):
        length, type_ = _ATTRIBUTE.unpack_from(data, place)
        if length < _ATTRIBUTE.size:
            return
        yield type_ & 0x3FFF, data[place + _ATTRIBUTE.size : place + length]
        place += (length + 3) & ~3
