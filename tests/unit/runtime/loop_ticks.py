"""Ticks of a loop, as those see them who remember them."""

from __future__ import annotations

from collections.abc import Mapping

from controller.allocation.actuator import Change
from controller.allocation.counters import CounterState
from controller.allocation.decision import Decision, Decisions
from controller.measure.path import PathFigures, VifPaths
from controller.runtime.tick import Tick
from controller.world.desired import World
from tests.unit.runtime.runtime_worlds import vif, world

WALL_S = 1_000_000.0
ACME = world(vif(1, "acme/web"), vif(2, "acme/free"), vif(3, "other"))


def decision(
    offered: float | None = 0.0,
    passed: float | None = 0.0,
    allocated: float = 0.0,
    enforced: int | None = None,
    dropped: float | None = 0.0,
) -> Decision:
    return Decision(offered, passed, dropped, passed, False, float("inf"), allocated, enforced)


NOTHING = decision()


def tick(  # noqa: PLR0913 (a parameter is a part of a tick)
    number: int,
    egress: Mapping[int, Decision],
    ingress: Mapping[int, Decision] | None = None,
    *,
    changes: tuple[Change, ...] = (),
    engaged: tuple[str, ...] = (),
    p99_ms: Mapping[int, float] | None = None,
    of: World = ACME,
    counted: CounterState | None = None,
    fault: str | None = None,
) -> Tick:
    """One a second. ingress: nothing, unless given. engaged: of egress."""
    both = {"egress": frozenset(engaged), "ingress": frozenset[str]()}
    decisions = Decisions(egress, ingress or dict.fromkeys(egress, NOTHING), changes, both, fault)  # type: ignore[arg-type]
    paths = {vif: VifPaths(PathFigures(p99 / 2, p99, p99 / 10, 0.25, 10, 10.0)) for vif, p99 in (p99_ms or {}).items()}
    return Tick(number, float(number), WALL_S + number, of, {}, decisions, paths, counted)
