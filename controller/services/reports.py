"""When what VIFs have from outside is written: every change is compiled anew. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Collection

PERIOD_S = 1.0  # least time between two reports of one VIF


class ReportBook:
    """By VIF number."""

    def __init__(self) -> None:
        self._waiting: dict[int, float] = {}  # and when it is due
        self._next_s: dict[int, float] = {}  # before that none is due again

    def changed(self, numbers: Collection[int], now_s: float) -> None:
        """These together: so an address that passes from one to the other is never both's."""
        at_s = max((self._next_s.get(number, now_s) for number in numbers), default=now_s)
        for number in numbers:
            self._waiting[number] = max(self._waiting.get(number, at_s), at_s)

    def due(self, now_s: float) -> list[int]:
        """Those to be reported now."""
        due = [number for number, at_s in self._waiting.items() if at_s <= now_s]
        for number in due:
            del self._waiting[number]
        if due:
            self._next_s = {number: at_s for number, at_s in self._next_s.items() if at_s > now_s}
            self._next_s |= dict.fromkeys(due, now_s + PERIOD_S)
        return due
