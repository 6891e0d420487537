"""Kind veth: a pair of links, `wv<number>` on the bridge's side and the instance's interface in its namespace.

Every step looks first and does what is missing, so an interrupted creation is completed, and running it again is free.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from controller.host import addresses, links, offloads, sysctl
from controller.host.errors import HostError
from controller.host.links import GROUP, Link, Mark

_EXISTS = 17

_HOST_END_SETTINGS = {
    "ipv6/conf/{}/disable_ipv6": "1",  # the host's own stack says nothing to the instance
    "ipv4/conf/{}/arp_ignore": "8",  # a userspace datapath leaves the frames to that stack as well: it must not answer
    "ipv4/conf/{}/rp_filter": "1",  # nor take them in: no route leads back through this link
}


@dataclass(frozen=True, slots=True)
class VethSpec:
    """What the pair shall be.

    namespace: of the instance. plain_frames: the datapath wants frames without offloads.
    held_open: vswitchd has, or may still have, a link of this name open.
    """

    number: int
    ifname: str
    mac: str
    addresses: tuple[str, ...]
    namespace: Path
    mark: Mark
    plain_frames: bool
    held_open: bool = False


def host_end(number: int) -> str:
    """Name of the link that the bridge holds: at most 7 characters of the 15 that a link's name may have."""
    return f"wv{number}"


def ensure(spec: VethSpec) -> None:
    """Makes the pair, or puts right what differs. Raises HostError."""
    name = host_end(spec.number)
    with links.netlink(None) as socket:
        host = links.find(socket, name)
        if host is not None:
            _refuse_foreign(host, spec.mark)
    if host is not None and not _reaches_instance(host, spec):
        remove(spec.number)
        host = None
    if host is None and spec.held_open:
        raise HostError(  # it would go on reading from the link that is gone, and never notice the new one
            f"link {name} is gone and Open vSwitch has not let go of it yet", "It is made anew as soon as that is done"
        )
    with links.netlink(None) as socket:
        if host is None:
            host = _create(socket, spec)
        links.set_mark(socket, host, spec.mark)
    _configure_instance_end(spec)
    for key, value in _HOST_END_SETTINGS.items():
        sysctl.ensure(key.format(name), value)
    with links.netlink(None) as socket:
        links.set_up(socket, host)


def remove(number: int) -> None:
    """Removes both ends, wherever the other one is."""
    with links.netlink(None) as socket:
        links.delete(socket, host_end(number))


def _refuse_foreign(host: Link, mark: Mark) -> None:
    unmarked = host.group == GROUP and not host.alias  # our creation, interrupted
    owner = Mark.parse(host.alias)
    if not unmarked and (owner is None or (owner.system, owner.chassis) != (mark.system, mark.chassis)):
        raise HostError(
            f"link {host.name} exists and is not this agent's ({host.alias or 'no alias'})",
            f"Remove it (ip link delete {host.name}), or run only one system on this host's own network namespace",
        )


def _reaches_instance(host: Link, spec: VethSpec) -> bool:
    """Whether the other end is the instance's interface: indexes alone could match by chance across namespaces."""
    with links.netlink(spec.namespace) as socket:
        inner = links.find(socket, spec.ifname)
    return (
        inner is not None and inner.group == GROUP and inner.alias in ("", str(spec.mark))
        and (inner.index, inner.peer) == (host.peer, host.index)
    )  # fmt: skip


def _create(socket: Any, spec: VethSpec) -> Link:
    """Both ends in one message, so there is no moment in which the inner one is in the wrong namespace."""
    name = host_end(spec.number)
    target = os.open(spec.namespace, os.O_RDONLY | os.O_CLOEXEC)
    peer = {"ifname": spec.ifname, "net_ns_fd": target, "address": spec.mac, "group": GROUP}
    try:
        socket.link("add", ifname=name, kind="veth", group=GROUP, peer=peer)
    except NetlinkError as fault:
        if fault.code != _EXISTS:
            raise
        raise HostError(
            f"the instance's network namespace {spec.namespace} has an interface {spec.ifname} already",
            "Choose another name with --ifname",
        ) from fault
    finally:
        os.close(target)
    made = links.find(socket, name)
    if made is None:
        raise HostError(f"link {name} vanished while it was made", "The agent tries again by itself")
    return made


def _configure_instance_end(spec: VethSpec) -> None:
    with links.netlink(spec.namespace) as socket:
        loopback, inner = links.find(socket, "lo"), links.find(socket, spec.ifname)
        if inner is None:
            raise HostError(f"interface {spec.ifname} vanished from {spec.namespace}", "The agent makes it again")
        if loopback is not None:
            links.set_up(socket, loopback)
        links.set_mark(socket, inner, spec.mark)
        links.set_mac(socket, inner, spec.mac)
        if spec.plain_frames:
            offloads.disable(spec.ifname)
        addresses.prepare(spec.ifname)
        links.set_up(socket, inner)
        addresses.ensure(socket, inner, spec.addresses)
