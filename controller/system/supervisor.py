"""Keeps the processes of a system running: `python -m controller.system.supervisor --state-dir DIR`.

It starts them in order, starts again what ends (with a growing delay while it keeps ending), and stops all of them in
the opposite order on SIGTERM. Killed and started again, it finds its processes by their mark and lets them run on.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from controller import config
from controller.config import StateDir
from controller.host.process import start_time
from controller.system import backoff, ledger, logs, processes, programs
from controller.system.ledger import Record
from controller.system.processes import Running
from controller.system.programs import Program
from controller.system.readiness import accepts

GRACE_S = 5.0
_LOG_CHECK_S = 60.0


@dataclass(slots=True)
class _Child:
    """One program and what became of it. own: started by this supervisor; None: adopted, or not running."""

    program: Program
    log: Path
    record: Record
    pidfd: int | None = None
    own: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    failures: int = 0
    looks: int = 0  # in vain, at what it needs


class Supervisor:
    def __init__(self, directory: StateDir, wanted: Sequence[Program], grace_s: float = GRACE_S) -> None:
        known = ledger.read(directory)
        pid = os.getpid()
        self._own_record = Record(processes.SUPERVISOR, pid, start_time(pid))
        self._directory = directory
        self._grace_s = grace_s
        self._children = [
            _Child(
                program,
                directory.log / f"{program.name}.log",
                replace(known.get(program.name, Record(program.name)), pid=None, started_ticks=None),
                due_s=program.from_s,
            )
            for program in wanted
        ]
        self._stopping = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Returns when it was told to stop and every process has ended."""
        wakeup = self._listen_to_signals()
        self._adopt(processes.of_system(self._directory.path))
        checked_s = time.monotonic()
        while not self._stopping:
            self._start_due()
            self._write_ledger()
            for key, _ in self._selector.select(self._wait_s()):
                if key.data is None:
                    wakeup.recv(64)
                else:
                    self._ended(key.data)
            if time.monotonic() - checked_s > _LOG_CHECK_S:
                checked_s = time.monotonic()
                self._bound_logs()
        self._stop_all()

    def _listen_to_signals(self) -> socket.socket:
        """A signal makes the returned socket readable, so that `select` wakes up for it."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        self._wakeup_writer = writer  # kept open as long as signals may come
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_requested)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._selector.register(reader, selectors.EVENT_READ, None)
        return reader

    def _stop_requested(self, number: int, frame: object) -> None:
        self._stopping = True

    def _adopt(self, running: Iterable[Running]) -> None:
        """Takes over what an earlier supervisor left running."""
        leaders = {one.name: one for one in running if one.leader}
        for child in self._children:
            found = leaders.get(child.program.name)
            if found is not None:
                with suppress(ProcessLookupError):
                    self._watch(child, os.pidfd_open(found.pid), found)
                    logs.note(child.log, f"pid {found.pid} found running, and left so")

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for child in self._children:
            if child.pidfd is None and child.due_s <= now_s:
                if all(accepts(need) for need in child.program.needs):
                    child.looks = 0
                    self._start(child)
                else:
                    child.due_s = now_s + backoff.look_again_s(child.looks)
                    child.looks += 1

    def _start(self, child: _Child) -> None:
        program = child.program
        logs.bound(child.log)
        logs.note(child.log, f"starting: {' '.join(program.argv)}")
        mark = processes.mark(self._directory.path, program.name)
        try:
            with child.log.open("ab") as output:
                child.own = subprocess.Popen(
                    program.argv,
                    env={**programs.inherited_environment(), **program.environment, **mark},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        except OSError as fault:
            self._failed(child, f"cannot be started: {fault}", 0.0)
            return
        started = start_time(child.own.pid) or 0
        pid = child.own.pid
        try:
            processes.set_session_nice(pid, program.session_nice)
        except OSError as fault:
            logs.note(child.log, f"stays as far behind other sessions as it was: {fault}")
        self._watch(child, os.pidfd_open(pid), Running(program.name, pid, started, leader=True))

    def _watch(self, child: _Child, pidfd: int, running: Running) -> None:
        child.pidfd, child.started_s = pidfd, time.monotonic()
        child.record = replace(child.record, pid=running.pid, started_ticks=running.started_ticks)
        self._selector.register(pidfd, selectors.EVENT_READ, child)

    def _ended(self, child: _Child) -> None:
        how = self._release(child)
        self._failed(child, how, time.monotonic() - child.started_s)

    def _release(self, child: _Child) -> str:
        """Forgets a process that has ended. How it ended, where that can be known."""
        assert child.pidfd is not None
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        own, child.pidfd, child.own = child.own, None, None
        return "it ended while no supervisor looked" if own is None else _how(own.wait())

    def _failed(self, child: _Child, how: str, ran_s: float) -> None:
        child.failures = backoff.failures_after(child.failures, ran_s)
        wait_s = backoff.delay_s(child.failures)
        child.due_s = time.monotonic() + wait_s
        child.record = replace(
            child.record, pid=None, started_ticks=None, restarts=child.record.restarts + 1, last_end=how
        )
        logs.note(child.log, f"ended after {ran_s:.1f} s: {how}; started again in {wait_s:.1f} s")

    def _wait_s(self) -> float:
        due = [child.due_s - time.monotonic() for child in self._children if child.pidfd is None]
        return max(0.0, min([_LOG_CHECK_S, *due]))

    def _bound_logs(self) -> None:
        for log in self._directory.log.glob("*.log"):
            logs.bound(log)

    def _write_ledger(self) -> None:
        records = [self._own_record, *(child.record for child in self._children)]
        if records != list(ledger.read(self._directory).values()):
            with suppress(OSError):
                ledger.write(self._directory, records)

    def _stop_all(self) -> None:
        for child in reversed(self._children):
            if child.pidfd is not None and child.record.pid is not None:
                running = Running(child.program.name, child.record.pid, child.record.started_ticks or 0, leader=True)
                ended = processes.end([running], self._grace_s)
                logs.note(child.log, f"stopped: {self._release(child)}" if ended else "killed, and does not end")
        ledger.path(self._directory).unlink(missing_ok=True)


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when stopped as asked; 1 when another supervisor has this state directory, or there is no system in it."""
    parser = argparse.ArgumentParser(prog="controller.system.supervisor", description=__doc__)
    parser.add_argument("--state-dir", required=True)
    directory = config.state_dir(parser.parse_args(arguments).state_dir)
    try:
        system = config.load(directory)
    except config.ConfigError as fault:
        print(fault, file=sys.stderr)
        return 1
    with (directory.run / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{directory.path}: another supervisor runs here", file=sys.stderr)
            return 1
        Supervisor(directory, programs.of_system(system, directory)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
