"""What of the wanted rates is written: nothing without need, decreases first. Pure.

How often a meter may be written is none of this: whoever writes it paces it (docs/decisions/0032).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from controller.allocation.settings import Settings
from controller.allocation.tree import FloatArray, IntArray

Direction = Literal["egress", "ingress"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What each VIF should be held to, float64[n], kbit/s; rate inf: to its own limit only."""

    rate_kbps: FloatArray
    guarantee_kbps: FloatArray
    limit_kbps: FloatArray


@dataclass(frozen=True, slots=True)
class Change:
    """One rate to write; None: the VIF's own limit only."""

    direction: Direction
    vif: int
    before_kbps: int | None
    after_kbps: int | None


def actuate(before_kbps: FloatArray, wanted: Wanted, settings: Settings) -> FloatArray:
    """What is in force from now on: before_kbps where nothing need be written.

    before_kbps and what is returned: float64[n], whole kbit/s; inf: held to its own limit only. A rate below the
    guarantee is raised whatever the dead band says; one that is released is released, or what stayed within the dead
    band would hold it down for nothing.
    """
    rate = _written(wanted)
    old, new = np.minimum(before_kbps, wanted.limit_kbps), np.minimum(rate, wanted.limit_kbps)
    due = (old < wanted.guarantee_kbps) | np.isinf(rate)
    with np.errstate(invalid="ignore"):
        due |= (new > old * (1 + settings.dead_band_up)) | (new < old * (1 - settings.dead_band_down))
    return np.where(due, rate, before_kbps)


def changes(
    keys: IntArray, limit_kbps: dict[Direction, FloatArray], steps: dict[Direction, tuple[FloatArray, FloatArray]]
) -> tuple[Change, ...]:
    """The changes from what was in force to what is, decreases before increases. steps: (before, after) by direction.

    keys: VIF numbers, int64[n]; the others are in their order.
    """
    found: list[tuple[bool, Direction, int, Change]] = []
    for direction, (before, after) in steps.items():
        at = np.flatnonzero(before != after)
        limit = limit_kbps[direction][at]
        increases = np.minimum(after[at], limit) > np.minimum(before[at], limit)
        columns = (increases.tolist(), keys[at].tolist(), before[at].tolist(), after[at].tolist())
        found += [
            (increase, direction, vif, Change(direction, vif, _whole(old), _whole(new)))
            for increase, vif, old, new in zip(*columns, strict=True)
        ]
    found.sort(key=lambda entry: entry[:3])
    return tuple(entry[3] for entry in found)


def in_force(keys: IntArray, rate_kbps: FloatArray) -> dict[int, int]:
    """Whole kbit/s by VIF number, of those that are held below their own limit."""
    held = np.flatnonzero(np.isfinite(rate_kbps))
    return dict(zip(keys[held].tolist(), map(int, rate_kbps[held].tolist()), strict=True))


def _written(wanted: Wanted) -> FloatArray:
    """Whole kbit/s, never below the guarantee and never 0; inf where the VIF's own limit says as much."""
    rate = np.maximum(np.maximum(np.floor(wanted.rate_kbps), np.ceil(wanted.guarantee_kbps)), 1.0)
    return np.where((wanted.rate_kbps >= wanted.limit_kbps) | (rate >= wanted.limit_kbps), np.inf, rate)


def _whole(rate_kbps: float) -> int | None:
    return None if math.isinf(rate_kbps) else int(rate_kbps)
