"""The processes of a system as the kernel knows them: found by the mark in their environment, never by their name.

Every process of a system is started with WEIR_STATE_DIR and WEIR_PROCESS in its environment. So whoever comes later
finds them all, whatever was killed or lost meanwhile, and nobody else's process is ever touched: anybody can set
variables, so a process is a system's only when it runs as the same user as whoever asks, and nothing else.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.host.process import start_time

STATE_DIR_MARK = "WEIR_STATE_DIR"
PROCESS_MARK = "WEIR_PROCESS"
SUPERVISOR = "supervisor"
KILLED_S = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """leader: the process itself; False: a child of it. started_ticks tells it from a later process of the same pid."""

    name: str
    pid: int
    started_ticks: int
    leader: bool


def mark(state_dir: Path, name: str) -> dict[str, str]:
    """What goes into the environment of process `name`."""
    return {STATE_DIR_MARK: str(state_dir), PROCESS_MARK: name}


def is_running(pid: int, ticks: int) -> bool:
    return start_time(pid) == ticks


def started_at(ticks: int) -> float:
    """Ticks since boot as seconds since the epoch."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def of_system(state_dir: Path) -> list[Running]:
    """Every process that carries the mark of this system, the supervisor included. Needs root to see those of root."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (running := _look(int(entry.name), str(state_dir))):
            found.append(running)
    return found


def _look(pid: int, state_dir: str) -> Running | None:
    try:
        environment = _environment(pid)
        if environment.get(STATE_DIR_MARK) != state_dir or PROCESS_MARK not in environment:
            return None
        ours = _users(pid) == {os.geteuid()}
        ticks, leader = start_time(pid), os.getsid(pid) == pid
    except OSError:
        return None
    return None if ticks is None or not ours else Running(environment[PROCESS_MARK], pid, ticks, leader)


def set_session_nice(pid: int, nice: int) -> None:
    """For a kernel that divides processors among sessions (autogroup): there `nice` orders a session's own tasks alone.

    Source: sched(7), "The autogroup feature". Raises OSError when the kernel refuses.
    """
    group = Path(f"/proc/{pid}/autogroup")
    if nice and group.exists():
        group.write_text(str(nice))


def _environment(pid: int) -> Mapping[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    pairs = (os.fsdecode(entry).partition("=") for entry in entries)
    return {key: value for key, _, value in pairs}


def _users(pid: int) -> set[int]:
    """Real, effective, saved and file system user. One alone would not do: su and its like run as root for anybody.

    Read as bytes, in lines that end as the kernel ends them: the name in the first one is what its owner likes. That
    may be no text, or a carriage return and then a line "Uid:" of its own; the kernel escapes line feeds alone.
    """
    lines = Path(f"/proc/{pid}/status").read_bytes().split(b"\n")
    return next({int(user) for user in line.split()[1:]} for line in lines if line.startswith(b"Uid:"))


def end(running: Sequence[Running], grace_s: float) -> bool:
    """Asks all of them to end, waits, and kills those that have not after grace_s. Whether none is left.

    What has not ended KILLED_S after it was killed is stuck in the kernel, and is left there.
    """
    descriptors = [descriptor for one in running if (descriptor := _open(one)) is not None]
    try:
        left = _signal_and_wait(descriptors, signal.SIGTERM, grace_s)
        return not _signal_and_wait(left, signal.SIGKILL, KILLED_S)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _open(running: Running) -> int | None:
    """A pidfd of just this process; None when it is gone."""
    try:
        descriptor = os.pidfd_open(running.pid)
    except OSError:
        return None
    if is_running(running.pid, running.started_ticks):
        return descriptor
    os.close(descriptor)
    return None


def _signal_and_wait(descriptors: list[int], number: int, timeout_s: float) -> list[int]:
    """Those that have not ended after timeout_s."""
    for descriptor in descriptors:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
    end_s = time.monotonic() + timeout_s
    left = list(descriptors)
    while left and (wait_s := end_s - time.monotonic()) > 0:
        ended, _, _ = select.select(left, [], [], wait_s)
        left = [descriptor for descriptor in left if descriptor not in ended]
    return left
