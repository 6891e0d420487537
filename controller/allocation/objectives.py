"""Objectives of VIFs (`slo`): whether what is measured keeps to them, for how long it did not, what that may be. Pure.

Time is counted second by second as one of three: held, violated, unknown (no probes, or too few came back). A gap
between two looks, as after a clock that jumped, is none of them. The clock is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.allocation.last_day import DAY_S, LastDay, Span
from controller.measure.path import PathFigures, VifPaths

Objective = Literal["latency", "jitter", "loss"]
State = Literal["held", "violated", "unknown"]
Targets = Mapping[Objective, float]  # milliseconds (of latency: its 99th percentile), or a part 0..1 of loss

BUDGET_PART = 0.01  # of a day that an objective may be violated
GAP_S, GAP_TICKS = 10.0, 3.0  # longer than both between two looks: nothing is known of the time in between


def measured(figures: PathFigures, objective: Objective) -> float | None:
    """In the unit of its target; None: too few probes. Loss is that of the way, without what is left unanswered."""
    if objective == "latency":
        return figures.p99_ms
    return figures.jitter_ms if objective == "jitter" else figures.way_loss


@dataclass(frozen=True, slots=True)
class Level:
    """What is measured as a part of its target, inf where that is 0; None: not known.

    lag_s: how long it takes until what is done shows there.
    """

    value: float | None
    lag_s: float = 0.0


def best_class(paths: VifPaths, classes: tuple[str, ...]) -> PathFigures:
    """An objective is for the best class of a VIF that is probed; for all of one whose traffic is not divided.

    classes: best first.
    """
    return next((paths.classes[name] for name in classes if name in paths.classes), paths.whole)


def level_of(targets: Targets, paths: VifPaths | None, classes: tuple[str, ...]) -> Level:
    """The worst of its objectives. More than 1: missed, over the whole window of what is measured and lately, too."""
    if paths is None:
        return Level(None)
    figures = best_class(paths, classes)
    whole = _worst_part(figures, targets)
    lately = best_class(paths.lately, classes) if paths.lately is not None else None
    now = _worst_part(lately, targets) if lately is not None else None
    if lately is None or now is None:
        return Level(whole, figures.window_s)
    if now > 1 and (whole is None or whole <= 1):
        now = 1.0  # a single late one: no reason to act, nor to be at ease
    return Level(now, lately.window_s)


def worst(levels: Iterable[Level]) -> Level:
    """Of those that are known."""
    return max((one for one in levels if one.value is not None), key=lambda one: one.value or 0.0, default=Level(None))


def _worst_part(figures: PathFigures, targets: Targets) -> float | None:
    parts = [
        _part(value, target)
        for objective, target in targets.items()
        if (value := measured(figures, objective)) is not None
    ]
    return max(parts, default=None)


def _part(value: float, target: float) -> float:
    if target > 0:
        return value / target
    return math.inf if value > 0 else 0.0


@dataclass(slots=True)
class Account:
    """One objective of one VIF. since_wall_s: of its state, seconds since 1970. Totals count from its making on."""

    target: float
    measured: float | None = None
    state: State = "unknown"
    since_wall_s: float = 0.0
    violated_s: float = 0.0
    known_s: float = 0.0
    unknown_s: float = 0.0
    _seen_s: float = -math.inf
    _last: LastDay = field(default_factory=LastDay)

    def note(self, value: float | None, now_s: float, wall_s: float, interval_s: float = 1.0) -> None:
        """What is measured now counts for the time since the last look. interval_s: as Tick has it."""
        state: State = "unknown" if value is None else "violated" if value > self.target else "held"
        if state != self.state or self._seen_s == -math.inf:
            self.state, self.since_wall_s = state, wall_s
        self.measured = value
        passed_s, self._seen_s = now_s - self._seen_s, now_s
        if not 0 < passed_s <= max(GAP_S, GAP_TICKS * interval_s):
            return
        if state == "unknown":
            self.unknown_s += passed_s
            return
        violated_s = passed_s if state == "violated" else 0.0
        self._last.add(now_s, violated_s, passed_s)
        self.known_s += passed_s
        self.violated_s += violated_s

    def document(self, now_s: float) -> dict[str, Any]:
        """now_s: as in `note`. Hour and day may be short of one slot."""
        self._last.move_to(now_s)
        day = _shown(self._last.day)
        allowed_s = BUDGET_PART * DAY_S
        return {
            "target": self.target,
            "measured": self.measured,
            "state": self.state,
            "since": self.since_wall_s,
            "violated_s": round(self.violated_s, 3),
            "known_s": round(self.known_s, 3),
            "unknown_s": round(self.unknown_s, 3),
            "hour": _shown(self._last.hour),
            "day": day,
            "budget": {
                "part": BUDGET_PART,
                "allowed_s": allowed_s,
                "used_s": day["violated_s"],
                "left_s": round(allowed_s - day["violated_s"], 3),
            },
        }

    def totals(self) -> dict[str, Any]:
        """What metrics tell of it."""
        return {"state": self.state, "violated_s": round(self.violated_s, 3), "known_s": round(self.known_s, 3)}


def _shown(span: Span) -> dict[str, float]:
    return {"violated_s": round(span.violated_s, 3), "known_s": round(span.known_s, 3)}


class Accounts:
    """Of all VIFs that have objectives, by VIF number. An objective with another target is another one."""

    def __init__(self) -> None:
        self._of: dict[int, dict[Objective, Account]] = {}

    def keep(self, targets: Mapping[int, Targets]) -> None:
        """Forgets what is not among these."""
        before = self._of
        self._of = {
            vif: {
                name: kept if (kept := before.get(vif, {}).get(name)) is not None and kept.target == target
                else Account(target)
                for name, target in own.items()
            }
            for vif, own in targets.items()
        }  # fmt: skip

    def note(self, vif: int, figures: PathFigures | None, now_s: float, wall_s: float, interval_s: float = 1.0) -> bool:
        """Whether one of its objectives is violated now."""
        is_violated = False
        for objective, account in self._of[vif].items():
            account.note(None if figures is None else measured(figures, objective), now_s, wall_s, interval_s)
            is_violated |= account.state == "violated"
        return is_violated

    def of(self, vif: int) -> Mapping[Objective, Account]:
        return self._of.get(vif, {})

    def document(self, vif: int, now_s: float) -> dict[str, Any]:
        return {objective: account.document(now_s) for objective, account in self.of(vif).items()}
