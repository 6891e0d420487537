"""Links as values, and the few things the agent does to them, in whatever namespace the netlink socket was opened in.

Ours are known twice: the group number is set in the message that creates a link, so even an interrupted creation is
recognised; the alias says whose it is (`Mark`) and is what garbage collection goes by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from controller.host import namespace
from controller.host.errors import HostError

GROUP = 0x77656972  # "weir"
_IFF_UP = 1
_NO_SUCH_DEVICE = 19


@dataclass(frozen=True, slots=True)
class Mark:
    """Who a link or namespace belongs to: a system (one Weir DB), the chassis whose agent made it, and the VIF."""

    system: str
    chassis: str
    vif: str

    def __str__(self) -> str:
        return f"weir:{self.system}:{self.chassis}:{self.vif}"

    @staticmethod
    def parse(alias: str) -> Mark | None:
        """None when the alias is not one of ours."""
        parts = alias.split(":")
        return Mark(*parts[1:]) if len(parts) == 4 and parts[0] == "weir" else None


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    kind: str  # veth, dummy, ...; "" for hardware
    mac: str
    up: bool
    alias: str
    group: int
    peer: int  # index of a veth's other end, in the namespace where that is; 0: none


@contextmanager
def netlink(path: Path | None) -> Iterator[Any]:
    """A netlink socket in the namespace at `path` (None: here); the thread is inside for the time of the block.

    Raises HostError, also for what the kernel refuses in the block.
    """
    with namespace.entered(path):
        try:
            with IPRoute() as socket:
                yield socket
        except NetlinkError as fault:
            raise HostError(
                f"{path or 'the agent: network namespace'}: the kernel refused: {fault}",
                "The agent needs CAP_NET_ADMIN there; it tries again by itself",
            ) from fault


def find(socket: Any, name: str) -> Link | None:
    try:
        (message,) = socket.link("get", ifname=name)
    except NetlinkError as fault:
        if fault.code == _NO_SUCH_DEVICE:
            return None
        raise
    return _link(message)


def ours(socket: Any, system: str, chassis: str) -> list[tuple[Mark | None, Link]]:
    """The links here that this chassis made. Mark None: one whose creation was interrupted before it was marked."""
    found = [(Mark.parse(link.alias), link) for link in map(_link, socket.get_links())]
    return [
        (mark, link)
        for mark, link in found
        if (link.group == GROUP and not link.alias)
        or (mark is not None and (mark.system, mark.chassis) == (system, chassis))
    ]


def name_of(socket: Any, index: int) -> str:
    """The name of a link by its index; "" when it is gone."""
    try:
        (message,) = socket.link("get", index=index)
    except NetlinkError as fault:
        if fault.code == _NO_SUCH_DEVICE:
            return ""
        raise
    return _link(message).name


def set_mark(socket: Any, link: Link, mark: Mark) -> None:
    if link.alias != str(mark):
        socket.link("set", index=link.index, ifalias=str(mark))


def set_mac(socket: Any, link: Link, mac: str) -> None:
    if link.mac != mac.lower():
        socket.link("set", index=link.index, address=mac.lower())


def set_up(socket: Any, link: Link) -> None:
    if not link.up:
        socket.link("set", index=link.index, state="up")


def delete(socket: Any, name: str) -> None:
    """Without complaint when it is gone already; a veth goes with its other end."""
    try:
        socket.link("del", ifname=name)
    except NetlinkError as fault:
        if fault.code != _NO_SUCH_DEVICE:
            raise


def mark_loopback(mark: Mark) -> None:
    """Prepares a namespace just made, from inside: `lo` is up and says whose namespace this is."""
    with netlink(None) as socket:
        if (loopback := find(socket, "lo")) is not None:
            set_mark(socket, loopback, mark)
            set_up(socket, loopback)


def loopback_mark(path: Path) -> Mark | None:
    """The mark of a namespace that an agent made; None for one that somebody else did."""
    with netlink(path) as socket:
        loopback = find(socket, "lo")
    return Mark.parse(loopback.alias) if loopback else None


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=(info.get_attr("IFLA_INFO_KIND") if info else None) or "",
        mac=(message.get_attr("IFLA_ADDRESS") or "").lower(),
        up=bool(message["flags"] & _IFF_UP),
        alias=message.get_attr("IFLA_IFALIAS") or "",
        group=message.get_attr("IFLA_GROUP") or 0,
        peer=message.get_attr("IFLA_LINK") or 0,
    )
