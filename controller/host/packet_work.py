"""What packets cost a datapath, from what it and the kernel have counted: windows, and what becomes of them. Pure."""

from __future__ import annotations

import re
import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

LEAST_PACKETS = 5_000  # of a window, to mean something
LONGEST_S = 5.0  # of a window: what is slower is mostly the thread's other work
# Part of the passes through the datapath that may end at a meter: what is dropped costs little, and a flood of it must
# not cheapen what passes. A packet has three passes or more, a broadcast one for each copy.
MOST_DROPPED = 0.05
_QUIET_PPS = 20.0  # below it a thread does nothing but its other work
_WINDOWS, _LEAST_WINDOWS, _QUIET_WINDOWS = 9, 3, 12
_HEAD = re.compile(r"^(main thread|pmd thread .*core_id (\d+)):$")
_NUMBER = re.compile(r"^\s+(packets received|packet recirculations|idle cycles|processing cycles): (\d+)")


@dataclass(frozen=True, slots=True)
class Polling:
    """What a thread of DPDK's has done. ns: its processor time; cycles are those of its core's clock, which goes on
    while others have the core."""

    packets: int = 0
    busy_cycles: int = 0
    idle_cycles: int = 0
    ns: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """What a datapath has done since it began. at_s: monotonic. main_ns: processor time of the thread that serves all
    ports that no polling thread does, of which main_packets came. passes: of all threads, so often was a packet looked
    at. dropped: by meters. polling: by core."""

    at_s: float
    main_ns: int
    main_packets: int
    passes: int = 0
    dropped: int = 0
    polling: Mapping[str, Polling] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """ns of a packet, and of how many packets that was."""

    ns: int
    packets: int


def work_of(shown: str, dropped: int, main_ns: int, polling_ns: Mapping[str, int], at_s: float) -> Work:
    """shown: what `dpif-netdev/pmd-stats-show` prints. polling_ns: by core."""
    counted: dict[str, dict[str, int]] = {}
    thread = ""
    for line in shown.splitlines():
        if head := _HEAD.match(line):
            thread = head[2] or ""
            counted[thread] = {}
        elif (number := _NUMBER.match(line)) and thread in counted:
            counted[thread][number[1]] = int(number[2])
    passes = sum(
        found.get(name, 0) for found in counted.values() for name in ("packets received", "packet recirculations")
    )
    main = counted.pop("", {})
    polling = {
        core: Polling(
            packets=found.get("packets received", 0),
            busy_cycles=found.get("processing cycles", 0),
            idle_cycles=found.get("idle cycles", 0),
            ns=polling_ns.get(core, 0),
        )
        for core, found in counted.items()
    }
    return Work(at_s, main_ns, main.get("packets received", 0), passes, dropped, polling)


class PacketWork:
    """Windows of enough packets, and what one of them costs by the last of these.

    What the thread does when no packet comes is taken off: the least of quiet windows. The median of windows is the
    cost, so a change of the flow entries in the middle of one does not show.
    """

    def __init__(self) -> None:
        self._start: Work | None = None
        self._costs: deque[Cost] = deque(maxlen=_WINDOWS)
        self._quiet_ns: deque[float] = deque(maxlen=_QUIET_WINDOWS)  # in a second

    def add(self, work: Work) -> None:
        start = self._start
        if start is None or _began_anew(start, work):
            self._start = work
            return
        window_s = work.at_s - start.at_s
        main = work.main_packets - start.main_packets
        polled = {core: _since(start.polling[core], now) for core, now in work.polling.items()}
        packets = main + sum(one.packets for one in polled.values())
        if packets < LEAST_PACKETS and window_s < LONGEST_S:
            return
        self._start = work
        if window_s > 0 and main / window_s < _QUIET_PPS:
            self._quiet_ns.append((work.main_ns - start.main_ns) / window_s)
        if packets < LEAST_PACKETS or work.dropped - start.dropped > MOST_DROPPED * (work.passes - start.passes):
            return
        cost = self._cost(work.main_ns - start.main_ns, main, polled, window_s)
        if cost is not None:
            self._costs.append(cost)

    def cost(self) -> Cost | None:
        """None: not enough has come by."""
        if len(self._costs) < _LEAST_WINDOWS:
            return None
        return Cost(round(statistics.median(one.ns for one in self._costs)), sum(one.packets for one in self._costs))

    def _cost(self, main_ns: int, main: int, polled: Mapping[str, Polling], window_s: float) -> Cost | None:
        """Of the threads that had packets enough: the other work of one that had few would count as theirs."""
        ns, packets = 0.0, 0
        if main >= LEAST_PACKETS:
            ns += max(main_ns - min(self._quiet_ns, default=0.0) * window_s, main_ns / 10)
            packets += main
        for one in polled.values():
            cycles = one.busy_cycles + one.idle_cycles
            if one.packets >= LEAST_PACKETS and cycles > 0:
                ns += one.busy_cycles / cycles * one.ns
                packets += one.packets
        return Cost(max(round(ns / packets), 1), packets) if packets else None


def _began_anew(start: Work, work: Work) -> bool:
    """Whether somebody has cleared counters, or threads have been made anew."""
    if work.polling.keys() != start.polling.keys() or work.dropped < start.dropped or work.main_ns < start.main_ns:
        return True
    polled = any(work.polling[core].packets < start.polling[core].packets for core in work.polling)
    return polled or work.main_packets < start.main_packets


def _since(before: Polling, now: Polling) -> Polling:
    return Polling(
        now.packets - before.packets,
        now.busy_cycles - before.busy_cycles,
        now.idle_cycles - before.idle_cycles,
        now.ns - before.ns,
    )
