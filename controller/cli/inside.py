"""`weir vif exec`: becomes a command inside the namespace of a VIF: stdio, signals and exit status pass by nature."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from controller.cli.output import say
from controller.config import StateDir
from controller.host import namespace
from controller.host.process import start_time
from controller.system.errors import SystemFault
from ovsdb.rows import VirtualInterface

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # as shells say it

_NOWHERE = {
    "port": (
        "is a port that somebody else made, whose namespace Weir does not know",
        "Enter it with the tools of whoever made it",
    ),
    "vhost-user": ("is a socket, which is in no network namespace", "Start QEMU anywhere: see weir vif show --qemu"),
    "vf": ("is handed over as a PCI device, which is in no network namespace", "See weir vif show --qemu"),
}


def namespace_of(vif: VirtualInterface, directory: StateDir) -> Path | None:
    """Where the instance's end of it is, or the device that a VM opens; None: where this command is.

    Raises SystemFault when the VIF has none, or it is gone.
    """
    if not vif.is_in_namespace and vif.kind in _NOWHERE:
        problem, remedy = _NOWHERE[vif.kind]
        raise SystemFault(f"VIF {vif.name} {problem}", remedy)
    if "pid" in vif.binding:
        pid = int(vif.binding["pid"])
        started = vif.binding.get("started")
        if started is not None and start_time(pid) != int(started):
            raise SystemFault(
                f"VIF {vif.name}: its process {pid} has ended", "Delete the VIF, or move it: weir vif set"
            )
    path = _path(vif, directory)
    if path is not None and namespace.identity(path) is None:
        raise SystemFault(f"VIF {vif.name}: its namespace {path} is not there", f"See weir vif show {vif.name}")
    return path


def _path(vif: VirtualInterface, directory: StateDir) -> Path | None:
    """As the agent says; else as the binding does, until it has said so."""
    if "place" in vif.details:
        return Path(vif.details["place"])
    if "pid" in vif.binding:
        return Path(f"/proc/{vif.binding['pid']}/ns/net")
    if "netns" in vif.binding:
        name = vif.binding["netns"]
        return Path(name) if name.startswith("/") else namespace.named(name)
    if "container" in vif.binding:
        raise SystemFault(
            f"VIF {vif.name}: its container {vif.binding['container']} has not been found yet",
            f"See weir vif show {vif.name}",
        )
    if vif.kind == "tap":
        own = namespace.named(directory.namespace)
        return own if namespace.identity(own) is not None else None
    return namespace.named(f"{directory.namespace}-{vif.name}")


def run(place: Path | None, command: Sequence[str]) -> int:
    """Does not return but when the command cannot be executed; then the exit status that a shell would give."""
    if place is None:
        return _become(command)
    with namespace.entered(place):
        return _become(command)


def _become(command: Sequence[str]) -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the command would inherit that
    try:
        os.execvp(command[0], list(command))
    except FileNotFoundError:
        say(f"{command[0]}: command not found. Check its name and PATH.")
        return NOT_FOUND
    except OSError as fault:
        say(f"{command[0]}: cannot be executed: {fault.strerror}. Check that it is a program.")
        return NOT_EXECUTABLE
