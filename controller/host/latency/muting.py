"""Which devices send so many answers that they are no longer listened to. Pure, but for the clock that it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

MOST_PER_S = 100  # of one device: five times what a VIF with objectives is asked
MUTED_S = 60.0
MOST_MUTED = 1000  # devices at a time: the filter looks at each


class Muting:
    """Otherwise one instance that floods us with answers would keep us from reading those of all others."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spared = frozenset[str]()
        self._since_s, self._counts = clock(), Counter[str]()
        self._until_s: dict[str, float] = {}

    def spare(self, devices: Iterable[str]) -> None:
        """These are never muted: who sends there may be anybody, and we need the answers of others."""
        self._spared = frozenset(devices)
        self._until_s = {device: until_s for device, until_s in self._until_s.items() if device not in self._spared}

    def count(self, device: str) -> None:
        self._counts[device] += 1

    def muted(self) -> frozenset[str]:
        """Now."""
        now_s = self._clock()
        for device, count in self._counts.items():
            is_new = device not in self._until_s and len(self._until_s) < MOST_MUTED
            if count > MOST_PER_S and is_new and device not in self._spared:
                self._until_s[device] = now_s + MUTED_S
        if now_s - self._since_s >= 1.0:
            self._since_s = now_s
            self._counts.clear()
        self._until_s = {device: until_s for device, until_s in self._until_s.items() if until_s > now_s}
        return frozenset(self._until_s)
