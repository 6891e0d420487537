"""What of the loop failed lately, and why: said in the log once, and kept for whoever asks."""

from __future__ import annotations

import logging
from collections.abc import Callable

KEPT_S = 60.0  # after its last failure a part has to do well for so long

log = logging.getLogger("weir.loop")


class Failures:
    """By part of the loop. The clock counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of: dict[str, tuple[float, str]] = {}  # when it last failed, and what of

    @property
    def last(self) -> str | None:
        """One line."""
        return max(self._of.values())[1] if self._of else None

    def failed(self, part: str, fault: Exception) -> None:
        """To be called while the exception is handled. The same failure again is not logged again."""
        what = " ".join(f"{type(fault).__name__}: {fault}".split())
        line = f"the loop: {part} failed: {what.rstrip('.')}. See the controller's log for where."
        if part not in self._of or self._of[part][1] != line:
            log.exception("%s failed; the loop goes on without what it came to", part)
        self._of[part] = self._clock(), line

    def fine(self, part: str) -> None:
        if part in self._of and self._clock() - self._of[part][0] >= KEPT_S:
            del self._of[part]
            log.info("%s has not failed again for %g s", part, KEPT_S)
