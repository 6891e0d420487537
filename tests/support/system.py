"""A whole system for tests: `weir up` in a home namespace of its own, and everything that it might leave behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from controller.config import StateDir
from controller.system import ledger, processes
from tests.support.ovs_sandbox import short_dir, wait_until

WEIR = str(Path(sys.executable).with_name("weir"))
Finished = subprocess.CompletedProcess[str]


class Home:
    """A network namespace that stands for the machine's: links that appear in it are the system's."""

    def __init__(self, name: str) -> None:
        self.name = f"wt{os.getpid()}-{name}"

    def __enter__(self) -> Home:
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=False)

    def run(self, *argv: str, check: bool = True, **environment: str) -> Finished:
        enter = ["nsenter", f"--net=/run/netns/{self.name}", "--", *argv]
        done = subprocess.run(enter, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, f"{argv!r} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
        return done

    def links(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.run("ip", "-json", "link").stdout)}


class SystemUnderTest:
    """A state directory, and what the system in it makes. Leaving the block takes the system down."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.directory = StateDir(short_dir())

    def __enter__(self) -> SystemUnderTest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            print(self.logs())
        self.weir("down", check=False)
        processes.end(processes.of_system(self.directory.path), 0.0)
        for name in self.namespaces():
            subprocess.run(["ip", "netns", "delete", name], check=False)
        shutil.rmtree(self.directory.path, ignore_errors=True)

    def weir(self, *argv: str, check: bool = True, **environment: str) -> Finished:
        return self.home.run(WEIR, *argv, check=check, WEIR_STATE_DIR=str(self.directory.path), **environment)

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Without waiting for its end."""
        enter = ["nsenter", f"--net=/run/netns/{self.home.name}", "--", WEIR, *argv]
        return subprocess.Popen(enter, env={**os.environ, "WEIR_STATE_DIR": str(self.directory.path)})

    def json(self, *argv: str) -> Any:
        return json.loads(self.weir(*argv, "--json").stdout)

    def ofctl(self, *argv: str) -> str:
        return self.home.run("ovs-ofctl", "-OOpenFlow13", *argv, OVS_RUNDIR=str(self.directory.run)).stdout

    def pids(self) -> dict[str, int]:
        """By name, of every process that runs now."""
        return {name: record.pid for name, record in ledger.read(self.directory).items() if record.runs and record.pid}

    def kill(self, names: Sequence[str]) -> None:
        """As `kill -9` would."""
        pids = self.pids()
        for name in names:
            os.kill(pids[name], signal.SIGKILL)

    def await_restart(self, before: dict[str, int], names: Sequence[str]) -> None:
        """Returns when all of it runs again, and what is named as a new process."""

        def healed() -> bool:
            now = self.pids()
            return set(now) == set(before) and all(now[name] != before[name] for name in names)

        wait_until(healed, f"{', '.join(names)}: started again")

    def await_well(self) -> None:
        wait_until(lambda: self.weir("status", check=False).returncode == 0, "weir status finds all well")

    def namespaces(self) -> list[str]:
        return [name for name in os.listdir("/run/netns") if name.startswith(self.directory.namespace)]

    def traces(self) -> dict[str, Any]:
        """What of the system can be found outside its state directory. Empty values when nothing can."""
        found = processes.of_system(self.directory.path)
        mentions = [pid for pid in os.listdir("/proc") if pid.isdigit() and self._mentions(pid)]
        return {"processes": [one.name for one in found], "mentions": mentions, "namespaces": self.namespaces()}

    def _mentions(self, pid: str) -> bool:
        try:
            return str(self.directory.path).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def logs(self) -> str:
        parts = []
        for log in sorted(self.directory.log.glob("*.log")):
            parts += [f"==== {log.name}", *log.read_text(errors="replace").splitlines()[-25:]]
        return "\n".join(parts)


NOTHING = {"processes": [], "mentions": [], "namespaces": []}
