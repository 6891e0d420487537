"""The embedded system's network namespace and its uplinks: made before anything runs, taken away after it ended."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from controller.config import StateDir, System, Uplink
from controller.host import links, namespace, offloads, sysctl
from controller.system import devices, processes
from controller.system.errors import SystemFault, WrongRequest

_OWN = Path("/proc/self/ns/net")
_ALIAS = "weir-system:"
_NAME_BYTES = 15  # IFNAMSIZ less its terminating zero
_OF_A_VIF = re.compile(r"w[vtu][0-9]+")
_TAKEN = ("lo", "br-weir", "ovs-netdev")


def home_inode() -> int:
    """The network namespace that this process is in."""
    return os.stat(_OWN).st_ino


def check_device_name(option: str, name: str) -> None:
    """Raises WrongRequest."""
    if not name or len(name.encode()) > _NAME_BYTES or name in (".", "..") or set(name) & set("/: \t\n"):
        raise WrongRequest(
            f"{option}: '{name}' cannot be the name of a network device",
            "Use 1 to 15 characters without slash, colon or space",
        )


def check_uplinks(uplinks: tuple[Uplink, ...], ovs: str) -> None:
    """Raises WrongRequest when they can never work, whatever the machine has."""
    seen: set[str] = set()
    for uplink in uplinks:
        names = [uplink.name] if uplink.device is None else [uplink.name, uplink.device]
        for name in names:
            check_device_name("--uplink", name)
        if uplink.name in _TAKEN or _OF_A_VIF.fullmatch(uplink.name):
            raise WrongRequest(f"--uplink {uplink.name}: Weir uses this name itself", "Choose another")
        if seen & set(names):
            raise WrongRequest(f"--uplink {uplink.name}: named twice", "Name each uplink and each device once")
        if ovs == "system" and uplink.device is None:
            raise WrongRequest(
                f"--uplink {uplink.name}: the machine's own Open vSwitch needs a device for it",
                f"Write --uplink {uplink.name}=DEVICE",
            )
        seen.update(names)


def check_devices(system: System) -> None:
    """Raises SystemFault when a device to be moved is missing, or a name to be made is taken here."""
    with links.netlink(None) as socket:
        for uplink in system.uplinks:
            wanted = uplink.device or uplink.name
            there = links.find(socket, wanted) is not None
            if uplink.device is not None and not there:
                raise SystemFault(f"--uplink {uplink.name}={wanted}: no such device here", "See ip link")
            if uplink.device is None and there:
                raise SystemFault(
                    f"--uplink {uplink.name}: a link {wanted} exists here already",
                    f"Choose another name; or write --uplink {wanted}={wanted} to hand that device over",
                )


def make(system: System, directory: StateDir) -> None:
    """The namespace with `lo` up, and every uplink in it, up. Raises SystemFault or HostError.

    On the machine's own Open vSwitch devices stay where they are, and are made fit for a datapath in userspace.
    """
    if system.namespace is None:
        for uplink in system.uplinks if system.plain_frames else ():
            offloads.disable(uplink.device or uplink.name)
        return
    path = namespace.create(system.namespace, lambda: _mark(directory))
    for uplink in system.uplinks:
        if uplink.device is None:
            _make_pair(uplink.name, path)
            _bring_up(uplink.name, None, system.plain_frames)
        else:
            devices.move_in(uplink, path)
        _bring_up_inside(uplink.name, path, system.plain_frames)


def _mark(directory: StateDir) -> None:
    with links.netlink(None) as socket:
        loopback = links.find(socket, "lo")
        assert loopback is not None
        socket.link("set", index=loopback.index, ifalias=_ALIAS + str(directory.path), state="up")


def _make_pair(name: str, inside: Path) -> None:
    with inside.open("rb") as descriptor, links.netlink(None) as socket:
        socket.link("add", ifname=name, kind="veth", peer={"ifname": name, "net_ns_fd": descriptor.fileno()})


def _bring_up_inside(name: str, inside: Path, plain_frames: bool) -> None:
    """The stack of the system's namespace has nothing to say on an uplink: only what the bridge sends goes out."""
    with namespace.entered(inside):
        sysctl.ensure(f"ipv6/conf/{name}/disable_ipv6", "1")
    _bring_up(name, inside, plain_frames)


def _bring_up(name: str, path: Path | None, plain_frames: bool) -> None:
    with links.netlink(path) as socket:
        if plain_frames:
            offloads.disable(name)
        link = links.find(socket, name)
        if link is not None:
            links.set_up(socket, link)


def exists(directory: StateDir) -> bool:
    return namespace.identity(namespace.named(directory.namespace)) is not None


def take_away(system: System | None, directory: StateDir) -> list[str]:
    """Removes the namespace, its links, and those made for VIFs; gives devices back. Returns what the user should know.

    system None: its file is lost; a device that was moved in then falls back to the kernel's care.
    """
    path = namespace.named(directory.namespace)
    notes: list[str] = []
    if system is not None and system.namespace is None:
        notes += [line for one in system.uplinks if one.found for line in devices.put_back(one.device or "", one.found)]
    if namespace.identity(path) is not None:
        if system is not None:
            notes += _give_back(system, directory, path)
        _delete_links(path)
    for name in (*namespace.names(directory.namespace + "-"), directory.namespace):
        namespace.remove(name)
    return notes


def _give_back(system: System, directory: StateDir, inside: Path) -> list[str]:
    """What became of the devices, in words."""
    moved = [uplink for uplink in system.uplinks if uplink.device is not None]
    home = _find_namespace(system.home_inode, directory) if moved else None
    notes = []
    if moved and home is None:
        notes.append("the namespace that devices came from is gone: they are now where weir down runs")
    for uplink in moved:
        notes += devices.give_back(uplink, inside, home or _OWN)
    return notes


def _find_namespace(inode: int, directory: StateDir) -> Path | None:
    """A path to the network namespace of this inode: ours, a named one, or that of any process."""
    supervisors = [f"/proc/{one.pid}/ns/net" for one in processes.of_system(directory.path)]
    candidates = [_OWN, *map(Path, supervisors), *map(namespace.named, namespace.names(""))]
    for path in (*candidates, *Path("/proc").glob("[0-9]*/ns/net")):
        with suppress(OSError):
            if path.stat().st_ino == inode:
                return path
    return None


def _delete_links(path: Path) -> None:
    """Deletes the virtual links in the namespace now; removing the namespace alone would do it at some later moment."""
    with links.netlink(path) as socket:
        names = [message.get_attr("IFLA_IFNAME") for message in socket.get_links()]
        for name in names:
            link = links.find(socket, name)
            if link is not None and link.kind in ("veth", "tun"):
                links.delete(socket, name)
