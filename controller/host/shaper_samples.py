"""The counters of shapers, which stand in instances' namespaces: nothing may be held open there, so each is a visit.

Only those are visited whose instance has sent since the last time: an instance's packets arrive at the host's end of
its link, whose counters are read for all links at once. The others have counted nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from controller.host.wish import Wish
from controller.stream.messages import QueueSample


@dataclass(frozen=True, slots=True)
class _Seen:
    wish: Wish
    received: int
    sample: QueueSample


class ShaperSamples:
    """read: the counters of one; None: it cannot be read."""

    def __init__(self, read: Callable[[Wish], QueueSample | None]) -> None:
        self._read = read
        self._seen: dict[int, _Seen] = {}

    def take(self, wishes: Mapping[int, Wish], received: Mapping[int, int]) -> dict[int, QueueSample]:
        """By VIF number. received: packets that have come out of each VIF; of one that is missing nothing is known."""
        before, self._seen = self._seen, {}
        for number, wish in wishes.items():
            packets, last = received.get(number), before.get(number)
            if last is None or (last.wish, last.received) != (wish, packets) or last.sample.backlog_bytes:
                sample = self._read(wish)
                last = None if sample is None else _Seen(wish, -1 if packets is None else packets, sample)
            if last is not None:
                self._seen[number] = last
        return {number: seen.sample for number, seen in self._seen.items()}
