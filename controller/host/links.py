"""Links as values, and the few things the agent does to them, in whatever namespace the netlink socket was opened in.

Ours are known twice: the group number is set in the message that creates a link, so even an interrupted creation is
recognised; the alias says whose it is (`Mark`) and is what garbage collection goes by.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from controller.host import link_codec, namespace
from controller.host.errors import HostError
from controller.host.link_codec import Link
from controller.host.qdisc_frames import Request
from controller.host.qdisc_socket import KernelRefusal, QdiscSocket

GROUP = 0x77656972  # "weir"


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


class Netlink:
    """One namespace's netlink: reads by a lean socket, all else by pyroute2, whose own takes half a millisecond to open
    and is opened only when it is needed. To be used where it was made, see `netlink`. done: gets what it changes, in
    words.
    """

    def __init__(self, done: list[str] | None = None) -> None:
        self.lean = QdiscSocket()
        self._full: IPRoute | None = None
        self._done = done

    def __getattr__(self, name: str) -> Any:
        if self._full is None:
            self._full = IPRoute()
        found = getattr(self._full, name)
        return partial(self._change, name, found) if name in ("link", "addr", "route") else found

    def note(self, what: str) -> None:
        if self._done is not None and what:
            self._done.append(what)

    def _change(self, of: str, change: Callable[..., Any], command: str, /, **fields: Any) -> Any:
        answer = change(command, **fields)
        self.note(_in_words(of, command, fields))
        return answer

    def close(self) -> None:
        self.lean.close()
        if self._full is not None:
            self._full.close()


def _in_words(of: str, command: str, fields: Mapping[str, Any]) -> str:
    """Empty for addresses that the kernel makes as well, so that both may be at it."""
    verb = {"add": "added", "del": "deleted"}.get(command, command)
    if of == "addr":
        address = f"{fields['address']}/{fields['prefixlen']}"
        return "" if ip_interface(address).is_link_local else f"address {address} {verb}"
    if of == "route":
        return f"route through {fields['gateway']} {verb}"
    numbers = ("index", "net_ns_fd")
    return ", ".join(f"{name} {value}" for name, value in fields.items() if name not in numbers) + f" {verb}"


@contextmanager
def netlink(path: Path | None, done: list[str] | None = None) -> Iterator[Netlink]:
    """A netlink socket in the namespace at `path` (None: here); the thread is inside for the time of the block. done:
    gets what is changed, in words.

    Raises HostError, also for what the kernel refuses in the block.
    """
    with namespace.entered(path):
        socket = Netlink(done)
        try:
            yield socket
        except (NetlinkError, KernelRefusal) as fault:
            raise HostError(
                f"{path or 'the agent: network namespace'}: the kernel refused: {fault}",
                "The agent needs CAP_NET_ADMIN there; it tries again by itself",
            ) from fault
        finally:
            socket.close()


def find(socket: Netlink, name: str) -> Link | None:
    return _found(socket, link_codec.ask_link(name))


def find_at(socket: Netlink, index: int) -> Link | None:
    return _found(socket, link_codec.ask_link_at(index))


def _found(socket: Netlink, request: Request) -> Link | None:
    (answer,) = socket.lean.ask([request])
    if isinstance(answer, KernelRefusal) and answer.code != errno.ENODEV:
        raise answer
    return link_codec.link(answer) if isinstance(answer, bytes) else None


def ours(found: Iterable[Link], system: str, chassis: str) -> list[tuple[Mark | None, Link]]:
    """Those that this chassis made. Mark None: one whose creation was interrupted before it was marked."""
    marked = [(Mark.parse(link.alias), link) for link in found]
    return [
        (mark, link)
        for mark, link in marked
        if (link.group == GROUP and not link.alias)
        or (mark is not None and (mark.system, mark.chassis) == (system, chassis))
    ]


def set_mark(socket: Netlink, link: Link, mark: Mark) -> None:
    if link.alias != str(mark):
        socket.link("set", index=link.index, ifalias=str(mark))


def set_mac(socket: Netlink, link: Link, mac: str) -> None:
    if link.mac != mac.lower():
        socket.link("set", index=link.index, address=mac.lower())


def set_mtu(socket: Netlink, link: Link, mtu: int) -> None:
    """mtu: bytes of an IP packet."""
    if link.mtu != mtu:
        socket.link("set", index=link.index, mtu=mtu)


def set_up(socket: Netlink, link: Link) -> None:
    if not link.up:
        socket.link("set", index=link.index, state="up")


def restart(socket: Netlink, link: Link) -> None:
    """Down and up again."""
    socket.link("set", index=link.index, state="down")
    socket.link("set", index=link.index, state="up")


def delete(socket: Netlink, name: str) -> None:
    """Without complaint when it is gone already; a veth goes with its other end."""
    try:
        socket.link("del", ifname=name)
    except NetlinkError as fault:
        if fault.code != errno.ENODEV:
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
