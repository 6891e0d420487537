"""How long to wait before a process that ended is started again, or before the next look for something. Pure."""

from __future__ import annotations

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 10.0
FIRST_LOOK_S = 0.02
LONGEST_LOOK_S = 0.5
GOOD_RUN_S = 20.0  # who ran this long has recovered: its next end counts as the first


def failures_after(failures: int, ran_s: float) -> int:
    """Ends in a row without a good run in between, the one just seen included."""
    return 1 if ran_s >= GOOD_RUN_S else failures + 1


def delay_s(failures: int) -> float:
    """Doubles with each failure in a row: 0.1, 0.2, 0.4 ... 10 s. failures counts from 1."""
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures - 1, 16)))


def look_again_s(looks: int) -> float:
    """After a look in vain, with so many in vain before it: 0.02 s, half as much again each time, at most 0.5 s."""
    return float(min(LONGEST_LOOK_S, FIRST_LOOK_S * 1.5 ** min(looks, 16)))
