"""When a number moves: after what is measured has stood above or below a part of it for long enough. Pure.

Time counts between ticks at which the figure was known: lost ticks do not stop it, missing statistics do, and whatever
else changes the number begins it anew. A number that has moved, or could not, is looked at for as long again. Moves of
all are gathered, as what they cost is mostly the same for one and for a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

What = Literal["egress", "ingress", "buffer", "cpu"]  # of the first two, the guarantee
Target = tuple[int, What]  # VIF number
DEAD_BAND = 0.01  # part of a number: smaller moves are none, but for one that reaches a bound
GATHERED_S = 5.0  # at most so long, and no longer than its figure had to stand, a move waits since others have moved


@dataclass(frozen=True, slots=True)
class Trigger:
    """Beyond `part` of the number, for so long. aim: the number then becomes what is measured / aim."""

    part: float
    for_s: float
    aim: float


@dataclass(frozen=True, slots=True)
class Scale:
    """A number in force and how it moves: at most to `factor` times what it is, and at least to one part in `factor`.

    up.part > down.part, and both aims are within them: else it would move to and fro. Raises ValueError.
    """

    value: float
    least: float
    most: float
    up: Trigger
    down: Trigger
    factor: float = 2.0

    def __post_init__(self) -> None:
        if not (self.down.part < self.up.part and self.up.aim > self.down.part and self.down.aim < self.up.part):
            raise ValueError(f"{self} moves to and fro. Give 'up' a larger part than 'down'.")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is remembered of one number. seen_s: when the figure was last known, None: it was not the last time.

    least, most: of the figure since it has been above or below; None: it has not.
    """

    value: float
    seen_s: float | None = None
    above_s: float = 0.0
    least: float | None = None
    below_s: float = 0.0
    most: float | None = None


Memory = Mapping[Target, Watch]


@dataclass(frozen=True, slots=True)
class Wish:
    """after: where the number would move. measured: the figure that has stood for so long: its least above, its
    greatest below; inf: more than could be seen."""

    after: float
    measured: float
    trigger: Trigger

    def is_up(self, scale: Scale) -> bool:
        return self.after > scale.value

    def moves(self, scale: Scale) -> bool:
        by = abs(self.after - scale.value)
        return by > 0 and (by >= DEAD_BAND * scale.value or self.after in (scale.least, scale.most))


def step(
    memory: Memory,
    scales: Mapping[Target, Scale],
    measured: Mapping[Target, float | None],
    now_s: float,
    since_s: float = math.inf,
) -> tuple[dict[Target, Watch], dict[Target, Wish]]:
    """One tick. measured: in the number's own unit; None or absent: not known. now_s: our monotonic clock.

    since_s: how long ago there were wishes. As soon as one has waited for the others, all come; until then what is
    measured must go on to stand.
    """
    watches: dict[Target, Watch] = {}
    wishes: dict[Target, Wish] = {}
    for target, scale in scales.items():
        watch = memory.get(target)
        if watch is None or watch.value != scale.value:
            watch = Watch(scale.value)
        watch = _seen(watch, scale, measured.get(target), now_s)
        wish = (_up(watch, scale) or _down(watch, scale)) if watch.seen_s is not None else None
        watches[target] = watch
        if wish is not None and wish.moves(scale):
            wishes[target] = wish
        elif wish is not None:
            watches[target] = Watch(scale.value, now_s)
    if not any(since_s >= min(GATHERED_S, wish.trigger.for_s) for wish in wishes.values()):
        return watches, {}
    watches.update({target: Watch(scales[target].value, now_s) for target in wishes})
    return watches, wishes


def _seen(watch: Watch, scale: Scale, figure: float | None, now_s: float) -> Watch:
    if figure is None:
        return watch if watch.seen_s is None else replace(watch, seen_s=None)
    if scale.down.part * scale.value <= figure <= scale.up.part * scale.value:
        return watch if watch.least is None and watch.most is None else Watch(scale.value)
    passed_s = 0.0 if watch.seen_s is None else max(0.0, now_s - watch.seen_s)
    above_s = below_s = 0.0
    least = most = None
    if figure > scale.up.part * scale.value:
        above_s = 0.0 if watch.least is None else watch.above_s + passed_s
        least = figure if watch.least is None else min(watch.least, figure)
    elif figure < scale.down.part * scale.value:
        below_s = 0.0 if watch.most is None else watch.below_s + passed_s
        most = figure if watch.most is None else max(watch.most, figure)
    return Watch(scale.value, now_s, above_s, least, below_s, most)


def _up(watch: Watch, scale: Scale) -> Wish | None:
    if watch.least is None or watch.above_s < scale.up.for_s:
        return None
    after = min(watch.least / scale.up.aim, scale.value * scale.factor, scale.most)
    return Wish(max(after, scale.value), watch.least, scale.up)


def _down(watch: Watch, scale: Scale) -> Wish | None:
    if watch.most is None or watch.below_s < scale.down.for_s:
        return None
    after = max(watch.most / scale.down.aim, scale.value / scale.factor, scale.least)
    return Wish(min(after, scale.value), watch.most, scale.down)
