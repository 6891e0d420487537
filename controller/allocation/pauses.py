"""For whom others have given way for nothing, and how long it is not tried again. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

Key = tuple[int, int]  # whose state (0: that of everybody on the link), and the VIF for which it was


@dataclass(frozen=True, slots=True)
class _Pause:
    until_s: float
    length_s: float


class Pauses:
    """Each lasts its whole time, whatever is measured meanwhile, and the next one twice as long: otherwise a VIF that
    does not answer now and then would have all others held back most of the time. Times are of the monotonic clock."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._pauses: dict[Key, _Pause] = {}

    def begin(self, key: Key, now_s: float) -> None:
        """As long as the first, if the last one has been over for as long as it lasted."""
        before, length_s = self._pauses.get(key), self._first_s
        if before is not None and now_s - before.until_s < before.length_s:
            length_s = min(self._most_s, 2 * before.length_s)
        self._pauses[key] = _Pause(now_s + length_s, length_s)

    def is_on(self, key: Key, now_s: float) -> bool:
        pause = self._pauses.get(key)
        return pause is not None and now_s < pause.until_s

    def keep(self, vifs: Collection[int]) -> None:
        """Forgets all others."""
        self._pauses = {key: pause for key, pause in self._pauses.items() if key[1] in vifs}
