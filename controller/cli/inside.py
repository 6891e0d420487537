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


def namespace_of(vif: VirtualInterface, directory: StateDir) -> Path:
    """Raises SystemFault when the VIF has none, or it is gone."""
    if vif.kind == "port":
        raise SystemFault(
            f"VIF {vif.name} is a port that somebody else made, whose namespace Weir does not know",
            "Enter it with the tools of whoever made it",
        )
    if "pid" in vif.binding:
        pid = int(vif.binding["pid"])
        started = vif.binding.get("started")
        if started is not None and start_time(pid) != int(started):
            raise SystemFault(f"VIF {vif.name}: its process {pid} has ended", "Delete the VIF")
        path = Path(f"/proc/{pid}/ns/net")
    elif "netns" in vif.binding:
        name = vif.binding["netns"]
        path = Path(name) if name.startswith("/") else namespace.named(name)
    else:
        path = namespace.named(f"{directory.namespace}-{vif.name}")
    if namespace.identity(path) is None:
        raise SystemFault(f"VIF {vif.name}: its namespace {path} is not there", f"See weir vif show {vif.name}")
    return path


def run(place: Path, command: Sequence[str]) -> int:
    """Does not return but when the command cannot be executed; then the exit status that a shell would give."""
    with namespace.entered(place):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the command would inherit that
        try:
            os.execvp(command[0], list(command))
        except FileNotFoundError:
            say(f"{command[0]}: command not found. Check its name and PATH.")
            return NOT_FOUND
        except OSError as fault:
            say(f"{command[0]}: cannot be executed: {fault.strerror}. Check that it is a program.")
            return NOT_EXECUTABLE
