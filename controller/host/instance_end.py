"""The instance's end of a VIF in its network namespace, whatever device it is: what it is called, has, and is told.

For every kind whose instance's end is a link in a namespace. Every step looks first, so repeating it is free.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.host import addresses, links, offloads, routes
from controller.host.instance_network import InstanceNetwork
from controller.host.link_codec import Link
from controller.host.links import Mark, Netlink


@dataclass(frozen=True, slots=True)
class InstanceEnd:
    """number: of the VIF. plain_frames: the datapath wants frames without offloads."""

    number: int
    ifname: str
    mac: str
    addresses: tuple[str, ...]
    mark: Mark
    network: InstanceNetwork
    plain_frames: bool


def configure(socket: Netlink, link: Link, end: InstanceEnd) -> None:
    """Called inside the namespace (see `links.netlink`), in which `link` bears the name `end.ifname` already.

    Raises HostError; within `links.netlink` also what the kernel refuses becomes one.
    """
    loopback = links.find(socket, "lo")
    if loopback is not None:
        links.set_up(socket, loopback)
    links.set_mark(socket, link, end.mark)
    links.set_mac(socket, link, end.mac)
    links.set_mtu(socket, link, end.network.mtu)
    if end.plain_frames:
        socket.note(", ".join(f"{name} off" for name in sorted(offloads.disable(end.ifname))))
    if addresses.prepare(end.ifname, end.network) and link.up:
        links.restart(socket, link)  # only then it asks for routers
    else:
        links.set_up(socket, link)
    addresses.ensure(socket, links.find_at(socket, link.index) or link, end.addresses)
    routes.ensure(socket, link, end.network.gateways, end.number)
