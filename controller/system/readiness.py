"""Waiting until a system's processes answer, and saying which one does not and why."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from controller.config import StateDir, System
from controller.system import backoff, ledger, logs, processes, programs
from controller.system.errors import SystemFault
from ovsdb.rows import Chassis
from ovsdb.weir_db import WeirDb

READY_S = 180.0
_ENDS_TOO_OFTEN = 3


def accepts(unix_socket: Path) -> bool:
    """Whether somebody accepts connections there, or at least has room for one. Never waits."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(unix_socket)) == 0


class Watch:
    """From its making on: what the logs held before is an earlier run's, and no reason for today's trouble."""

    def __init__(self, directory: StateDir) -> None:
        self._directory = directory
        self._already: Mapping[str, int] = {log.stem: log.stat().st_size for log in directory.log.glob("*.log")}
        self._end_s = time.monotonic() + READY_S

    def until(self, condition: Callable[[], bool], what: str, responsible: str) -> None:
        """Returns when the condition holds. Raises SystemFault when a process keeps ending, or it takes too long."""
        looks = 0
        while not condition():
            self.check()
            if time.monotonic() > self._end_s:
                raise SystemFault(f"{what}: not within {READY_S:g} s", self.log_of(responsible))
            time.sleep(backoff.look_again_s(looks))
            looks += 1

    def check(self) -> None:
        """Raises SystemFault when the supervisor has ended, or a process ends again and again."""
        for record in ledger.read(self._directory).values():
            if record.restarts >= _ENDS_TOO_OFTEN and not record.runs:
                raise SystemFault(f"{record.name} does not stay up: {record.last_end}", self.log_of(record.name))
        if not any(one.name == processes.SUPERVISOR for one in processes.of_system(self._directory.path)):
            raise SystemFault("the supervisor has ended", self.log_of(processes.SUPERVISOR))

    def log_of(self, process: str) -> str:
        """The last lines that it wrote since this watch began."""
        log = self._directory.log / f"{process}.log"
        lines = "".join(f"\n  {line}" for line in logs.tail(log, since_bytes=self._already.get(process, 0)))
        return f"See {log}, which ends:{lines}" if lines else f"See {log}, which is empty"


def await_system(watch: Watch, system: System, directory: StateDir) -> None:
    """Returns when agent and controller have made true what the Weir DB wants. Raises SystemFault, DatabaseError."""
    wanted = {processes.SUPERVISOR, *(program.name for program in programs.of_system(system, directory))}

    def all_run() -> bool:
        return wanted <= {name for name, record in ledger.read(directory).items() if record.runs}

    watch.until(all_run, "not all processes have been started", processes.SUPERVISOR)
    socket = directory.weir_db_socket
    watch.until(lambda: accepts(socket), "the Weir DB does not answer", programs.WEIR_DB)
    with WeirDb(f"unix:{socket}") as database:
        database.connect()

        def reached(number: Callable[[Chassis], int]) -> Callable[[], bool]:
            def look() -> bool:
                database.run()
                snapshot = database.snapshot()
                chassis = snapshot.chassis.get(system.chassis)
                return chassis is not None and number(chassis) >= snapshot.cfg

            return look

        watch.until(reached(lambda chassis: chassis.agent_cfg), "the agent has not reported", programs.AGENT)
        flows = reached(lambda chassis: chassis.flow_cfg if chassis.connected else -1)
        watch.until(flows, "the controller has not brought the switch to its state", programs.CONTROLLER)
