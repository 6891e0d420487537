"""Kind vhost-user: a port of OVS-DPDK whose packets lie in memory that the VM shares with the switch.

The VM's process serves a socket, and the switch connects to it, again and again: so the VM, or any DPDK application in
its place, may come, go and come again, and so may the switch. What is made for it is the port and a directory of its
own, in which that process, and no other VM's, makes the socket. What else it makes there is never walked through: a
directory that is not wanted any more is put out of everybody's reach as it is.

Queues and the lengths of their rings are the guest's to choose, within what its process was told: Open vSwitch has no
options for them on such a port.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from controller.config import SOCKET_PATH_BYTES
from controller.host import desired
from controller.host.attempts import Attempts
from controller.host.errors import HostError
from controller.host.kinds.kind import Made, PassView
from controller.host.settings import AgentConfig
from ovsdb.rows import VirtualInterface
from ovsdb.switch import PortConfig, PortStatus
from policies.model import PolicySet

AUDIT_S = 10.0
PREFIX = "wu"
TYPE = "dpdkvhostuserclient"
_MODE = "0660"  # of the socket, unless the VIF says otherwise
_OLD = ".old"  # where directories of VIFs that are gone are: no VIF's has a name without its number
_MOST_REMOVED = 256  # files of one directory; whoever left more has them until the system is taken down
_NO_DPDK = HostError(
    "this Open vSwitch runs without DPDK, which vhost-user needs",
    "Start the system with weir up --datapath dpdk, or use kind tap",
)


@dataclass(frozen=True, slots=True)
class DirectorySpec:
    """Of one VIF. mode: of the directory; group: its number."""

    path: Path
    mode: int
    group: int

    @property
    def is_for_others(self) -> bool:
        of_group = self.mode & stat.S_IRWXG and self.group != os.getegid()
        return bool(of_group or self.mode & stat.S_IRWXO)


class VhostUsers:
    """All VIFs of kind vhost-user."""

    def __init__(self, config: AgentConfig) -> None:
        self._config, self._base = config, config.state.run / "vhost"
        self._attempts: Attempts[DirectorySpec] = Attempts("VIF", AUDIT_S)
        self._kept_old: set[str] = set()  # directories of VIFs that are gone which cannot be removed

    def concerns(self, vif: VirtualInterface) -> bool:
        return vif.kind == "vhost-user" and vif.chassis == self._config.chassis

    def converge(self, wanted: Sequence[VirtualInterface], view: PassView) -> Mapping[str, Made]:
        return {vif.name: self._one(vif, view) for vif in wanted}

    def sweep(self, wanted: Sequence[VirtualInterface], view: PassView) -> None:
        """Agents of other bridges may share the directory: what a VIF of theirs wants stays."""
        self._attempts.keep({vif.name for vif in wanted})
        kept = {_directory(vif) for vif in view.snapshot.interfaces.values() if vif.kind == "vhost-user"}
        self._remove([path for path in self._present() if path.name not in kept])

    def remove_all(self) -> None:
        self._remove(self._present())

    def _present(self) -> list[Path]:
        return list(self._base.iterdir()) if self._base.is_dir() else []

    def _remove(self, paths: Sequence[Path]) -> None:
        """Out of reach, then away as far as that goes: what those who had them left in them is theirs to choose.

        Raises HostError.
        """
        old = self._base / _OLD
        try:
            for path in paths:
                if path != old:
                    old.mkdir(mode=stat.S_IRWXU, exist_ok=True)
                    with suppress(FileNotFoundError):  # an agent of another bridge has done it
                        path.rename(old / f"{path.name}.{time.monotonic_ns()}")
            if old.is_dir():
                _clear(old, self._kept_old)
        except OSError as fault:
            raise HostError(
                f"{fault.filename}: cannot be removed ({fault.strerror})", "The agent needs to own the state directory"
            ) from fault

    def _one(self, vif: VirtualInterface, view: PassView) -> Made:
        if TYPE not in view.port_types:
            return Made(fault=str(_NO_DPDK))
        socket = self._base / _directory(vif) / "sock"
        if (excess := len(os.fsencode(socket)) - SOCKET_PATH_BYTES) > 0:
            fault = HostError(
                f"{socket}: too long for a Unix socket", f"Give the VIF a name that is {excess} bytes shorter"
            )
            return Made(fault=str(fault))
        group = vif.options.get("socket_group")
        spec = DirectorySpec(
            socket.parent,
            directory_mode(int(vif.options.get("socket_mode", _MODE), 8)),
            os.getegid() if group is None else int(group),
        )
        if not spec.path.is_dir():
            self._attempts.again(vif.name)
        fault_said = self._attempts.attempt(vif.name, spec, lambda: self._ensure(spec), view.now_s)
        name = f"{PREFIX}{vif.number}"
        port = PortConfig(
            name,
            iface_id=vif.name,
            type=TYPE,
            options={"vhost-server-path": str(socket)},
            mtu_request=desired.mtu(vif, view.policies),
        )
        return Made(
            port,
            has_queues=False,
            is_policed=True,
            details={"socket": str(socket), **_seen(view.ports.get(name), _queues(vif, view.policies))},
            fault=fault_said,
        )

    def _ensure(self, spec: DirectorySpec) -> None:
        try:
            self._base.mkdir(mode=0o711, exist_ok=True)
            if spec.is_for_others:
                for path in (self._config.state.path, self._config.state.run, self._base):
                    _let_through(path)
            _make(spec)
        except OSError as fault:
            raise HostError(
                f"{spec.path}: cannot be made ready for the VM's socket ({fault.strerror})",
                "The agent needs to own the state directory, and CAP_CHOWN for a group; it tries again by itself",
            ) from fault


def directory_mode(socket_mode: int) -> int:
    """Who may connect to a socket of this mode, which takes writing, may make and replace it: all of its directory."""
    return sum(0o7 << shift for shift in (0, 3, 6) if socket_mode >> shift & 0o2) | stat.S_IRWXU


def _let_through(path: Path) -> None:
    """Others may pass to what is theirs below, and see nothing of it."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IXOTH == 0 or mode & stat.S_IXGRP == 0:
        path.chmod(mode | stat.S_IXOTH | stat.S_IXGRP)


def _make(spec: DirectorySpec) -> None:
    """Nobody gets in before the group is right."""
    spec.path.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    found = spec.path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise HostError(f"{spec.path} is no directory", "Remove it")
    if found.st_gid != spec.group:
        os.chown(spec.path, -1, spec.group)
    if stat.S_IMODE(found.st_mode) != spec.mode:
        spec.path.chmod(spec.mode)


def _directory(vif: VirtualInterface) -> str:
    """The number tells it from another tenant's VIF that had the name before."""
    return f"{vif.name}.{vif.number}"


def _clear(old: Path, kept: set[str]) -> None:
    """Removes what can be removed without going below a directory. kept: those that were tried; others are added."""
    for path in old.iterdir():
        if path.name not in kept:
            kept.add(path.name)
            with suppress(OSError):
                _empty(path)
                path.rmdir()
                kept.discard(path.name)
    with suppress(OSError):
        old.rmdir()


def _empty(directory: Path) -> None:
    with os.scandir(directory) as entries:
        found = list(islice(entries, _MOST_REMOVED))
    for entry in found:
        with suppress(OSError):  # somebody else's directory, and not empty
            if entry.is_dir(follow_symlinks=False):
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)


def _queues(vif: VirtualInterface, policies: PolicySet) -> int:
    """Pairs of queues that the VM may have: its own number, else its policy's, else one."""
    node = policies.nodes.get(vif.policy)
    by_policy = 1 if node is None or node.queues is None else int(node.queues.most)
    return int(vif.options.get("queues", by_policy))


def _seen(port: PortStatus | None, queues: int) -> dict[str, str]:
    """queues: that the VM may have; guest_queues: that the one which is there has; queues_differ: what to do then."""
    status = port.status if port is not None else {}
    found = {"queues": str(queues), "connected": "false"}
    if status.get("status") == "connected":
        brought = int(status.get("num_of_vrings", "0")) // 2
        found |= {"connected": "true", "guest_queues": str(brought)}
        if brought != queues:
            said = f"the VM came with {brought} queues instead of {queues}"
            found["queues_differ"] = f"{said}. Start it with what weir vif show --qemu or --libvirt prints."
    return found
