"""Moments and spans as commands print them."""

from __future__ import annotations

from datetime import datetime, timezone

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def moment(since_1970_s: float) -> str:
    """To the second, in UTC, as programs read it: 2026-11-23T03:11:00+00:00."""
    return datetime.fromtimestamp(since_1970_s, timezone.utc).isoformat(timespec="seconds")


def local(since_1970_s: float) -> str:
    """To the second, as the reader's clock shows it."""
    return datetime.fromtimestamp(since_1970_s).isoformat(sep=" ", timespec="seconds")


def span(seconds: float) -> str:
    """The two largest units that say something: 28799.6 -> '7 h 59 m'."""
    left, said = int(seconds), []
    for size, unit in _UNITS:
        if left >= size:
            said.append(f"{left // size} {unit}")
            left %= size
    return " ".join(said[:2]) or "0 s"
