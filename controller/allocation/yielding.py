"""What gives way on an uplink while an objective of one of its VIFs is violated: how much, in which order. Pure.

All that may give way on one uplink shares one budget. It is cut by a factor while the target is missed, and grows in
small steps once it has held; near where it was last missed it waits, longer each time (as TCP does with its window:
what a bottleneck that nobody names can take is found by going below it, and then seldom beyond). The budget is divided
by the order of the classes, the best first, and within one class by what the policy would give each; what each is
guaranteed stays its own. The clock is an argument.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from controller.allocation.tree import FloatArray

Place = tuple[int, str]  # VIF number, class
LEAST_WEIGHT = 1.0  # kbit/s; whose part is nothing, as others are promised all of a limit, is an equal all the same


@dataclass(frozen=True, slots=True)
class Pace:
    """The numbers that it is tuned with. Of the targets: parts; of time: seconds."""

    confirm_s: float = 2.0  # missed for so long before anybody gives way
    cut: float = 0.7  # what is left of the budget each time,
    far: float = 4.0  # or, where the target is exceeded so many times before anything was given back,
    far_cut: float = 0.5  # ... this
    settle_s: float = 2.0  # that what waits already takes to go, and figures to come
    calm: float = 0.8  # below this part of its target an objective counts as safe ...
    hold_s: float = 5.0  # ... and after so long the budget grows,
    raise_s: float = 3.0  # so often,
    raise_part: float = 0.05  # by this part of what it was when the target was last missed,
    raise_beyond: float = 1.1  # beyond that by this factor,
    raise_slack: float = 1.3  # or by this one while ...
    slack: float = 0.8  # ... no more than this part of it is used
    near: float = 0.9  # of where the target was last missed: there it waits for ...
    patience_s: float = 30.0  # ... so long since it was, twice as long each time that it was too early,
    most_patience_s: float = 600.0
    blind_s: float = 10.0  # without figures for so long the budget grows as if all were well
    futile_s: float = 20.0  # nothing left to give way for so long, and ...
    helped: float = 0.5  # ... no better than this part of what it was: it was for nothing
    retry_s: float = 600.0  # before it is tried again for the same VIF, twice as long each time,
    most_retry_s: float = 14_400.0


@dataclass(frozen=True, slots=True)
class Load:
    """Of all that may give way on one uplink, kbit/s: what passes, what they cannot be cut below; and its capacity."""

    passed_kbps: float
    floor_kbps: float
    capacity_kbps: float


@dataclass(frozen=True, slots=True)
class Yielding:
    """Of one uplink, from one tick to the next. budget_kbps inf: nothing gives way."""

    budget_kbps: float = math.inf
    missed_kbps: float = math.inf  # the budget, or what passed, when the target was last missed
    patience_s: float = 0.0
    missed_since_s: float | None = None
    calm_since_s: float | None = None
    blind_since_s: float | None = None
    cut_s: float = -math.inf
    raised_s: float = -math.inf
    spent_since_s: float | None = None  # missed with nothing left to give way
    first_level: float = 0.0  # when it began
    is_futile: bool = False

    @property
    def is_active(self) -> bool:
        return math.isfinite(self.budget_kbps)


def step(before: Yielding, level: float | None, lag_s: float, load: Load, now_s: float, pace: Pace) -> Yielding:
    """One tick. level: the worst of what is measured as a part of its target; None: not known.

    lag_s: how long it takes until a cut is seen in what is measured.
    """
    if level is None:
        blind_since_s = now_s if before.blind_since_s is None else before.blind_since_s
        state = replace(before, blind_since_s=blind_since_s, missed_since_s=None)
        return state if now_s - blind_since_s < pace.blind_s else _calm(state, load, now_s, pace)
    before = replace(before, blind_since_s=None)
    if level > 1:
        return _missed(before, level, lag_s, load, now_s, pace)
    before = replace(before, missed_since_s=None, spent_since_s=None)
    return _calm(before, load, now_s, pace) if level < pace.calm else replace(before, calm_since_s=None)


def _missed(before: Yielding, level: float, lag_s: float, load: Load, now_s: float, pace: Pace) -> Yielding:
    since_s = now_s if before.missed_since_s is None else before.missed_since_s
    state = replace(before, missed_since_s=since_s, calm_since_s=None)
    is_confirmed = before.is_active or now_s - since_s >= pace.confirm_s
    if not is_confirmed or now_s - before.cut_s < lag_s + pace.settle_s:
        return state
    was_raised = before.is_active and before.raised_s > before.cut_s
    if not before.is_active:
        state = replace(state, first_level=level, patience_s=pace.patience_s)
    elif was_raised:
        state = replace(state, patience_s=min(pace.most_patience_s, 2 * before.patience_s))
    used_kbps = min(before.budget_kbps, load.passed_kbps)
    left = pace.cut if was_raised or level < pace.far else pace.far_cut
    budget_kbps = max(load.floor_kbps, left * used_kbps)
    if budget_kbps > load.floor_kbps or before.budget_kbps > load.floor_kbps:
        return replace(state, budget_kbps=budget_kbps, missed_kbps=used_kbps, cut_s=now_s, spent_since_s=None)
    spent_since_s = now_s if before.spent_since_s is None else before.spent_since_s
    is_futile = now_s - spent_since_s >= pace.futile_s and level >= pace.helped * state.first_level
    return replace(state, spent_since_s=spent_since_s, is_futile=is_futile)


def _calm(before: Yielding, load: Load, now_s: float, pace: Pace) -> Yielding:
    since_s = now_s if before.calm_since_s is None else before.calm_since_s
    state = replace(before, calm_since_s=since_s)
    if not before.is_active or now_s - since_s < pace.hold_s or now_s - before.raised_s < pace.raise_s:
        return state
    # below the floor it bounds nobody; and where nothing passed when the target was missed, it grows all the same
    budget_kbps = max(before.budget_kbps, load.floor_kbps)
    is_slack = load.passed_kbps < pace.slack * budget_kbps
    grown_kbps = budget_kbps + pace.raise_part * (before.missed_kbps or load.capacity_kbps)
    if is_slack or budget_kbps >= before.missed_kbps:
        factor = pace.raise_slack if is_slack else pace.raise_beyond
        grown_kbps = max(grown_kbps, budget_kbps * factor)
    if grown_kbps > pace.near * before.missed_kbps:
        # nobody is held back now, so that little is lost by an early try
        patience_s = pace.patience_s if is_slack else before.patience_s
        if now_s - before.cut_s < patience_s:
            return state
    if grown_kbps >= load.capacity_kbps:
        return Yielding()
    return replace(state, budget_kbps=grown_kbps, raised_s=now_s)


@dataclass(frozen=True, slots=True)
class Yielder:
    """A class of a VIF that may give way, kbit/s. rank: its place among the classes, 0 for the best.

    floor: what it keeps whatever happens. weight: by which equals divide, its part of the uplink in kbit/s; less than
    LEAST_WEIGHT counts as that. demand: inf: as much as possible.
    """

    place: Place
    rank: int
    floor_kbps: float
    weight: float
    passed_kbps: float
    demand_kbps: float


def caps(budget_kbps: float, yielders: Sequence[Yielder]) -> dict[Place, float]:
    """The most that each may take; {} while nothing gives way. None is below its floor.

    Those who want less leave the rest to others. Who sleeps may have what it would get if all woke up, so it finds
    that when it does: then all together may pass twice the budget, for one tick.
    """
    if not math.isfinite(budget_kbps) or not yielders:
        return {}
    ranks: dict[int, list[Yielder]] = defaultdict(list)
    for one in yielders:
        ranks[one.rank].append(one)
    spare_kbps = max(0.0, budget_kbps - sum(one.floor_kbps for one in yielders))
    spare_awake_kbps, found = spare_kbps, dict[Place, float]()
    for rank in sorted(ranks):
        ones = ranks[rank]
        floor = np.array([one.floor_kbps for one in ones])
        weight = np.array([max(one.weight, LEAST_WEIGHT) for one in ones])
        wanted = np.maximum(0.0, np.array([one.demand_kbps for one in ones]) - floor)
        asked, awake = _by_weight(spare_kbps, wanted, weight), spare_awake_kbps * weight / weight.sum()
        spare_kbps, spare_awake_kbps = spare_kbps - float(asked.sum()), 0.0
        shares = floor + np.maximum(asked, awake)
        found |= {one.place: share for one, share in zip(ones, shares.tolist(), strict=True)}
    return found


def _by_weight(amount_kbps: float, demand_kbps: FloatArray, weight: FloatArray) -> FloatArray:
    """min(demand, weight * lambda) of each, one lambda for all, raised until the amount or every demand is used up."""
    amount_kbps = max(0.0, amount_kbps)
    demand = np.minimum(demand_kbps, amount_kbps)
    order = np.argsort(demand / weight)  # in which they are satisfied
    wanted, others = demand[order], np.cumsum(weight[order][::-1])[::-1]
    before = np.cumsum(wanted) - wanted
    satisfied = int(np.sum(before + wanted / weight[order] * others <= amount_kbps))
    if satisfied == len(order):
        return demand
    level = (amount_kbps - float(wanted[:satisfied].sum())) / float(others[satisfied])
    return np.minimum(demand, weight * level)
