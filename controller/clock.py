"""The clocks, for wiring to hand out; everything else takes the time as an argument or is given a clock."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]


def monotonic_s() -> float:
    """Seconds since some fixed moment; never goes back."""
    return time.monotonic()


def wall_s() -> float:
    """Seconds since 1970, as clocks on the wall say; may jump."""
    return time.time()
