"""One tick of the loop, as those see it who act on it or remember it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.allocation.counters import CounterState
from controller.allocation.decision import Decisions
from controller.allocation.samples import VifCounters
from controller.measure.path import VifPaths
from controller.world.desired import World


@dataclass(frozen=True, slots=True)
class Tick:
    """at_s: our monotonic clock. wall_s: seconds since 1970. By VIF number: counters as they were read, paths where
    probes were sent. interval_s: how far apart ticks were meant to be up to this one."""

    number: int
    at_s: float
    wall_s: float
    world: World
    counters: Mapping[int, VifCounters]
    decisions: Decisions
    paths: Mapping[int, VifPaths]
    counted: CounterState | None = None  # the same counters, as arrays
    interval_s: float = 1.0
