"""Round trips of echo requests, one by one, and what of them is exceeded how seldom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.children import Child, LabError, wait_until
from lab.windows import percentile

_TIME = re.compile(r"\btime=([\d.]+) ms")
_SENT = re.compile(r"(\d+) packets transmitted")


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """times_ms: of those that came back. lost: those that did not, which count as endless."""

    times_ms: tuple[float, ...]
    lost: int

    def percentile_ms(self, part: float) -> float:
        """Exceeded by at most 1 - part of all that were sent; inf when more than that are lost."""
        return percentile([*self.times_ms, *([float("inf")] * self.lost)], part)


class Measuring:
    """A series of echo requests under way; `result` waits for its end."""

    def __init__(self, child: Child, lines: list[str], most_s: float) -> None:
        self._child, self._lines, self._most_s = child, lines, most_s

    def result(self) -> RoundTrips:
        """Raises LabError when it says of no request that it was sent."""
        wait_until(lambda: not self._child.runs, "ping ends", self._most_s)
        self._child.end()
        return read(self._lines)


def read(lines: list[str]) -> RoundTrips:
    """What ping said. Raises LabError when it sent nothing."""
    times_ms = tuple(float(found[1]) for line in lines if (found := _TIME.search(line)) and "DUP" not in line)
    sent = next((int(found[1]) for line in lines if (found := _SENT.search(line))), 0)
    if not sent:
        raise LabError(f"ping says: {' '.join(lines[-3:]).strip() or 'nothing'}")
    return RoundTrips(times_ms, sent - len(times_ms))


@contextmanager
def round_trips(namespace: str, address: str, duration_s: float, interval_s: float = 0.01) -> Iterator[Measuring]:
    """Echo requests at this interval, for so long."""
    lines: list[str] = []
    count = max(1, int(duration_s / interval_s))
    argv = ["ping", "-n", "-c", str(count), "-i", str(interval_s), "-W", "2", address]
    with Child(namespace, argv, lines.append) as child:
        yield Measuring(child, lines, 3 * duration_s + 10)
