"""Kind veth: a pair of links, `wv<number>` on the bridge's side and the instance's interface in its namespace.

Every step looks first and does what is missing, so an interrupted creation is completed, and running it again is free.
"""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from controller.host import host_ends, instance_end, links, namespace
from controller.host.errors import HostError
from controller.host.instance_end import InstanceEnd
from controller.host.link_codec import Link
from controller.host.links import GROUP, Mark, Netlink

PREFIX = "wv"
MADE = "made"

log = logging.getLogger("weir.agent")


@dataclass(frozen=True, slots=True)
class VethSpec:
    """What the pair shall be. end: what the instance has, in `namespace`.

    before: where the instance's end may still be; it is moved from there, and the host's end stays what it is.
    held_open: vswitchd has, or may still have, a link of this name open.
    """

    end: InstanceEnd
    namespace: Path
    before: tuple[Path, ...] = ()
    held_open: bool = False


def host_end(number: int) -> str:
    """Name of the link that the bridge holds: at most 7 characters of the 15 that a link's name may have."""
    return f"{PREFIX}{number}"


def ensure(spec: VethSpec, done: list[str] | None = None) -> int:
    """Makes the pair, or puts right what differs. Returns the index of the host's end. Raises HostError.

    done: gets what is changed of a pair that is there, in words, and MADE.
    """
    name = host_end(spec.end.number)
    host = _present_host_end(spec)
    if host is not None:
        _make_ready(spec, host, done)
        if not _configure_instance_end(spec, host, done) and not _bring_instance_end(spec, done):
            remove(spec.end.number)
            host = None
    if host is None:
        if spec.held_open:  # it would go on reading from the link that is gone, and never notice the new one
            raise HostError(
                f"link {name} is gone and Open vSwitch has not let go of it yet",
                "It is made anew as soon as that is done",
            )
        host = _create(spec)
        if done is not None:
            done.append(MADE)
        _make_ready(spec, host)
        if not _configure_instance_end(spec, host):
            raise HostError(f"interface {spec.end.ifname} vanished from {spec.namespace}", "The agent makes it again")
    return host.index


def remove(number: int) -> None:
    """Removes both ends, wherever the other one is."""
    with links.netlink(None) as socket:
        links.delete(socket, host_end(number))


def _make_ready(spec: VethSpec, host: Link, done: list[str] | None = None) -> None:
    """Before the instance's end: that one then has a carrier as soon as it is up."""
    host_ends.silence(host.name)
    if not host.up or host.alias != str(spec.end.mark) or host.mtu != spec.end.network.mtu:
        with links.netlink(None, done) as socket:
            links.set_mark(socket, host, spec.end.mark)
            links.set_mtu(socket, host, spec.end.network.mtu)
            links.set_up(socket, host)


def _present_host_end(spec: VethSpec) -> Link | None:
    """Raises HostError when a link of that name is somebody else's."""
    with links.netlink(None) as socket:
        host = links.find(socket, host_end(spec.end.number))
    if host is not None:
        host_ends.check_ours(host, spec.end.mark)
    return host


def _create(spec: VethSpec) -> Link:
    """Both ends in one message, so there is no moment in which the inner one is in the wrong namespace."""
    name, end = host_end(spec.end.number), spec.end
    with links.netlink(None) as socket, spec.namespace.open("rb") as target:
        peer = {"ifname": end.ifname, "net_ns_fd": target.fileno(), "address": end.mac, "group": GROUP}
        try:
            socket.link("add", ifname=name, kind="veth", group=GROUP, peer=peer)
        except NetlinkError as fault:
            if fault.code != errno.EEXIST:
                raise
            raise _taken(spec) from fault
        made = links.find(socket, name)
    if made is None:
        raise HostError(f"link {name} vanished while it was made", "The agent tries again by itself")
    return made


def _taken(spec: VethSpec) -> HostError:
    return HostError(
        f"the instance's network namespace {spec.namespace} has an interface {spec.end.ifname} already",
        "Choose another name with --ifname",
    )


def _configure_instance_end(spec: VethSpec, host: Link, done: list[str] | None = None) -> bool:
    """False when what bears the name in the namespace is not the other end of `host`."""
    with links.netlink(spec.namespace, done) as socket:
        inner = links.find(socket, spec.end.ifname)
        if inner is None or not _belong_together(host, inner, spec.end.mark):
            return False
        instance_end.configure(socket, inner, spec.end)
    return True


def _belong_together(host: Link, inner: Link, mark: Mark) -> bool:
    """It takes more than the two indexes, which could match by chance across namespaces."""
    if (inner.index, inner.peer) != (host.peer, host.index):
        return False
    return inner.group == GROUP and inner.alias in ("", str(mark))


def _bring_instance_end(spec: VethSpec, done: list[str] | None) -> bool:
    """Moves it to its namespace, under its name, from where it is. False when it is nowhere where it may be."""
    with links.netlink(None) as socket:
        host = links.find(socket, host_end(spec.end.number))
    if host is None:
        return False
    for place in (spec.namespace, *spec.before):
        with suppress(HostError):  # that namespace is gone, and what was in it
            if _is_at(place, host, spec.end.mark):
                break
    else:
        return False
    _move(spec, place, host.peer)
    if done is not None:
        done.append("brought back")
    with links.netlink(None) as socket:
        moved = links.find(socket, host.name)  # the other end may have got another index there
    return moved is not None and _configure_instance_end(spec, moved)


def _is_at(place: Path, host: Link, mark: Mark) -> bool:
    with links.netlink(place) as socket:
        inner = links.find_at(socket, host.peer)
        return inner is not None and _belong_together(host, inner, mark)


def _move(spec: VethSpec, place: Path, index: int) -> None:
    """In one message, so that it is never in the one namespace under the name that it is to have in the other."""
    stays = namespace.identity(place) == namespace.identity(spec.namespace)
    with spec.namespace.open("rb") as target, links.netlink(place) as socket:
        try:
            if stays:
                _rename(socket, index, spec.end.ifname)
            else:
                socket.link("set", index=index, net_ns_fd=target.fileno(), ifname=spec.end.ifname)
        except NetlinkError as fault:
            if fault.code != errno.EEXIST:
                raise
            raise _taken(spec) from fault
    log.info("%s is now %s in %s", host_end(spec.end.number), spec.end.ifname, spec.namespace)


def _rename(socket: Netlink, index: int, name: str) -> None:
    try:
        socket.link("set", index=index, ifname=name)
    except NetlinkError as fault:
        if fault.code != errno.EBUSY:
            raise
        socket.link("set", index=index, state="down")  # before Linux 6.2 a link has to be down for that
        socket.link("set", index=index, ifname=name)
