"""What a packet costs this host's datapath, as the Weir DB is told; see `policies.packet_budget` for what it is for.

The kernel's own datapath works in whatever thread it interrupts, and nobody counts that apart.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from controller.host.packet_work import PacketWork, Work, work_of
from controller.host.process import Process
from controller.host.switch_control import Silent, answers, vswitchd
from ovsdb.rows import DATAPATH, DPDK, KERNEL, YES
from policies.enforcement import PACKET_COST, PACKET_COST_OF
from policies.packet_budget import ASSUMED_NS, ASSUMED_POLLING_NS, PacketCost, packet_cost

LOOK_S = 1.0
DRIFT = 0.2  # of what was told: every change of it changes meters, whose buckets are full again then
_DEADLINE_S, _PAUSE_S = 0.25, 10.0  # a pass waits for the answer; one that has none soon is not asked again soon
_NOT_COUNTED = "no: the kernel's softirq does the work, in whatever thread it interrupts"
_POLLS = re.compile(r"pmd-c0*(\d+)/")  # a polling thread, and its core
_COMMANDS = (("dpif-netdev/pmd-stats-show",), ("coverage/read-counter", "datapath_drop_meter"))


class PacketCosts:
    """rundir: of the vswitchd. datapath: type of the bridge's."""

    def __init__(self, rundir: Path, datapath: str) -> None:
        self._rundir, self._datapath = rundir, datapath
        self._process: Process | None = None
        self._work = PacketWork()
        self._told: PacketCost | None = None
        self._due_s = -math.inf

    def found(self, before: Mapping[str, str], polls: bool, now_s: float) -> dict[str, str]:
        """before: what the Weir DB has, which an agent goes on with that is started anew. polls: DPDK is there."""
        if self._datapath == KERNEL:
            return {PACKET_COST: _NOT_COUNTED}
        same = before.get(DATAPATH) == self._datapath and (before.get(DPDK) == YES) == polls
        if self._told is None and same and before.get(PACKET_COST_OF, "0") != "0":
            self._told = packet_cost(before)
        if now_s >= self._due_s:
            self._due_s = now_s + LOOK_S
            self._look(now_s)
        measured, told = self._work.cost(), self._told
        if measured is not None and (told is None or abs(measured.ns - told.ns) > DRIFT * told.ns):
            self._told = PacketCost(measured.ns, measured.packets)
        said = self._told or PacketCost(ASSUMED_POLLING_NS if polls else ASSUMED_NS)
        return {PACKET_COST: str(said.ns), PACKET_COST_OF: str(said.packets)}

    def _look(self, now_s: float) -> None:
        running = vswitchd(self._rundir)
        if running is None:
            return
        if running.process != self._process:
            self._process, self._work = running.process, PacketWork()
        try:
            shown, dropped = answers(running.control, _COMMANDS, _DEADLINE_S)
        except Silent:
            self._due_s = now_s + _PAUSE_S
            return
        with suppress(OSError, ValueError):
            self._work.add(_work(running.process.pid, shown, dropped))


def _work(pid: int, shown: str, dropped: str) -> Work:
    """Threads by their names; the first has the process's number, and serves what no polling one does."""
    main_ns, polling_ns = _processor_ns(pid, pid), dict[str, int]()
    for task in Path(f"/proc/{pid}/task").iterdir():
        if polls := _POLLS.match((task / "comm").read_text()):
            polling_ns[polls[1]] = _processor_ns(pid, int(task.name))
    return work_of(shown, int(dropped), main_ns, polling_ns, time.monotonic())


def _processor_ns(pid: int, thread: int) -> int:
    """Source: Documentation/scheduler/sched-stats.rst of Linux."""
    return int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
