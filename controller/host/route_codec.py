"""Routes as the kernel's route messages have them. Pure.

Layout: linux/rtnetlink.h, struct rtmsg and its attributes. What the agent changes goes through `routes`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from controller.host.qdisc_frames import DUMP, Request, attribute, attributes

_GET_ROUTE = 26
_HEAD = struct.Struct(
    "=BBBBBBBBI"
)  # family, destination's bits, source's bits, tos, table, protocol, scope, type, flags
_OUT, _GATEWAY, _PRIORITY, _TABLE = 4, 5, 6, 15
MAIN_TABLE = 254
_UNICAST = 1

Gateway = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """link: index of the device. metric: the lower one wins. protocol: who made it, in the kernel's numbers."""

    link: int
    gateway: Gateway
    metric: int
    protocol: int


def ask_routes(family: int, link: int, protocol: int) -> Request:
    """Those through a link that somebody (protocol) made: a kernel that is asked strictly sends no others."""
    head = _HEAD.pack(family, 0, 0, 0, 0, protocol, 0, 0, 0)
    return Request(_GET_ROUTE, DUMP, head + attribute(_OUT, struct.pack("=I", link)), "read the routes")


def default_route(body: bytes) -> DefaultRoute | None:
    """None: another kind of route, or one of several gateways or of another table."""
    _, bits, _, _, table, protocol, _, type_, _ = _HEAD.unpack_from(body)
    if bits or type_ != _UNICAST:
        return None
    found = dict(attributes(body[_HEAD.size :]))
    if _GATEWAY not in found or _OUT not in found or _number(found, _TABLE, table) != MAIN_TABLE:
        return None
    return DefaultRoute(
        link=_number(found, _OUT),
        gateway=ip_address(found[_GATEWAY]),
        metric=_number(found, _PRIORITY),
        protocol=protocol,
    )


def _number(found: Mapping[int, bytes], attribute: int, missing: int = 0) -> int:
    return int(struct.unpack("=I", found[attribute])[0]) if attribute in found else missing
