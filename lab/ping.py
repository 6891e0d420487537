"""Echo requests, and how many came back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.children import Child, LabError, run, wait_until, within

_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) received")


@dataclass(frozen=True, slots=True)
class Echoes:
    sent: int
    received: int

    @property
    def lost(self) -> int:
        return self.sent - self.received


def answers(namespace: str, address: str, tries: int = 3) -> bool:
    """Whether one of some echo requests is answered within a second."""
    argv = ["ping", "-n", "-q", "-c", str(tries), "-i", "0.2", "-W", "1", address]
    return _summary(run(within(namespace, argv), check=False)).received > 0


class Pinging:
    """A series of echo requests under way; `result` waits for its end."""

    def __init__(self, child: Child, lines: list[str], most_s: float) -> None:
        self._child, self._lines, self._most_s = child, lines, most_s

    def result(self) -> Echoes:
        wait_until(lambda: not self._child.runs, "ping ends", self._most_s)
        self._child.end()
        return _summary("".join(self._lines))


@contextmanager
def pinging(namespace: str, address: str, duration_s: float, interval_s: float = 0.01) -> Iterator[Pinging]:
    """As many echo requests as fit into duration_s, however long the answers take."""
    lines: list[str] = []
    count = max(1, int(duration_s / interval_s))
    argv = ["ping", "-n", "-q", "-c", str(count), "-i", str(interval_s), "-W", "2", address]
    with Child(namespace, argv, lines.append) as child:
        yield Pinging(child, lines, 3 * duration_s + 10)


def _summary(text: str) -> Echoes:
    found = _SUMMARY.search(text)
    if found is None:
        raise LabError(f"ping says: {text.strip() or 'nothing'}")
    return Echoes(int(found[1]), int(found[2]))
