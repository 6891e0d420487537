"""Echo requests, and how many came back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab.children import Child, LabError, run, wait_until, within

# Of the last answers ping awaits none longer than twice the slowest before: requests of so long before the end may be
# under way when it ends, and are then counted as neither sent nor lost.
UNDER_WAY_S = 0.1

_SENT = re.compile(r"(\d+) packets transmitted")
_ANSWER = re.compile(r"icmp_seq=(\d+) .*time=")


@dataclass(frozen=True, slots=True)
class Echoes:
    sent: int
    received: int

    @property
    def lost(self) -> int:
        return self.sent - self.received


def answers(namespace: str, address: str, within_s: int = 5) -> bool:
    """Whether one of the echo requests of that time is answered; at once when it is."""
    argv = ["ping", "-n", "-c", "1", "-i", "0.2", "-w", str(within_s), address]
    return read(run(within(namespace, argv), check=False).splitlines()).received > 0


class Pinging:
    """A series of echo requests under way; `result` waits for its end."""

    def __init__(self, child: Child, lines: list[str], most_s: float, under_way: int) -> None:
        self._child, self._lines, self._most_s, self._under_way = child, lines, most_s, under_way

    def result(self) -> Echoes:
        wait_until(lambda: not self._child.runs, "ping ends", self._most_s)
        self._child.end()
        return read(self._lines, self._under_way)


@contextmanager
def pinging(namespace: str, address: str, duration_s: float, interval_s: float = 0.01) -> Iterator[Pinging]:
    """As many echo requests as fit into duration_s, however long the answers take."""
    lines: list[str] = []
    count = max(1, int(duration_s / interval_s))
    argv = ["ping", "-n", "-c", str(count), "-i", str(interval_s), "-W", "2", address]
    with Child(namespace, argv, lines.append) as child:
        yield Pinging(child, lines, 3 * duration_s + 10, round(UNDER_WAY_S / interval_s))


def read(lines: Sequence[str], under_way: int = 0) -> Echoes:
    """What ping said. under_way: most of the last requests that are left out when no answer to them came.

    Raises LabError when it does not say what it sent.
    """
    answered = {int(found[1]) for line in lines if (found := _ANSWER.search(line))}
    sent = next((int(found[1]) for line in lines if (found := _SENT.search(line))), None)
    if sent is None:
        raise LabError(f"ping says: {' '.join(lines[-3:]).strip() or 'nothing'}")
    late = sent - max(answered, default=0)
    return Echoes(sent - late if late <= under_way else sent, len(answered))
