"""When to try again what failed: soon at first, then ever later. The clock is an argument."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.25
LAST_S = 30.0


@dataclass(frozen=True, slots=True)
class BackOff:
    """failures: how often in a row it has failed by now."""

    failures: int = 0

    def after(self, failed: bool) -> BackOff:
        return BackOff(self.failures + 1) if failed else BackOff()

    def retry_at_s(self, now_s: float) -> float | None:
        """None: nothing has failed, there is nothing to try again."""
        if not self.failures:
            return None
        return now_s + min(LAST_S, FIRST_S * 2.0 ** min(self.failures - 1, 16))
