"""What of the wanted rates is written and when: nothing without need or too often, decreases first. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from controller.allocation.settings import Settings

Direction = Literal["egress", "ingress"]
Target = tuple[Direction, int]  # direction and VIF number


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one target should be held to; rate_kbps None: to its own limit only."""

    rate_kbps: float | None
    guarantee_kbps: float
    limit_kbps: float
    least_interval_s: float = 0.0  # between two changes; 0 where a change costs nothing (a shaper, a class)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is in force at a target since when; None: its own limit only."""

    rate_kbps: int | None
    since_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """One rate to write; None: the target's own limit only."""

    direction: Direction
    vif: int
    before_kbps: int | None
    after_kbps: int | None


def least_interval_s(burst_kbit: float, rate_kbps: float, leak: float = 0.05) -> float:
    """How far apart changes of a meter must be so that the bucket that each refills adds at most `leak` of the rate."""
    return burst_kbit / (leak * rate_kbps) if rate_kbps > 0 else math.inf


def actuate(
    before: Mapping[Target, Setting], wanted: Mapping[Target, Wanted], now_s: float, settings: Settings
) -> tuple[dict[Target, Setting], tuple[Change, ...]]:
    """What is in force from now on, and the changes that make it so, decreases before increases.

    A target that `wanted` lacks is gone: nothing is written to it. A rate below the guarantee is raised at once,
    whatever the dead band and the interval say.
    """
    after: dict[Target, Setting] = {}
    changes: list[tuple[bool, Target, Change]] = []
    for target, want in wanted.items():
        setting = before.get(target)
        rate = _written(want)
        old = None if setting is None else setting.rate_kbps
        if _is_due(setting, rate, want, now_s, settings):
            increase = _effective(rate, want) > _effective(old, want)
            changes.append((increase, target, Change(target[0], target[1], old, rate)))
            after[target] = Setting(rate, now_s)
        elif setting is not None and (old is not None or 0 <= now_s - setting.since_s < want.least_interval_s):
            after[target] = setting
    changes.sort(key=lambda change: change[:2])
    return after, tuple(change for _, _, change in changes)


def _written(want: Wanted) -> int | None:
    """Whole kbit/s, never below the guarantee and never 0; None where the target's own limit says as much."""
    if want.rate_kbps is None or want.rate_kbps >= want.limit_kbps:
        return None
    rate = max(math.floor(want.rate_kbps), math.ceil(want.guarantee_kbps), 1)
    return None if rate >= want.limit_kbps else rate


def _effective(rate: int | None, want: Wanted) -> float:
    return want.limit_kbps if rate is None else min(rate, want.limit_kbps)


def _is_due(setting: Setting | None, rate: int | None, want: Wanted, now_s: float, settings: Settings) -> bool:
    old = None if setting is None else setting.rate_kbps
    if rate == old:
        return False
    if old is not None and _effective(old, want) < want.guarantee_kbps:
        return True
    if setting is not None and 0 <= now_s - setting.since_s < want.least_interval_s:
        return False
    if rate is None:
        return True  # released: what stayed within the dead band would hold it down for nothing
    new_rate, old_rate = _effective(rate, want), _effective(old, want)
    return new_rate > old_rate * (1 + settings.dead_band_up) or new_rate < old_rate * (1 - settings.dead_band_down)
