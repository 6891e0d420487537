"""Devices of the machine that become uplinks: how they were found, and how they are given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from controller.config import Found, Uplink
from controller.host import links, namespace, offloads, sysctl
from controller.host.errors import HostError
from controller.system.errors import SystemFault

_IFF_UP, _IFF_PROMISC = 0x1, 0x100


def look(uplinks: tuple[Uplink, ...]) -> tuple[Uplink, ...]:
    """The same uplinks, with how their devices are now, where the caller is. Raises SystemFault, HostError."""
    return tuple(
        uplink if uplink.device is None else replace(uplink, found=_found(uplink.name, uplink.device))
        for uplink in uplinks
    )


def _found(name: str, device: str) -> Found:
    with links.netlink(None) as socket:
        if links.find(socket, device) is None:
            raise SystemFault(f"--uplink {name}={device}: no such device here", "See ip link")
        (message,) = socket.link("get", ifname=device)
    return Found(
        up=bool(message["flags"] & _IFF_UP),
        promiscuous=bool(message["flags"] & _IFF_PROMISC),
        mtu=int(message.get_attr("IFLA_MTU")),
        disable_ipv6=sysctl.read(_ipv6(device)),
        offloads=tuple(sorted(offloads.active(device))),
    )


def move_in(uplink: Uplink, inside: Path) -> None:
    """From the namespace of the caller, under the uplink's name. Raises HostError."""
    with inside.open("rb") as descriptor, links.netlink(None) as socket:
        link = links.find(socket, uplink.device or uplink.name)
        if link is None:
            raise SystemFault(f"--uplink {uplink.name}={uplink.device}: no such device here", "See ip link")
        _move(socket, link.index, descriptor.fileno(), uplink.name)


def _move(socket: Any, index: int, target: int, name: str) -> None:
    """Into the namespace of the descriptor, under a new name, in one step. It arrives down and without addresses."""
    socket.link("set", index=index, state="down")
    socket.link("set", index=index, net_ns_fd=target, ifname=name)


def give_back(uplink: Uplink, inside: Path, home: Path) -> list[str]:
    """Moves the device to `home`, if it is inside, and makes it what it was. Returns what the user should know.

    Begun once and interrupted, it is finished by the next call. Raises HostError when its name is taken at home.
    """
    device = uplink.device or uplink.name
    with home.open("rb") as descriptor:  # opened before /proc/self is inside
        with links.netlink(inside) as socket:
            link = links.find(socket, uplink.name)
            if link is not None:
                _move(socket, link.index, descriptor.fileno(), device)
        with namespace.entered(Path(f"/proc/self/fd/{descriptor.fileno()}")):
            left = put_back(device, uplink.found) if uplink.found else []
    return left if link is None else [f"{device}: given back, without the addresses and routes it may have had", *left]


def put_back(device: str, found: Found) -> list[str]:
    """Makes a device in the namespace of the caller what it was. What cannot be done does not keep back the rest.

    Returns a line for each such thing.
    """
    with links.netlink(None) as socket:
        if links.find(socket, device) is None:
            return [f"{device}: this device is gone"]
    steps: list[Callable[[], None]] = [
        partial(offloads.restore, device, found.offloads),
        partial(_put_back_link, device, found),
    ]
    if found.disable_ipv6 is not None:
        steps.insert(0, partial(sysctl.ensure, _ipv6(device), found.disable_ipv6))
    left = []
    for step in steps:
        try:
            step()
        except HostError as fault:
            left.append(str(fault))
    return left


def _put_back_link(device: str, found: Found) -> None:
    flags = (_IFF_UP if found.up else 0) | (_IFF_PROMISC if found.promiscuous else 0)
    with links.netlink(None) as socket:
        link = links.find(socket, device)
        if link is not None:
            socket.link("set", index=link.index, mtu=found.mtu)
            socket.link("set", index=link.index, flags=flags, change=_IFF_UP | _IFF_PROMISC)


def _ipv6(device: str) -> str:
    return f"ipv6/conf/{device}/disable_ipv6"
