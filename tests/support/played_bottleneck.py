"""A bottleneck that nobody names: one queue behind an uplink, narrower than the uplink is said to be.

Played in steps of 100 ms. Who may give way sends what it wants, as far as it is let; the delay is that of the queue. It
is measured as probes measure it: the worst of the last seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from controller.allocation.objectives import Level
from controller.allocation.yielding import Load, Pace, Place, Yielder, Yielding, caps, step

STEP_S, BASE_MS, TARGET_MS = 0.1, 0.5, 5.0
LATELY_S = 2


class Sender:
    """wish: kbit/s as a function of time."""

    def __init__(
        self, place: Place, wish: Callable[[float], float], floor_kbps: float, rank: int = 1, weight: float = 1.0
    ) -> None:
        self.place, self.wish, self.floor_kbps, self.rank, self.weight = place, wish, floor_kbps, rank, weight
        self.sent_kbps = 0.0

    def yielder(self, time_s: float, cap_kbps: float) -> Yielder:
        wish = self.wish(time_s)
        demand_kbps = math.inf if self.sent_kbps >= 0.95 * cap_kbps and wish > cap_kbps else self.sent_kbps * 1.1
        return Yielder(self.place, self.rank, self.floor_kbps, self.weight, self.sent_kbps, demand_kbps)


class Bottleneck:
    """real_kbps: what it can take, as a function of time; said_kbps: what the policy says of the uplink before it.
    room_kbit: of its queue.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        real_kbps: Callable[[float], float],
        said_kbps: float,
        room_kbit: float = 4000.0,
    ) -> None:
        self.senders, self.real_kbps, self.said_kbps = senders, real_kbps, said_kbps
        self.room_kbit, self.queued_kbit, self.time_s = room_kbit, 0.0, 0.0
        self.state, self.pace = Yielding(), Pace()
        self.caps: Mapping[Place, float] = {}
        self._worst: deque[float] = deque(maxlen=LATELY_S)  # of each second

    def second(self) -> Level:
        """Lets one pass, and the loop act on it. Returns what was measured."""
        worst_ms, sums = 0.0, dict.fromkeys((one.place for one in self.senders), 0.0)
        for _ in range(round(1 / STEP_S)):
            self.time_s += STEP_S
            wishes = {one.place: min(one.wish(self.time_s), self.caps.get(one.place, math.inf)) for one in self.senders}
            wanted = sum(wishes.values())
            for place, wish in wishes.items():
                sums[place] += wish * min(1.0, self.said_kbps / wanted) * STEP_S if wanted else 0.0
            real = self.real_kbps(self.time_s)
            arriving = min(wanted, self.said_kbps) * STEP_S
            self.queued_kbit = min(self.room_kbit, max(0.0, self.queued_kbit + arriving - real * STEP_S))
            worst_ms = max(worst_ms, BASE_MS + self.queued_kbit / real * 1000)
        for one in self.senders:
            one.sent_kbps = sums[one.place]
        self._worst.append(worst_ms)
        level = Level(max(self._worst) / TARGET_MS, float(LATELY_S))
        yielders = [one.yielder(self.time_s, self.caps.get(one.place, math.inf)) for one in self.senders]
        load = Load(sum(y.passed_kbps for y in yielders), sum(y.floor_kbps for y in yielders), self.said_kbps)
        self.state = step(self.state, level.value, level.lag_s, load, self.time_s, self.pace)
        self.caps = caps(self.state.budget_kbps, yielders)
        return level
