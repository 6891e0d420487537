"""DHCP messages as bytes and back (RFC 2131, 2132, 3396). Pure."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

CLIENT_PORT, SERVER_PORT = 68, 67

_FIXED = struct.Struct("!BBBBIHH4s4s4s4s6s10x64x128x")
_MAGIC = b"\x63\x82\x53\x63"
_ETHERNET = (1, 6)  # type of hardware and bytes of its addresses
_BROADCAST = 0x8000
_LEAST_BYTES = 300  # BOOTP's: some clients and relays drop less
_PAD, _END = 0, 255
_MOST_OPTION_BYTES = 255
_UNSPECIFIED = IPv4Address(0)


class Kind(enum.IntEnum):
    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Option(enum.IntEnum):
    MASK = 1
    ROUTER = 3
    DNS = 6
    MTU = 26
    BROADCAST = 28
    REQUESTED = 50
    LEASE = 51
    KIND = 53
    SERVER = 54
    RENEWAL = 58
    REBINDING = 59
    CLIENT_ID = 61
    RAPID_COMMIT = 80
    ROUTES = 121


@dataclass(frozen=True, slots=True)
class Message:
    """client: the address that it uses already (ciaddr). yours: that it is given (yiaddr). relay: giaddr."""

    op: int  # 1: from a client, 2: to one
    xid: int
    mac: int
    kind: int  # a Kind, or any other number
    options: Mapping[int, bytes] = field(default_factory=dict)
    is_broadcast: bool = False
    client: IPv4Address = _UNSPECIFIED
    yours: IPv4Address = _UNSPECIFIED
    server: IPv4Address = _UNSPECIFIED
    relay: IPv4Address = _UNSPECIFIED

    def address(self, option: Option) -> IPv4Address | None:
        """None when it is not there, or is none."""
        value = self.options.get(option, b"")
        return IPv4Address(value) if len(value) == 4 else None

    def seconds(self, option: Option) -> int | None:
        value = self.options.get(option, b"")
        return int.from_bytes(value, "big") if len(value) == 4 else None


def read(data: bytes) -> Message | None:
    """None: no DHCP message of Ethernet, or malformed. Options behind the `file` and `sname` fields are not read."""
    if len(data) < _FIXED.size + len(_MAGIC) or data[_FIXED.size :][: len(_MAGIC)] != _MAGIC:
        return None
    op, *hardware, _, xid, _, flags, client, yours, server, relay, mac = _FIXED.unpack_from(data)
    options = _read_options(data[_FIXED.size + len(_MAGIC) :])
    if tuple(hardware) != _ETHERNET or options is None or len(options.get(Option.KIND, b"")) != 1:
        return None
    return Message(
        op=op,
        xid=xid,
        mac=int.from_bytes(mac, "big"),
        kind=options[Option.KIND][0],
        options=options,
        is_broadcast=bool(flags & _BROADCAST),
        client=IPv4Address(client),
        yours=IPv4Address(yours),
        server=IPv4Address(server),
        relay=IPv4Address(relay),
    )


def write(message: Message) -> bytes:
    """Its kind comes first, whatever the options say of that. An option of over 255 bytes goes in parts (RFC 3396)."""
    addresses = (one.packed for one in (message.client, message.yours, message.server, message.relay))
    flags = _BROADCAST if message.is_broadcast else 0
    mac = message.mac.to_bytes(6, "big")
    data = _FIXED.pack(message.op, *_ETHERNET, 0, message.xid, 0, flags, *addresses, mac) + _MAGIC
    for code, value in {Option.KIND: bytes([message.kind]), **message.options}.items():
        for at in range(0, len(value) or 1, _MOST_OPTION_BYTES):
            part = value[at : at + _MOST_OPTION_BYTES]
            data += bytes([code, len(part)]) + part
    return (data + bytes([_END])).ljust(_LEAST_BYTES, b"\0")


def _read_options(data: bytes) -> dict[int, bytes] | None:
    """One that comes several times is one in parts. None: one ends beyond the message."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return None
        end = at + 2 + data[at + 1]
        found[data[at]] = found.get(data[at], b"") + data[at + 2 : end]
        at = end
    return found
