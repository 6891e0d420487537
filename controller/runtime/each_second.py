"""Bounds for what comes in, however much comes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

_MOST_SHARE = 5  # what somebody who is not too busy asks in a second


class EachSecond:
    """Lets so many pass in a second of the clock."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = most, clock
        self._second, self._taken = 0, 0
        self.passed_over = 0

    def takes(self) -> bool:
        """Whether one more may pass; else it counts as passed over."""
        second = int(self._clock())
        self._second, self._taken = second, self._taken + 1 if second == self._second else 1
        if self._taken > self._most:
            self.passed_over += 1
        return self._taken <= self._most


class FairSecond:
    """Likewise; of the second half of them everybody who asks gets a small share, however much the others ask."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = most, clock
        self._second, self._taken = 0, 0
        self._passed: Counter[Hashable] = Counter()
        self.passed_over = 0

    def takes(self, who: Hashable) -> bool:
        """Whether one more of theirs may pass; else it counts as passed over."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._taken = second, 0
            self._passed.clear()
        passed = self._passed[who]
        self._passed[who] = passed  # one that asks, though nothing may have passed
        rest = self._most // 2
        share = max(1, min(_MOST_SHARE, rest // len(self._passed)))
        takes = self._taken < self._most - rest or (self._taken < self._most and passed < share)
        if takes:
            self._taken += 1
            self._passed[who] += 1
        else:
            self.passed_over += 1
        return takes
