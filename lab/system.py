"""A whole system under measurement: `weir` as a user calls it, and what of it can be seen from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from controller.api import client
from controller.config import StateDir
from controller.system import ledger, processes
from lab.children import LabError, uninterrupted, wait_until, within
from lab.outside import Outside
from ovsdb.weir_db import WeirDb

WEIR = str(Path(sys.executable).with_name("weir"))


class System:
    """A state directory of its own below /tmp. Leaving the block takes everything down and removes it."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.directory = StateDir(Path(tempfile.mkdtemp(prefix="weir-", dir="/tmp")).resolve())

    def __enter__(self) -> System:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with uninterrupted():
            self.weir("down", check=False)
            processes.end(processes.of_system(self.directory.path), 0.0)
            for name in self.namespaces():
                self.outside.run("ip", "netns", "delete", name, check=False)
            shutil.rmtree(self.directory.path, ignore_errors=True)

    def weir(self, *argv: str, check: bool = True) -> str:
        """Standard output. Raises LabError with the command's words when it fails."""
        return self.outside.run(WEIR, *argv, check=check, WEIR_STATE_DIR=str(self.directory.path))

    def json(self, *argv: str) -> Any:
        return json.loads(self.weir(*argv, "--json"))

    def exit_status(self, *argv: str) -> int:
        command = within(self.outside.name, [WEIR, *argv])
        environment = {**os.environ, "WEIR_STATE_DIR": str(self.directory.path)}
        return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode

    def asked(self, path: str) -> Any:
        """The controller's document at this path of its API. Raises ApiError when it does not answer."""
        return client.get(self.directory.api_socket, path)

    @contextmanager
    def database(self) -> Iterator[WeirDb]:
        """The Weir DB, connected: what `weir` commands do, without starting a process for each."""
        with WeirDb(f"unix:{self.directory.weir_db_socket}") as database:
            database.connect()
            yield database

    def create_vif(self, name: str, policy: str, segment: str) -> str:
        """Returns its IPv4 address, without prefix length."""
        shown = self.json("vif", "create", name, "--policy", policy, "--segment", segment)
        return next(str(address).partition("/")[0] for address in shown["addresses"] if ":" not in address)

    def namespace_of(self, vif: str) -> str:
        """Of a VIF that was created without a namespace of the user's."""
        return f"{self.directory.namespace}-{vif}"

    def ofctl(self, command: str, *arguments: str) -> str:
        """ovs-ofctl --names COMMAND br-weir ARGUMENTS."""
        options = ["-OOpenFlow13", "--names"]
        rundir = str(self.directory.run)
        return self.outside.run("ovs-ofctl", *options, command, "br-weir", *arguments, OVS_RUNDIR=rundir)

    def appctl(self, command: str, *arguments: str) -> str:
        """ovs-appctl COMMAND ARGUMENTS, of the switch."""
        control = self.directory.run / f"ovs-vswitchd.{self.pids()['ovs-vswitchd']}.ctl"
        return self.outside.run("ovs-appctl", "-t", str(control), command, *arguments)

    def pids(self) -> dict[str, int]:
        """By name, of every process that runs now."""
        return {name: one.pid for name, one in ledger.read(self.directory).items() if one.runs and one.pid}

    def kill(self, name: str) -> int:
        """As `kill -9` would. Returns the pid that it had."""
        pid = self.pids().get(name)
        if pid is None:
            raise LabError(f"{name} does not run. See weir status --state-dir {self.directory.path}.")
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_restart(self, name: str, old_pid: int) -> None:
        """Returns when it runs again as another process and `weir status` finds all well."""
        wait_until(lambda: self.pids().get(name) not in (None, old_pid), f"{name} is started again")
        self.await_well()

    def await_well(self) -> None:
        wait_until(lambda: not self.problems(), f"weir status finds all well: {self.problems()}")

    def problems(self) -> list[str]:
        try:
            found: list[str] = self.json("status")["problems"]
        except LabError as fault:
            return [str(fault)]
        return found

    def namespaces(self) -> list[str]:
        return [name for name in os.listdir("/run/netns") if name.startswith(self.directory.namespace)]

    def traces(self) -> list[str]:
        """What of the system can be found outside its state directory: processes, namespaces, links."""
        found = [f"process {one.name} {one.pid}" for one in processes.of_system(self.directory.path)]
        found += [f"namespace {name}" for name in self.namespaces()]
        return found + [f"link {name}" for name in sorted(self.outside.links() - {"lo"})]

    def logs(self, lines: int = 25) -> str:
        """The end of every log."""
        parts = []
        for log in sorted(self.directory.log.glob("*.log")):
            parts += [f"==== {log.name}", *log.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(parts)
