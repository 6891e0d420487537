"""What agents and keepers have repaired lately, in memory: the last ones, how many of each kind, and what comes again
and again."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from controller.stream.messages import Repair, Repairs
from controller.world.desired import World

KEPT = 1000
FIGHT_S, FIGHT_REPAIRS = 60.0, 5  # more repairs of one thing within this time: somebody keeps changing it
_SHOWN = 5  # in the status

log = logging.getLogger("weir.events")


class Events:
    """wall_clock: seconds since 1970."""

    def __init__(self, world: Callable[[], World], wall_clock: Callable[[], float]) -> None:
        self._world, self._wall_clock = world, wall_clock
        self._events: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._lately: dict[tuple[str, str], deque[float]] = {}  # by chassis and thing, when

    def take(self, repairs: Repairs) -> None:
        self.add(repairs.chassis, repairs.repairs)

    def add(self, chassis: str, repairs: Iterable[Repair]) -> None:
        vifs = {vif.number: vif for vif in self._world().snapshot.interfaces.values()}
        for repair in repairs:
            concerned = [vifs[number] for number in repair.vifs if number in vifs]
            self._events.append(
                {
                    "time": repair.time_s,
                    "chassis": chassis,
                    "kind": repair.kind,
                    "what": repair.what,
                    "differed": repair.differed,
                    "done": repair.done,
                    "vifs": [{"name": vif.name, "policy": vif.policy} for vif in concerned],
                }
            )
            self._counts[repair.kind] += 1
            times = self._lately.setdefault((chassis, repair.what), deque(maxlen=FIGHT_REPAIRS + 1))
            times.append(self._wall_clock())
            names = "".join(f", VIF {vif.name} ({vif.policy})" for vif in concerned)
            log.warning("%s: %s%s: %s: %s", chassis, repair.what, names, repair.differed, repair.done)
        self._forget()

    def document(self) -> Mapping[str, Any]:
        return {"events": list(self._events), "counts": dict(self._counts), "fights": self.fights()}

    def summary(self) -> Mapping[str, Any]:
        """For the status."""
        return {"counts": dict(self._counts), "last": list(self._events)[-_SHOWN:], "fights": self.fights()}

    def fights(self) -> list[str]:
        """What somebody keeps changing, a line each."""
        self._forget()
        return [
            f"chassis {chassis}: {what}: somebody keeps changing it: repaired more than {FIGHT_REPAIRS} times within "
            f"{FIGHT_S:g} s. Find who does, and end it; see weir events."
            for (chassis, what), times in sorted(self._lately.items())
            if len(times) > FIGHT_REPAIRS
        ]

    def _forget(self) -> None:
        since_s = self._wall_clock() - FIGHT_S
        for key, times in list(self._lately.items()):
            while times and times[0] < since_s:
                times.popleft()
            if not times:
                del self._lately[key]
