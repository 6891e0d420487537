"""What one receiver counted, over time. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.frames import frame_kbps


class NoFigure(LookupError):
    """The series does not reach that far."""


@dataclass(frozen=True, slots=True)
class Count:
    """All that came until at_s (CLOCK_MONOTONIC, the same in every process of the machine).

    missing: sequence numbers below the highest seen that did not come. last_s: when the last one came, None: none did.
    """

    at_s: float
    frames: int
    payload_bytes: int
    missing: int
    last_s: float | None = None


@dataclass(slots=True)
class Series:
    """Counts in the order of time. Between two of them traffic is taken to be even."""

    counts: list[Count] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return self.counts[-1].frames if self.counts else 0

    @property
    def missing(self) -> int:
        return self.counts[-1].missing if self.counts else 0

    @property
    def last_s(self) -> float | None:
        return self.counts[-1].last_s if self.counts else None

    @property
    def end_s(self) -> float:
        return self.counts[-1].at_s if self.counts else float("-inf")

    def kbps(self, from_s: float, to_s: float) -> float:
        """Frame rate between two times. Raises NoFigure when the series does not cover them."""
        frames_from, payload_from = self._until(from_s)
        frames_to, payload_to = self._until(to_s)
        return frame_kbps(frames_to - frames_from, payload_to - payload_from, to_s - from_s)

    def ticks(self, from_s: float, to_s: float, tick_s: float = 1.0) -> list[float]:
        """Frame rate in kbit/s of each whole tick from from_s on, the last ending at to_s at the latest."""
        count = int((to_s - from_s) / tick_s + 1e-9)
        return [self.kbps(from_s + n * tick_s, from_s + (n + 1) * tick_s) for n in range(count)]

    def longest_below_s(self, kbps: float, from_s: float, to_s: float, window_s: float = 0.2) -> float:
        """The longest time on end during which each window's rate was below so much."""
        longest = run = 0
        for rate in self.ticks(from_s, to_s, window_s):
            run = run + 1 if rate < kbps else 0
            longest = max(longest, run)
        return longest * window_s

    def longest_silence_s(self, from_s: float, to_s: float) -> float:
        """The longest time between two counts of that span in which nothing came."""
        longest, since_s, seen = 0.0, from_s, self.counts[self._place(from_s)].frames
        for count in self.counts:
            if not from_s <= count.at_s <= to_s:
                continue
            if count.frames > seen:
                seen, since_s = count.frames, count.at_s
            longest = max(longest, count.at_s - since_s)
        return longest

    def _until(self, at_s: float) -> tuple[float, float]:
        """Frames and bytes of payload that had come by then."""
        place = self._place(at_s)
        after = self.counts[place]
        if place == 0:
            return after.frames, after.payload_bytes
        before = self.counts[place - 1]
        part = (at_s - before.at_s) / (after.at_s - before.at_s)
        return (
            before.frames + part * (after.frames - before.frames),
            before.payload_bytes + part * (after.payload_bytes - before.payload_bytes),
        )

    def _place(self, at_s: float) -> int:
        if not self.counts or at_s < self.counts[0].at_s:
            raise NoFigure(f"{at_s:.3f} s is before the first count. Start the receiver earlier.")
        place = bisect_left(self.counts, at_s, key=lambda count: count.at_s)
        if place == len(self.counts):
            raise NoFigure(f"{at_s:.3f} s is after the last count, {self.end_s:.3f} s. Wait for the receiver.")
        return place


def total(series: Sequence[Series], from_s: float, to_s: float) -> float:
    """Frame rate of all together in kbit/s."""
    return sum(one.kbps(from_s, to_s) for one in series)
