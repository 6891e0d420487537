"""What came in short windows of time, by the kernel's clock, and how often that was enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.frames import frame_kbps

BIN_S = 0.01  # what is counted together; a window is a whole number of these
WINDOW_S = 0.1


@dataclass(slots=True)
class Arrivals:
    """Of one port: frames and bytes of payload of each bin of BIN_S, by the bin's number since CLOCK_MONOTONIC began.

    A bin in which nothing came is absent. What came is in the bin in which the kernel took it, however late we looked.
    """

    bins: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, number: int, frames: int, payload_bytes: int) -> None:
        before = self.bins.get(number, (0, 0))
        self.bins[number] = before[0] + frames, before[1] + payload_bytes

    def windows(self, from_s: float, to_s: float, window_s: float = WINDOW_S) -> list[float]:
        """Frame rate in kbit/s of each whole window from the first bin that begins at from_s or later."""
        size = round(window_s / BIN_S)
        first, end = -int(-from_s // BIN_S), int(to_s / BIN_S + 1e-6)
        return [self._kbps(start, start + size) for start in range(first, end - size + 1, size)]

    def kbps(self, from_s: float, to_s: float) -> float:
        """Frame rate between two times, each rounded down to a bin."""
        return self._kbps(int(from_s / BIN_S), int(to_s / BIN_S))

    def _kbps(self, first: int, end: int) -> float:
        found = [self.bins[number] for number in range(first, end) if number in self.bins]
        frames, payload_bytes = sum(one[0] for one in found), sum(one[1] for one in found)
        return frame_kbps(frames, payload_bytes, (end - first) * BIN_S)


def share_met(windows: Mapping[int, Sequence[float]], least_kbps: Mapping[int, float]) -> float:
    """Part of all windows of all ports, 0..1, in which at least this rate came. Windows by port, one each at least."""
    met = [kbps >= least_kbps[port] for port, found in windows.items() for kbps in found]
    return sum(met) / len(met)


def percentile(figures: Sequence[float], part: float) -> float:
    """The least of them that at least so great a part (0..1) of all does not exceed. One at least."""
    ordered = sorted(figures)
    return ordered[max(0, min(len(ordered), -int(-len(ordered) * part // 1)) - 1)]
