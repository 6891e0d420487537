"""Where an instance is: the network namespace that a VIF is bound to."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from controller.host import links, namespace
from controller.host.containers import Containers
from controller.host.errors import HostError
from controller.host.links import Mark
from controller.host.process import Process, start_time
from controller.host.process_watch import ProcessWatch
from ovsdb.rows import VirtualInterface

SWEEP_S = 30.0  # namespaces that an agent before this one left are looked for this often; our own go at once
_PROC = Path("/proc")


class Binder:
    """Finds the namespace of each VIF, and makes those that nobody named.

    It remembers when the process behind a pid was started: after that process has ended, the kernel gives the number
    to another, whose namespace is none of ours.
    """

    def __init__(self, system: str, chassis: str, containers: Containers | None = None, home_inode: int = 0) -> None:
        self._system = system
        self._chassis = chassis
        self._home_inode = home_inode  # of the namespace that the system was started in; 0: not known
        self._started: dict[tuple[str, int], int] = {}  # (VIF name, pid) -> start time in ticks
        self._containers = containers or Containers()
        self.instances = ProcessWatch()
        self._processes: dict[tuple[str, str, str | None], Process] = {}  # VIF name, container, runtime
        self._known: dict[str, namespace.Identity | None] = {}  # VIF name -> the namespace that was made for it
        self._sweep_due_s = -math.inf

    def place(self, vif: VirtualInterface) -> Path:
        """The namespace of the VIF, made when its binding is empty. Raises HostError when there is none."""
        if "container" in vif.binding:
            self._find_container(vif)
        path = self._path(vif)
        if "pid" in vif.binding:
            self._check_process(vif)
        elif not vif.binding.keys() & {"netns", "container"}:
            self._ensure_made(vif, path)
        if namespace.identity(path) is None:
            raise _no_namespace(path)
        if vif.binding and namespace.is_hosts(path, self._system, self._home_inode):
            raise HostError(
                f"{path} is the host's own network namespace: no policy would stand between this interface and it",
                "Bind the VIF to one that is an instance's, or leave --netns and --pid out for one that is made for it",
            )
        return path

    def whereabouts(self, vif: VirtualInterface) -> object:
        """Which namespace the binding leads to at the moment. Makes nothing, and asks no container runtime.

        When it leads to none: something that is another one as soon as it is worth to look again.
        """
        try:
            return namespace.identity(self._path(vif))
        except HostError:
            return self._containers.stamp() if "container" in vif.binding else None

    def made_name(self, vif_name: str) -> str:
        """Name of the namespace that is made for a VIF."""
        return f"{self._system}-{vif_name}"

    def made(self, but_of: Collection[str] = ()) -> list[str]:
        """The VIFs for which agents of this chassis made namespaces that are still there. Each look is a visit.

        but_of: VIFs whose namespaces are not looked at. What is left of a creation or a removal that was interrupted is
        a plain file, which cannot say whose it is: it counts as this chassis'.
        """
        found = []
        for name in set(namespace.names(f"{self._system}-")) - {self.made_name(vif_name) for vif_name in but_of}:
            vif_name = name.removeprefix(f"{self._system}-")
            if namespace.identity(namespace.named(name)) is None:
                found.append(vif_name)
                continue
            with suppress(HostError):  # removed meanwhile
                if links.loopback_mark(namespace.named(name)) == Mark(self._system, self._chassis, vif_name):
                    found.append(vif_name)
        return found

    def remove_made(self, vif_name: str) -> None:
        """Leaves one alone that somebody has put in the place of the one known here."""
        known = self._known.pop(vif_name, None)
        if known is None or known == namespace.identity(namespace.named(self.made_name(vif_name))):
            namespace.remove(self.made_name(vif_name))

    def sweep(
        self, wanted: Iterable[VirtualInterface], elsewhere: Collection[str], in_use: Collection[Path], now_s: float
    ) -> None:
        """Removes the namespaces that were made for VIFs that are gone, or that are in another one now.

        wanted: all VIFs of this host. elsewhere: the names of those of other hosts. in_use: the namespaces that this
        host's are in. Raises HostError.
        """
        present = {vif.name: vif for vif in wanted}
        self._started = {key: start for key, start in self._started.items() if key[0] in present}
        self._processes = {key: one for key, one in self._processes.items() if key[0] in present}
        bound = (Process(pid, started) for (_, pid), started in self._started.items())
        self.instances.follow({*self._processes.values(), *bound})
        with_namespace = {
            vif.name
            for vif in present.values()
            if (vif.is_in_namespace and not vif.binding) or namespace.named(self.made_name(vif.name)) in in_use
        }
        for name in self._known.keys() - with_namespace:
            self.remove_made(name)
        if now_s >= self._sweep_due_s:
            for name in self.made(but_of=with_namespace | set(elsewhere)):
                self.remove_made(name)
            self._sweep_due_s = now_s + SWEEP_S

    def remove_all(self) -> None:
        """All that agents of this chassis made. Raises HostError."""
        for name in self.made():
            self.remove_made(name)

    def _path(self, vif: VirtualInterface) -> Path:
        if "netns" in vif.binding:
            return _path_of(vif.binding["netns"])
        if "pid" in vif.binding:
            return _PROC / str(_pid_of(vif.binding["pid"])) / "ns" / "net"
        if "container" in vif.binding:
            return self._container_path(vif)
        return namespace.named(self.made_name(vif.name))

    def _ensure_made(self, vif: VirtualInterface, path: Path) -> None:
        mark, found = Mark(self._system, self._chassis, vif.name), namespace.identity(path)
        if found is None:
            namespace.create(path.name, lambda: links.mark_loopback(mark))
            self._known[vif.name] = namespace.identity(path)
        elif found == self._known.get(vif.name):
            return
        elif links.loopback_mark(path) != mark:
            raise HostError(
                f"network namespace {path.name} exists and was not made for this VIF",
                f"Remove it (ip netns delete {path.name}), or bind the VIF to it with --netns {path.name}",
            )
        else:
            self._known[vif.name] = found

    def _find_container(self, vif: VirtualInterface) -> None:
        """Asks the runtime only when the process that it named last has ended. Raises HostError."""
        key = _container_key(vif)
        known = self._processes.get(key)
        if known is None or not known.runs:
            self._processes.pop(key, None)
            self._processes[key] = self._containers.process(vif.binding["container"], vif.binding.get("runtime"))

    def _container_path(self, vif: VirtualInterface) -> Path:
        known = self._processes.get(_container_key(vif))
        if known is None or not known.runs:
            raise HostError(f"container {vif.binding['container']} has ended", "The agent looks for it by itself")
        return known.network

    def _check_process(self, vif: VirtualInterface) -> None:
        pid = _pid_of(vif.binding["pid"])
        started = start_time(pid)
        if started is None:
            raise HostError(f"process {pid} does not exist any more", "Delete the VIF, or move it (weir vif set)")
        known = int(vif.binding["started"]) if "started" in vif.binding else self._started.get((vif.name, pid), started)
        if started != known:
            raise HostError(
                f"process {pid} has ended, and its number belongs to another process now",
                "Delete the VIF, or move it to a running process (weir vif set)",
            )
        self._started[vif.name, pid] = started


def _no_namespace(path: Path) -> HostError:
    """Why the instance cannot be found there."""
    try:
        path.stat()
    except FileNotFoundError:
        return HostError(
            f"network namespace {path} does not exist",
            "Create it (ip netns add), or delete the VIF or move it (weir vif set)",
        )
    except OSError as fault:
        return HostError(
            f"network namespace {path}: cannot be looked at ({fault.strerror})",
            "Choose one that the agent may enter",
        )
    return HostError(f"{path} is no network namespace", "Give a name from ip netns list, or the path of one")


def _container_key(vif: VirtualInterface) -> tuple[str, str, str | None]:
    return vif.name, vif.binding["container"], vif.binding.get("runtime")


def _pid_of(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text):
        raise HostError(f"'{text}' is not a process id", "Give --pid a positive number")
    return int(text)


def _path_of(text: str) -> Path:
    """A namespace by name, as `ip netns` lists it, or by an absolute path."""
    if text.startswith("/"):
        return Path(text)
    if not text or "/" in text or text in (".", ".."):
        raise HostError(
            f"'{text}' is neither the name of a network namespace nor an absolute path",
            "Give --netns a name from `ip netns list`, or a path that starts with /",
        )
    return namespace.named(text)
