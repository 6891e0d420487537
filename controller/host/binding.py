"""Where an instance is: the network namespace that a VIF is bound to."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from controller.host import links, namespace
from controller.host.errors import HostError
from controller.host.links import Mark
from controller.host.process import start_time
from ovsdb.rows import VirtualInterface

_PROC = Path("/proc")


class Binder:
    """Finds the namespace of each VIF, and makes those that nobody named.

    It remembers when the process behind a pid was started: after that process has ended, the kernel gives the number
    to another, whose namespace is none of ours.
    """

    def __init__(self, system: str, chassis: str) -> None:
        self._system = system
        self._chassis = chassis
        self._started: dict[tuple[str, int], int] = {}  # (VIF name, pid) -> start time in ticks
        self._known: dict[str, namespace.Identity | None] = {}  # VIF name -> the namespace that was made for it

    def place(self, vif: VirtualInterface) -> Path:
        """The namespace of the VIF, made when its binding is empty. Raises HostError when there is none."""
        path = self._path(vif)
        if "pid" in vif.binding:
            self._check_process(vif)
        elif "netns" not in vif.binding:
            self._ensure_made(vif, path)
        if namespace.identity(path) is None:
            raise HostError(
                f"network namespace {path} does not exist",
                "Create it (ip netns add), or delete the VIF; the agent tries again by itself",
            )
        return path

    def identity(self, vif: VirtualInterface) -> namespace.Identity | None:
        """Which namespace the binding leads to at the moment; None: to none. Makes nothing."""
        try:
            return namespace.identity(self._path(vif))
        except HostError:
            return None

    def made_name(self, vif_name: str) -> str:
        """Name of the namespace that is made for a VIF."""
        return f"{self._system}-{vif_name}"

    def made_here(self) -> set[str]:
        """The VIFs for which this process made a namespace, or found the one that was made."""
        return set(self._known)

    def made(self, but_of: Collection[str] = ()) -> list[Mark]:
        """The namespaces that agents of this chassis made and that are still there. Each that is looked at is a visit.

        but_of: VIFs whose namespaces are not looked at.
        """
        found = []
        for name in set(namespace.names(f"{self._system}-")) - {self.made_name(vif_name) for vif_name in but_of}:
            with suppress(HostError):  # removed meanwhile, or never more than a plain file
                found.append(links.loopback_mark(namespace.named(name)))
        return [mark for mark in found if mark and (mark.system, mark.chassis) == (self._system, self._chassis)]

    def remove_made(self, vif_name: str) -> None:
        """Leaves one alone that somebody has put in the place of the one known here."""
        known = self._known.pop(vif_name, None)
        if known is None or known == namespace.identity(namespace.named(self.made_name(vif_name))):
            namespace.remove(self.made_name(vif_name))

    def forget(self, vif_name: str) -> None:
        """The process that the VIF was bound to. The namespace that was made for it is `remove_made`'s."""
        self._started = {key: start for key, start in self._started.items() if key[0] != vif_name}

    def _path(self, vif: VirtualInterface) -> Path:
        if "netns" in vif.binding:
            return _path_of(vif.binding["netns"])
        if "pid" in vif.binding:
            return _PROC / str(_pid_of(vif.binding["pid"])) / "ns" / "net"
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

    def _check_process(self, vif: VirtualInterface) -> None:
        pid = _pid_of(vif.binding["pid"])
        started = start_time(pid)
        if started is None:
            raise HostError(f"process {pid} does not exist any more", "Delete the VIF, or bind it to a running process")
        known = int(vif.binding["started"]) if "started" in vif.binding else self._started.get((vif.name, pid), started)
        if started != known:
            raise HostError(
                f"process {pid} has ended, and its number belongs to another process now",
                "Delete the VIF, and create it for a running process",
            )
        self._started[vif.name, pid] = started


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
