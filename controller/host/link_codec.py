"""Links, their addresses and counters, as the kernel's route messages have them: hundreds in one reading. Pure.

Layouts: linux/if_link.h, linux/if_addr.h. What the agent changes on a link goes through `links`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from controller.host.qdisc_frames import DUMP, Request, attribute, attributes

_GET_LINK, _GET_ADDRESS, _GET_STATISTICS = 18, 22, 94
_LINK_HEAD = struct.Struct("=BxHiII")  # family, type, index, flags, change
_MAC, _NAME, _PEER, _INFO, _ALIAS, _GROUP, _EXTENSIONS = 1, 3, 5, 18, 20, 27, 29
_KIND = 1  # within _INFO
_SKIP_STATISTICS = 1 << 3  # an extension: a link's message without its counters
_UP, _LOWER_UP = 0x1, 0x10000  # flags
_ADDRESS_HEAD = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index of the link
_ADDRESS, _LOCAL, _FLAGS = 1, 2, 8
_STATISTICS_HEAD = struct.Struct("=BxHII")  # family, -, index, filter
_LINK_64 = 1  # counters of 64 bits: the only attribute that is asked for
_PACKETS = _STATISTICS_HEAD.size + 4  # where the first of them stands

Address = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    kind: str  # veth, dummy, ...; "" for hardware
    mac: str
    up: bool
    running: bool  # up, and what it is connected to is up as well
    alias: str
    group: int
    peer: int  # index of a veth's other end, in the namespace where that is; 0: none


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """link: its index. flags, scope: the kernel's."""

    link: int
    address: Address
    flags: int
    scope: int


def ask_link(name: str) -> Request:
    return Request(_GET_LINK, 0, _link_head(attribute(_NAME, name.encode() + b"\0")), "find it")


def ask_links() -> Request:
    return Request(_GET_LINK, DUMP, _link_head(), "read the links")


def ask_addresses() -> Request:
    return Request(_GET_ADDRESS, DUMP, _ADDRESS_HEAD.pack(0, 0, 0, 0, 0), "read the addresses")


def ask_statistics() -> Request:
    head = _STATISTICS_HEAD.pack(0, 0, 0, 1 << (_LINK_64 - 1))
    return Request(_GET_STATISTICS, DUMP, head, "read the counters of the links")


def link_index(body: bytes) -> int:
    return int(_LINK_HEAD.unpack_from(body)[2])


def link(body: bytes) -> Link:
    _, _, index, flags, _ = _LINK_HEAD.unpack_from(body)
    found = dict(attributes(body[_LINK_HEAD.size :]))
    info = dict(attributes(found.get(_INFO, b"")))
    return Link(
        index=index,
        name=_text(found, _NAME),
        kind=_text(info, _KIND),
        mac=found.get(_MAC, b"").hex(":"),
        up=bool(flags & _UP),
        running=bool(flags & _LOWER_UP),
        alias=_text(found, _ALIAS),
        group=_number(found, _GROUP),
        peer=_number(found, _PEER),
    )


def link_address(body: bytes) -> LinkAddress:
    _, prefix, flags, scope, index = _ADDRESS_HEAD.unpack_from(body)
    found = dict(attributes(body[_ADDRESS_HEAD.size :]))
    own = ip_address(found[_LOCAL if _LOCAL in found else _ADDRESS])
    return LinkAddress(index, ip_interface((own, prefix)), _number(found, _FLAGS) or flags, scope)


def received_packets(body: bytes) -> tuple[int, int]:
    """The link's index, and how many packets it has received: of a VIF's host end, what the instance sent."""
    _, _, index, _ = _STATISTICS_HEAD.unpack_from(body)
    (packets,) = struct.unpack_from("=Q", body, _PACKETS)
    return index, packets


def _link_head(asked: bytes = b"") -> bytes:
    extensions = attribute(_EXTENSIONS, struct.pack("=I", _SKIP_STATISTICS))
    return _LINK_HEAD.pack(0, 0, 0, 0, 0) + asked + extensions


def _text(found: Mapping[int, bytes], attribute_: int) -> str:
    return found.get(attribute_, b"").rstrip(b"\0").decode(errors="replace")


def _number(found: Mapping[int, bytes], attribute_: int) -> int:
    return int(struct.unpack("=I", found[attribute_])[0]) if attribute_ in found else 0
