"""How many seconds of the last hour and of the last day were violated, and of how many the state was known. Pure.

In steps of five minutes; 3 KB each, as there are three objectives of each of many VIFs.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

DAY_S = 86_400.0
HOUR_S = 3_600.0
SLOT_S = 300.0
_DAY, _HOUR = round(DAY_S / SLOT_S), round(HOUR_S / SLOT_S)  # in slots


@dataclass(slots=True)
class Span:
    """Seconds."""

    violated_s: float = 0.0
    known_s: float = 0.0

    def add(self, violated_s: float, known_s: float) -> None:
        self.violated_s += violated_s
        self.known_s += known_s


def _empty() -> array[float]:
    return array("f", bytes(4 * _DAY))


@dataclass(slots=True)
class LastDay:
    """The clock must not go back; what comes with an earlier time counts for the newest slot.

    hour and day are sums, with the slot that is not over yet, as of the last call. They may be short of one slot.
    """

    hour: Span = field(default_factory=Span)
    day: Span = field(default_factory=Span)
    _newest: int | None = None  # number of the slot that is not over
    _now: Span = field(default_factory=Span)  # of that slot
    # of those before it, each at its number modulo their count
    _violated: array[float] = field(default_factory=_empty)
    _known: array[float] = field(default_factory=_empty)

    def add(self, now_s: float, violated_s: float, known_s: float) -> None:
        self.move_to(now_s)
        for span in (self._now, self.hour, self.day):
            span.add(violated_s, known_s)

    def move_to(self, now_s: float) -> None:
        """What is too long ago goes."""
        number = int(now_s // SLOT_S)
        if self._newest is None:
            self._newest = number
        if number - self._newest >= _DAY:
            self.hour, self.day, self._now = Span(), Span(), Span()
            self._violated, self._known = _empty(), _empty()
            self._newest = number
        while self._newest < number:
            self._close(self._newest)
            self._newest += 1

    def _close(self, number: int) -> None:
        """The slot of that number is over, and the next one begins: the oldest of hour and day go."""
        at, next_ = number % _DAY, (number + 1) % _DAY
        self._violated[at], self._known[at] = self._now.violated_s, self._now.known_s
        # what goes later must be what was added, to the last bit
        rounded_s = self._violated[at] - self._now.violated_s, self._known[at] - self._now.known_s
        of_hour = (number + 1 - _HOUR) % _DAY
        self.hour.add(rounded_s[0] - self._violated[of_hour], rounded_s[1] - self._known[of_hour])
        self.day.add(rounded_s[0] - self._violated[next_], rounded_s[1] - self._known[next_])
        self._violated[next_] = self._known[next_] = 0.0
        self._now = Span()
