"""Kind veth: a pair of links, `wv<number>` on the bridge's side and the instance's interface in its namespace.

Every step looks first and does what is missing, so an interrupted creation is completed, and running it again is free.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from controller.host import addresses, links, offloads, sysctl
from controller.host.errors import HostError
from controller.host.link_codec import Link
from controller.host.links import GROUP, Mark

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


def ensure(spec: VethSpec) -> int:
    """Makes the pair, or puts right what differs. Returns the index of the host's end. Raises HostError."""
    name = host_end(spec.number)
    host = _present_host_end(spec)
    if host is not None and not _configure_instance_end(spec, host):
        remove(spec.number)
        host = None
    if host is None:
        if spec.held_open:  # it would go on reading from the link that is gone, and never notice the new one
            raise HostError(
                f"link {name} is gone and Open vSwitch has not let go of it yet",
                "It is made anew as soon as that is done",
            )
        host = _create(spec)
        if not _configure_instance_end(spec, host):
            raise HostError(f"interface {spec.ifname} vanished from {spec.namespace}", "The agent makes it again")
    for key, value in _HOST_END_SETTINGS.items():
        sysctl.ensure(key.format(name), value)
    if not host.up or host.alias != str(spec.mark):
        with links.netlink(None) as socket:
            links.set_mark(socket, host, spec.mark)
            links.set_up(socket, host)
    return host.index


def remove(number: int) -> None:
    """Removes both ends, wherever the other one is."""
    with links.netlink(None) as socket:
        links.delete(socket, host_end(number))


def _present_host_end(spec: VethSpec) -> Link | None:
    """Raises HostError when a link of that name is somebody else's."""
    mark = spec.mark
    with links.netlink(None) as socket:
        host = links.find(socket, host_end(spec.number))
    if host is None or (host.group == GROUP and not host.alias):  # the latter: our creation, interrupted
        return host
    owner = Mark.parse(host.alias)
    if owner is None or (owner.system, owner.chassis) != (mark.system, mark.chassis):
        raise HostError(
            f"link {host.name} exists and is not this agent's ({host.alias or 'no alias'})",
            f"Remove it (ip link delete {host.name}), or run only one system on this host's own network namespace",
        )
    return host


def _create(spec: VethSpec) -> Link:
    """Both ends in one message, so there is no moment in which the inner one is in the wrong namespace."""
    name = host_end(spec.number)
    with links.netlink(None) as socket, spec.namespace.open("rb") as target:
        peer = {"ifname": spec.ifname, "net_ns_fd": target.fileno(), "address": spec.mac, "group": GROUP}
        try:
            socket.link("add", ifname=name, kind="veth", group=GROUP, peer=peer)
        except NetlinkError as fault:
            if fault.code != _EXISTS:
                raise
            raise HostError(
                f"the instance's network namespace {spec.namespace} has an interface {spec.ifname} already",
                "Choose another name with --ifname",
            ) from fault
        made = links.find(socket, name)
    if made is None:
        raise HostError(f"link {name} vanished while it was made", "The agent tries again by itself")
    return made


def _configure_instance_end(spec: VethSpec, host: Link) -> bool:
    """False when the other end of `host` is not the instance's interface.

    Whether it is takes more than the two indexes, which could match by chance across namespaces.
    """
    with links.netlink(spec.namespace) as socket:
        inner = links.find(socket, spec.ifname)
        if inner is None or (inner.index, inner.peer) != (host.peer, host.index):
            return False
        if inner.group != GROUP or inner.alias not in ("", str(spec.mark)):
            return False
        loopback = links.find(socket, "lo")
        if loopback is not None:
            links.set_up(socket, loopback)
        links.set_mark(socket, inner, spec.mark)
        links.set_mac(socket, inner, spec.mac)
        if spec.plain_frames:
            offloads.disable(spec.ifname)
        addresses.prepare(spec.ifname)
        links.set_up(socket, inner)
        addresses.ensure(socket, inner, spec.addresses)
    return True
