"""DHCPv6 messages as bytes and back (RFC 8415). Pure."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

CLIENT_PORT, SERVER_PORT = 546, 547

_HEAD = struct.Struct("!HH")
_IA_TIMES = struct.Struct("!III")
_ADDRESS = struct.Struct("!16sII")


class Kind(enum.IntEnum):
    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    INFORMATION_REQUEST = 11


class Option(enum.IntEnum):
    CLIENT_ID = 1
    SERVER_ID = 2
    IA_NA = 3
    IA_TA = 4
    IA_ADDRESS = 5
    STATUS = 13
    RAPID_COMMIT = 14
    DNS = 23
    IA_PD = 25


class Status(enum.IntEnum):
    SUCCESS = 0
    NO_ADDRESSES = 2
    NOT_ON_LINK = 4
    NO_PREFIX = 6


Options = Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Message:
    """options: in order, any of them several times."""

    kind: int
    transaction: bytes  # 3 bytes
    options: Options

    def first(self, option: Option) -> bytes | None:
        return next(of(self.options, option), None)


@dataclass(frozen=True, slots=True)
class Association:
    """An IA_NA: addresses with their preferred and valid lifetimes in seconds. id: 4 bytes."""

    id: bytes
    addresses: tuple[tuple[IPv6Address, int, int], ...] = ()
    status: int | None = None
    renew_s: int = 0
    rebind_s: int = 0


def of(options: Options, wanted: Option) -> Iterator[bytes]:
    return (value for option, value in options if option == wanted)


def read(data: bytes) -> Message | None:
    """None: malformed."""
    options = read_options(data[4:])
    return None if len(data) < 4 or options is None else Message(data[0], data[1:4], options)


def write(message: Message) -> bytes:
    return bytes([message.kind]) + message.transaction + write_options(message.options)


def read_options(data: bytes) -> list[tuple[int, bytes]] | None:
    """None: one ends beyond the data."""
    found, at = [], 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            return None
        option, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size + length
        if at > len(data):
            return None
        found.append((option, data[at - length : at]))
    return found


def write_options(options: Options) -> bytes:
    return b"".join(_HEAD.pack(option, len(value)) + value for option, value in options)


def read_association(data: bytes) -> Association | None:
    """Of an IA_NA's value. None: malformed."""
    options = read_options(data[_IA_TIMES.size :])
    if len(data) < _IA_TIMES.size or options is None:
        return None
    _, renew_s, rebind_s = _IA_TIMES.unpack_from(data)
    addresses = []
    for value in of(options, Option.IA_ADDRESS):
        if len(value) < _ADDRESS.size:
            return None
        packed, preferred_s, valid_s = _ADDRESS.unpack_from(value)
        addresses.append((IPv6Address(packed), preferred_s, valid_s))
    status = next((int.from_bytes(value[:2], "big") for value in of(options, Option.STATUS)), None)
    return Association(data[:4], tuple(addresses), status, renew_s, rebind_s)


def write_association(one: Association) -> bytes:
    options = [(Option.IA_ADDRESS, _ADDRESS.pack(address.packed, *times)) for address, *times in one.addresses]
    if one.status is not None:
        options.append((Option.STATUS, status(one.status)))
    return one.id + _IA_TIMES.pack(0, one.renew_s, one.rebind_s)[4:] + write_options(options)


def status(code: int) -> bytes:
    """The value of a status option, which may say in words what the code says already."""
    return struct.pack("!H", code)
