"""The default routes that an instance gets through the gateways of its routed segment. Foreign routes are left alone.

Ours carry a protocol number of their own, and a metric that no other VIF's have: an instance that has a default route
already keeps using that one, and of several VIFs in one namespace the one made first is used.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from socket import AF_INET, AF_INET6

from pyroute2.netlink.exceptions import NetlinkError

from controller.host import route_codec
from controller.host.link_codec import Link
from controller.host.links import Netlink
from controller.host.route_codec import DefaultRoute, Gateway

PROTOCOL = 0x77  # "w": of our routes and addresses; free in linux/rtnetlink.h and in iproute2's list
_LEAST_METRIC = 2048  # IPv6 routes that somebody else adds have 1024


def ensure(socket: Netlink, link: Link, gateways: Iterable[Gateway], number: int) -> None:
    """number: of the VIF. The link is up, and has addresses in the gateways' subnets."""
    wanted = {DefaultRoute(link.index, gateway, _LEAST_METRIC + number, PROTOCOL) for gateway in gateways}
    present = {route for route in _present(socket, link) if route.link == link.index and route.protocol == PROTOCOL}
    for route in present - wanted:  # first: two of one metric do not go together
        _change(socket, "del", route)
    for route in wanted - present:
        _change(socket, "add", route)


def _present(socket: Netlink, link: Link) -> Iterable[DefaultRoute]:
    for family in (AF_INET, AF_INET6):
        for body in socket.lean.dump(route_codec.ask_routes(family, link.index, PROTOCOL)):
            if (route := route_codec.default_route(body)) is not None:
                yield route


def _change(socket: Netlink, command: str, route: DefaultRoute) -> None:
    try:
        socket.route(
            command,
            family=AF_INET if route.gateway.version == 4 else AF_INET6,
            dst="default",
            gateway=str(route.gateway),
            oif=route.link,
            priority=route.metric,
            proto=route.protocol,
        )
    except NetlinkError as fault:
        if (command, fault.code) != ("del", errno.ESRCH):  # that one went meanwhile, with an address
            raise
