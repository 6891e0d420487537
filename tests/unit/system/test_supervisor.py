"""The supervisor with harmless processes: what it starts, starts again, adopts, and leaves behind (nothing)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.config import StateDir
from controller.system import ledger, processes, readiness
from controller.system.ledger import Record
from tests.support.ovs_sandbox import wait_until

DRIVER = """
import sys
from pathlib import Path
from controller.config import StateDir
from controller.system.programs import Program
from controller.system.supervisor import Supervisor
directory = StateDir(Path(sys.argv[1]))
wanted = [Program("first", ("sleep", "1000")), Program("second", {second!r}, {{}}, (directory.run / "door",))]
Supervisor(directory, wanted, grace_s=0.3).run()
"""
SLEEPER = ("sleep", "1001")
STUBBORN = ("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
BROKEN = ("sh", "-c", "exit 3")


class Supervised:
    def __init__(self, directory: StateDir, second: tuple[str, ...]) -> None:
        self.directory = directory
        self._driver = DRIVER.format(second=second)
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-c", self._driver, str(self.directory.path)]
        mark = processes.mark(self.directory.path, processes.SUPERVISOR)
        self.process = subprocess.Popen(argv, env={**os.environ, **mark}, start_new_session=True)

    def record(self, name: str) -> Record:
        return wait_until(lambda: self.running(name), f"{name} runs")

    def running(self, name: str) -> Record | None:
        record = ledger.read(self.directory).get(name)
        return record if record is not None and record.runs else None

    def pids(self) -> dict[str, int]:
        return {name: self.record(name).pid or 0 for name in ("first", "second")}


@pytest.fixture
def directory() -> Iterator[StateDir]:
    state = StateDir(Path(tempfile.mkdtemp(prefix="w", dir="/tmp")))
    state.run.mkdir()
    state.log.mkdir()
    yield state
    processes.end(processes.of_system(state.path), 0.0)
    shutil.rmtree(state.path)


@pytest.fixture
def door(directory: StateDir) -> Iterator[socket.socket]:
    """What the second process waits for."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory.run / "door"))
        listener.listen()
        yield listener


def test_a_process_that_ends_is_started_again(directory: StateDir, door: socket.socket) -> None:
    supervised = Supervised(directory, SLEEPER)
    before = supervised.pids()
    os.kill(before["first"], signal.SIGKILL)
    after = wait_until(
        lambda: (now := supervised.running("first")) and now.pid != before["first"] and now, "first is back"
    )
    assert (after.restarts, after.last_end) == (1, "killed by SIGKILL")
    assert supervised.record("second").pid == before["second"]
    assert "killed by SIGKILL; started again in 0.1 s" in (directory.log / "first.log").read_text()


def test_a_process_waits_for_what_it_needs(directory: StateDir) -> None:
    supervised = Supervised(directory, SLEEPER)
    supervised.record("first")
    assert supervised.running("second") is None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory.run / "door"))
        listener.listen()
        assert supervised.record("second").restarts == 0


def test_a_server_that_hangs_holds_up_nobody(directory: StateDir) -> None:
    path = directory.run / "hung"
    assert not readiness.accepts(path)
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(1)
        assert readiness.accepts(path)

        def waits_in_line() -> bool:
            client = sockets.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            return client.connect_ex(str(path)) == 0

        while waits_in_line():
            pass
        assert not readiness.accepts(path)


def test_a_new_supervisor_adopts_what_the_old_one_left(directory: StateDir, door: socket.socket) -> None:
    supervised = Supervised(directory, SLEEPER)
    before = supervised.pids()
    supervised.process.kill()
    supervised.process.wait()
    os.kill(before["first"], signal.SIGKILL)  # unseen
    supervised.start()
    wait_until(lambda: "left so" in (directory.log / "second.log").read_text(), "second is adopted")
    after = supervised.pids()
    assert after["second"] == before["second"]
    assert after["first"] != before["first"]
    os.kill(after["second"], signal.SIGKILL)
    wait_until(lambda: supervised.record("second").pid != after["second"], "an adopted process is watched")


def test_it_ends_everything_and_kills_what_does_not_end(directory: StateDir, door: socket.socket) -> None:
    supervised = Supervised(directory, STUBBORN)
    pids = supervised.pids()
    wait_until(lambda: "trap" in Path(f"/proc/{pids['second']}/cmdline").read_text(), "the shell has begun")
    supervised.process.terminate()
    assert supervised.process.wait(timeout=20) == 0
    leaders = [one for one in processes.of_system(directory.path) if one.leader]
    assert not leaders
    assert "stopped: killed by SIG" in (directory.log / "second.log").read_text()
    assert not ledger.path(directory).exists()


def test_a_broken_process_is_tried_less_and_less_often(directory: StateDir, door: socket.socket) -> None:
    supervised = Supervised(directory, BROKEN)

    def tried() -> Record | None:
        record = ledger.read(directory).get("second")
        return record if record and record.restarts >= 3 else None

    record = wait_until(tried, "it was tried three times")
    assert (record.pid, record.last_end) == (None, "exit status 3")
    assert "started again in 0.4 s" in (directory.log / "second.log").read_text()
    assert supervised.running("first")


def test_a_program_that_is_missing_is_said_to_be(directory: StateDir, door: socket.socket) -> None:
    supervised = Supervised(directory, ("/nonexistent/program",))
    wait_until(lambda: (directory.log / "second.log").exists(), "it was tried")
    wait_until(lambda: "cannot be started" in (directory.log / "second.log").read_text(), "the log says so")
    assert supervised.running("first")


def test_processes_of_another_system_are_not_found(directory: StateDir) -> None:
    stranger = subprocess.Popen(["sleep", "1000"], env={**os.environ, **processes.mark(directory.path / "x", "first")})
    try:
        assert processes.of_system(directory.path) == []
        assert [one.pid for one in processes.of_system(directory.path / "x")] == [stranger.pid]
    finally:
        stranger.kill()
        stranger.wait()
