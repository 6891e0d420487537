"""What the loop takes of a core, and how far apart its ticks must be so that it takes no more than it may. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

MOST_SHARE = 0.05  # of a core, at a tick a second or less often ...
MOST_SHARE_FASTER = 0.25  # ... and in proportion more where more are asked for, up to this
MOST_STRETCH = 10  # times as long as the interval that is asked for, whatever that costs
ROOM = 0.8  # of what they may cost: ticks come closer together again only below it
_SPENT, _FREE_AGAIN = 0.0, 0.2  # of what the loop may take: so much is left when nothing is, and when there is again
_TICKS = 10  # that are averaged


@dataclass(frozen=True, slots=True)
class _Spent:
    """By this time: processor time of all ticks, and of all that the loop costs elsewhere."""

    at_s: float
    ticks_s: float
    elsewhere_s: float


class Cost:
    """interval_s: the pace that is asked for.

    What a tick costs itself is spent less often when ticks are farther apart. What is spent elsewhere (reading what
    agents say) goes on at its own pace: it takes from what ticks may cost. is_spent: it leaves nothing of that, so that
    no interval would do; the one that there is stays.
    """

    def __init__(self, interval_s: float) -> None:
        self._asked_s = interval_s
        self.most_share = min(max(MOST_SHARE, MOST_SHARE / interval_s), MOST_SHARE_FASTER)
        self._spent: deque[_Spent] = deque(maxlen=_TICKS + 1)
        self._ticks_s = self._elsewhere_s = 0.0
        self._times = 1
        self.is_spent = False

    @property
    def interval_s(self) -> float:
        """In force now."""
        return self._times * self._asked_s

    @property
    def share(self) -> float | None:
        """Of a core, over the last ticks; None: there were not yet two."""
        if len(self._spent) < 2:
            return None
        before, now = self._spent[0], self._spent[-1]
        spent_s = now.ticks_s - before.ticks_s + now.elsewhere_s - before.elsewhere_s
        return spent_s / (now.at_s - before.at_s) if now.at_s > before.at_s else None

    def tick(self, cpu_s: float, elsewhere_s: float, now_s: float) -> bool:
        """cpu_s: processor time of this tick; elsewhere_s: what was spent elsewhere since the last one.

        Returns whether the interval is another now.
        """
        self._ticks_s, self._elsewhere_s = self._ticks_s + cpu_s, self._elsewhere_s + elsewhere_s
        self._spent.append(_Spent(now_s, self._ticks_s, self._elsewhere_s))
        before = self._spent[0]
        if len(self._spent) <= _TICKS or now_s <= before.at_s:
            return False
        left = self.most_share - (self._elsewhere_s - before.elsewhere_s) / (now_s - before.at_s)
        self.is_spent = left <= self.most_share * (_FREE_AGAIN if self.is_spent else _SPENT)
        if self.is_spent:
            return False
        times, self._times = self._times, self._times_for((self._ticks_s - before.ticks_s) / _TICKS / left)
        return times != self._times

    def _times_for(self, least_s: float) -> int:
        """The least multiple of what was asked for that is so long; one that is shorter than now has room as well."""
        times = _multiple(least_s, self._asked_s)
        return times if times >= self._times else min(self._times, _multiple(least_s, ROOM * self._asked_s))


def _multiple(least_s: float, of_s: float) -> int:
    return min(max(1, math.ceil(least_s / of_s)), MOST_STRETCH)
