"""When each VIF is probed: often where its policy has objectives, and never more frames than the host may. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.host.latency.targets import Target

FRAMES_PER_S = 200  # of all VIFs of a host together
WITH_OBJECTIVES_PER_S, OTHERS_PER_S = 20.0, 1.0  # rounds of a VIF, if there is room for all
LEAST_PART, MOST_PART = 0.1, 0.5  # of the frames, for VIFs without objectives
OTHER_CLASSES = 4  # one round of so many is for a class that objectives are not for
STEP_S, LONG_STEP_S = 0.05, 0.2  # so long turns are put off, to be had together; the longer without objectives
_LEAST_PAUSE_S = 0.001  # nobody has two turns in one step
_SPREAD = 0.5  # an interval is longer or shorter by up to this part, so that nothing that repeats is seen at one point


def frames_of(target: Target) -> int:
    """Of one round, at most."""
    return 1 + target.divides_port + len(target.uplinks)


def intervals_s(targets: Mapping[int, Target]) -> dict[int, float]:
    """Between two rounds of each VIF, by number. All with objectives are treated alike, and so are the others."""
    wanted = {True: 0.0, False: 0.0}  # frames a second
    for target in targets.values():
        rate = WITH_OBJECTIVES_PER_S if target.has_objectives else OTHERS_PER_S
        wanted[target.has_objectives] += rate * frames_of(target)
    left = min(MOST_PART * FRAMES_PER_S, max(LEAST_PART * FRAMES_PER_S, FRAMES_PER_S - wanted[True]))
    others = min(wanted[False], left)
    first = min(wanted[True], FRAMES_PER_S - others)
    stretch = {True: wanted[True] / first if first else 1.0, False: wanted[False] / others if others else 1.0}
    return {
        number: stretch[target.has_objectives] / (WITH_OBJECTIVES_PER_S if target.has_objectives else OTHERS_PER_S)
        for number, target in targets.items()
    }


@dataclass(slots=True)
class _Turn:
    target: Target
    interval_s: float
    rounds: int = 0

    def class_now(self) -> tuple[str, int]:
        """By turns; where there are objectives, which are for the best, one turn of OTHER_CLASSES is another's."""
        best, *others = classes = self.target.classes
        if not self.target.has_objectives or not others:
            return classes[self.rounds % len(classes)]
        turn, place = divmod(self.rounds, OTHER_CLASSES)
        return best if place < OTHER_CLASSES - 1 else others[turn % len(others)]

    def every_s(self, class_name: str) -> float:
        """How far apart rounds of this class are."""
        (best, _), *others = self.target.classes
        if not self.target.has_objectives or not others:
            return self.interval_s * len(self.target.classes)
        if class_name == best:
            return self.interval_s * OTHER_CLASSES / (OTHER_CLASSES - 1)
        return self.interval_s * OTHER_CLASSES * len(others)


class Pace:
    """spread: from 0 up to 1, another each time."""

    def __init__(self, spread: Callable[[], float]) -> None:
        self._spread = spread
        self._turns: dict[int, _Turn] = {}
        self._due: list[tuple[float, int]] = []  # a heap, of one entry for each VIF
        self._stepped_s = float("-inf")
        self._allowed = 0.0  # frames that may be sent now
        self.step_s = LONG_STEP_S

    @property
    def due_s(self) -> float | None:
        return max(self._due[0][0], self._stepped_s + self.step_s) if self._due else None

    @property
    def vifs(self) -> Mapping[int, Target]:
        return {number: turn.target for number, turn in self._turns.items()}

    def every_s(self, vif: int, class_name: str) -> float:
        """How far apart rounds of a VIF in this class are; 0: it has no turn any more."""
        return round(self._turns[vif].every_s(class_name), 2) if vif in self._turns else 0.0

    def aim(self, targets: Mapping[int, Target], now_s: float) -> None:
        """A VIF that stays keeps its turn; a new one has its first within an interval."""
        intervals = intervals_s(targets)
        self.step_s = STEP_S if any(target.has_objectives for target in targets.values()) else LONG_STEP_S
        for number, target in targets.items():
            turn = self._turns.get(number)
            if turn is None:
                self._turns[number] = _Turn(target, intervals[number])
                heapq.heappush(self._due, (now_s + self._spread() * intervals[number], number))
            else:
                turn.target, turn.interval_s = target, intervals[number]
        if self._turns.keys() - targets.keys():
            self._turns = {number: turn for number, turn in self._turns.items() if number in targets}
            self._due = [due for due in self._due if due[1] in targets]
            heapq.heapify(self._due)

    def due(self, now_s: float) -> list[tuple[Target, str, int]]:
        """Who is probed now, in which class, with its code point: the classes take turns. A late turn is not made up
        for; what has gathered while we were busy does not go at once."""
        found = []
        self._allowed = min(2 * self.step_s * FRAMES_PER_S, self._allowed + (now_s - self._stepped_s) * FRAMES_PER_S)
        self._stepped_s = now_s
        while self._due and self._due[0][0] <= now_s and self._allowed > 0:
            due_s, number = self._due[0]
            turn = self._turns[number]
            found.append((turn.target, *turn.class_now()))
            self._allowed -= frames_of(turn.target)
            turn.rounds += 1
            pause_s = turn.interval_s * (1 - _SPREAD + 2 * _SPREAD * self._spread())
            start_s = due_s if now_s - due_s < turn.interval_s else now_s
            heapq.heapreplace(self._due, (max(start_s + pause_s, now_s + _LEAST_PAUSE_S), number))
        return found
