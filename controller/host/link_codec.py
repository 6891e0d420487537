"""Links, their addresses and counters, as the kernel's route messages have them: hundreds in one reading. Pure.

Layouts: linux/if_link.h, linux/if_addr.h. What the agent changes on a link goes through `links`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from typing import NamedTuple

from controller.host.qdisc_frames import DUMP, Request, attribute, attributes

_GET_LINK, _GET_ADDRESS, _GET_STATISTICS = 18, 22, 94
_LINK_HEAD = struct.Struct("=BxHiII")  # family, type, index, flags, change
_MAC, _NAME, _MTU, _PEER, _INFO, _ALIAS, _GROUP, _EXTENSIONS, _PARENT = 1, 3, 4, 5, 18, 20, 27, 29, 56
_PEER_NAMESPACE = 37
_KIND = 1  # within _INFO
_SKIP_STATISTICS = 1 << 3  # an extension: a link's message without its counters
_UP, _LOWER_UP = 0x1, 0x10000  # flags
_ADDRESS_HEAD = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index of the link
_ADDRESS, _LOCAL, _FLAGS, _PROTOCOL = 1, 2, 8, 11
_STATISTICS_HEAD = struct.Struct("=BxHII")  # family, -, index, filter
_LINK_64 = 1  # counters of 64 bits: the only attribute that is asked for
_TRAFFIC = struct.Struct("=4xI4x4x4Q")  # of the same message: index, and the first counters

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
    mtu: int
    parent: str = ""  # the device of a bus that it belongs to, such as 0000:03:00.1
    peer_namespace: int | None = None  # what the kernel calls that one here; None: this one


class Traffic(NamedTuple):
    """What a link has counted since it was made."""

    received_packets: int
    sent_packets: int
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """link: its index. flags, scope, protocol (who made it; 0: nobody said): the kernel's."""

    link: int
    address: Address
    flags: int
    scope: int
    protocol: int


def ask_link(name: str) -> Request:
    return Request(_GET_LINK, 0, _link_head(attribute(_NAME, name.encode() + b"\0")), "find it")


def ask_link_at(index: int) -> Request:
    return Request(_GET_LINK, 0, _link_head(index=index), "find it")


def ask_links() -> Request:
    return Request(_GET_LINK, DUMP, _link_head(), "read the links")


def ask_addresses(link: int) -> Request:
    """Those of one link: a kernel that is asked strictly sends no others."""
    return Request(_GET_ADDRESS, DUMP, _ADDRESS_HEAD.pack(0, 0, 0, 0, link), "read the addresses")


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
        mtu=_number(found, _MTU),
        parent=_text(found, _PARENT),
        peer_namespace=_number(found, _PEER_NAMESPACE) if _PEER_NAMESPACE in found else None,
    )


def link_address(body: bytes) -> LinkAddress:
    _, prefix, flags, scope, index = _ADDRESS_HEAD.unpack_from(body)
    found = dict(attributes(body[_ADDRESS_HEAD.size :]))
    own = ip_address(found[_LOCAL if _LOCAL in found else _ADDRESS])
    (protocol,) = found.get(_PROTOCOL, b"\0")
    return LinkAddress(index, ip_interface((own, prefix)), _number(found, _FLAGS) or flags, scope, protocol)


def traffic(body: bytes) -> tuple[int, Traffic]:
    """The link's index, and what it has received and sent: of a VIF's host end, from the instance and to it."""
    index, *counters = _TRAFFIC.unpack_from(body)
    return index, Traffic(*counters)


def _link_head(asked: bytes = b"", index: int = 0) -> bytes:
    extensions = attribute(_EXTENSIONS, struct.pack("=I", _SKIP_STATISTICS))
    return _LINK_HEAD.pack(0, 0, index, 0, 0) + asked + extensions


def _text(found: Mapping[int, bytes], attribute_: int) -> str:
    return found.get(attribute_, b"").rstrip(b"\0").decode(errors="replace")


def _number(found: Mapping[int, bytes], attribute_: int) -> int:
    return int(struct.unpack("=I", found[attribute_])[0]) if attribute_ in found else 0
