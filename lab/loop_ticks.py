"""When the loop has ticked, as its API tells: what it does can be counted in ticks, however busy the machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from controller.api.client import ApiError
from lab.children import LabError, wait_until

_LOOK_S = 0.04


class LoopTicks:
    """Looks while the block lasts; a tick is known so late after its end."""

    def __init__(self, asked: Callable[[str], Any]) -> None:
        """asked: the controller's document at a path of its API; raises ApiError when it does not answer."""
        self._asked = asked
        self._seen: list[tuple[float, int]] = []  # CLOCK_MONOTONIC, ticks until then; when it changed
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> LoopTicks:
        self._thread.start()
        wait_until(lambda: self._seen, "the loop says how often it has ticked")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.set()
        self._thread.join()

    def until(self, at_s: float) -> int:
        """Ticks that were over at a time (CLOCK_MONOTONIC)."""
        return max((ticks for seen_s, ticks in self._seen if seen_s <= at_s), default=0)

    def await_next(self, after_s: float, count: int) -> float:
        """Waits until so many ticks are over since a time; when that was. Raises LabError."""
        wanted = self.until(after_s) + count
        wait_until(lambda: self._seen[-1][1] >= wanted, f"{count} more ticks of the loop", 3.0 * count + 10.0)
        return next(seen_s for seen_s, ticks in self._seen if ticks >= wanted)

    def _look(self) -> None:
        while not self._ends.wait(_LOOK_S):
            try:
                ticks = int(self._asked("/v1/status")["loop"]["ticks"])
            except (ApiError, LabError, OSError):
                continue  # it begins, or it ends
            if not self._seen or ticks != self._seen[-1][1]:
                self._seen.append((time.monotonic(), ticks))
