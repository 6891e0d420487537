"""The network device of a virtual function: where it is, into an instance's namespace, and home again.

It is known by the PCI device that it belongs to, in whatever namespace and under whatever name.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from controller.host import link_codec, links, namespace
from controller.host.errors import HostError
from controller.host.link_codec import Link
from controller.host.links import Netlink
from controller.host.sriov import drivers, tree

APPEARS_S = 3.0  # a driver makes its network device after it has taken charge of the PCI device
_LOOK_EVERY_S = 0.02
_HERE = Path("/proc/thread-self/ns/net")


@dataclass(frozen=True, slots=True)
class Found:
    """place: the namespace; None: the agent's own."""

    place: Path | None
    link: Link


def find(address: str, places: tuple[Path | None, ...]) -> Found | None:
    """In the first of the places that has it; one that is gone has nothing. Raises HostError."""
    for place in places:
        if place is not None and namespace.identity(place) is None:
            continue
        with links.netlink(place) as socket:
            found = _of(socket, address)
        if found is not None:
            return Found(place, found)
    return None


class NotYet(HostError):
    """Something that was asked for takes its moment: to be looked at again soon."""


class Renewal:
    """Network devices that their drivers are asked to make anew, after which nobody need wait for one.

    waits: whoever asks has no later moment, and does wait.
    """

    def __init__(self, waits: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._waits, self._clock = waits, clock
        self._asked_s: dict[str, float] = {}  # address -> when
        self._macs: set[tuple[str, str]] = set()  # address and MAC for which a device was made anew

    def device(self, root: Path, address: str, places: tuple[Path | None, ...]) -> Found:
        """In one of the places; else made anew in the agent's own namespace. Raises NotYet, HostError."""
        found = find(address, places)
        if found is None and address not in self._asked_s:
            self._ask(root, address)
        while found is None and (found := find(address, (None,))) is None:
            if self._clock() - self._asked_s[address] > APPEARS_S:
                del self._asked_s[address]
                driver = tree.driver_of(drivers.device(root, address))
                raise HostError(
                    f"PCI device {address} has no network device in the agent's namespace (driver: {driver or 'none'})",
                    "Load the driver of the NIC's virtual functions (such as iavf, igbvf, mlx5_core); see dmesg",
                )
            if not self._waits:
                raise NotYet(f"PCI device {address} gets its network device anew from its driver", "Wait a moment")
            time.sleep(_LOOK_EVERY_S)
        self._asked_s.pop(address, None)
        return found

    def with_mac(self, root: Path, address: str, found: Found, mac: str) -> Found:
        """The device with this MAC, which its NIC has been told. Raises NotYet, HostError.

        Some drivers take one only when they start.
        """
        if not _try_mac(found, mac):
            if (address, mac) in self._macs:
                self._macs.remove((address, mac))
                raise HostError(f"{found.link.name}: its driver does not take the MAC {mac}", "See dmesg")
            self._macs.add((address, mac))
            self._ask(root, address)
            return self.with_mac(root, address, self.device(root, address, (None,)), mac)
        self._macs.discard((address, mac))
        return found

    def _ask(self, root: Path, address: str) -> None:
        drivers.rebind(root, address)
        self._asked_s[address] = self._clock()


def move(found: Found, place: Path | None, name: str) -> Link:
    """Into the namespace, under a new name, in one step: it arrives down and without addresses and queues.

    Raises HostError, also when that has another device of this name.
    """
    with (place or _HERE).open("rb") as target, links.netlink(found.place) as socket:
        index = found.link.index
        socket.link("set", index=index, state="down")
        try:
            socket.link("set", index=index, net_ns_fd=target.fileno(), ifname=name)
        except NetlinkError as fault:
            if fault.code != errno.EEXIST:
                raise
            raise HostError(
                f"the network namespace {place or 'of the agent'} has an interface {name} already",
                "Choose another name with --ifname, or rename that one",
            ) from fault
    with links.netlink(place) as socket:
        moved = links.find(socket, name)
    if moved is None:
        raise HostError(f"interface {name} vanished from {place}", "The agent looks for it again")
    return moved


def addressed(names: Iterable[str]) -> frozenset[str]:
    """Those of these devices in the agent's namespace that have an address that somebody gave them."""
    with links.netlink(None) as socket:
        return frozenset(name for name in names if (link := links.find(socket, name)) and _has_address(socket, link))


def _has_address(socket: Netlink, link: Link) -> bool:
    found = map(link_codec.link_address, socket.lean.dump(link_codec.ask_addresses(link.index)))
    return any(one.link == link.index and not one.address.is_link_local for one in found)


def rename(found: Found, name: str) -> None:
    if found.link.name != name:
        with links.netlink(found.place) as socket:
            socket.link("set", index=found.link.index, state="down")
            socket.link("set", index=found.link.index, ifname=name)


def _of(socket: Netlink, address: str) -> Link | None:
    found = map(link_codec.link, socket.lean.dump(link_codec.ask_links()))
    return next((link for link in found if link.parent == address), None)


def _try_mac(found: Found, mac: str) -> bool:
    if found.link.mac == mac:
        return True
    with links.netlink(found.place) as socket:
        try:
            socket.link("set", index=found.link.index, address=mac)
        except NetlinkError:
            return False
        now = links.find(socket, found.link.name)
    return now is not None and now.mac == mac
