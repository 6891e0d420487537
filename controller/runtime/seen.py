"""What the controller tells of its loop: the changes and their reasons, the last ticks' figures, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.allocation.decision import Move
from controller.allocation.settings import Settings
from controller.runtime.exposition import render
from controller.runtime.history import History
from controller.runtime.metrics import Around, Metrics
from controller.runtime.tick import Tick
from controller.runtime.totals import Totals
from controller.world.desired import World
from ovsdb.rows import VirtualInterface


class Seen:
    """`remember` is told of every tick."""

    def __init__(self, interval_s: float, vifs: Callable[[], Mapping[str, VirtualInterface]] = dict) -> None:
        """As of History."""
        self._history, self._totals = History(interval_s, vifs), Totals()
        self._metrics = Metrics(self._history, self._totals)
        self._world: World | None = None  # of the last tick

    @property
    def last(self) -> Tick | None:
        return self._history.last

    def remember(self, tick: Tick, moves: Sequence[Move]) -> None:
        self._history.remember(tick, moves)
        if tick.counted is not None:
            self._totals.add(tick.counted, tick.at_s - Settings().stale_after_ticks * tick.interval_s)
        if tick.world is not self._world:
            self._totals.keep({vif.number for vif in tick.world.snapshot.interfaces.values()})
            self._world = tick.world

    def history(self, vif: str | None, since_s: float | None) -> Mapping[str, Any]:
        return self._history.history(vif, since_s)

    def series(self, vif: str | None, since_s: float | None) -> Mapping[str, Any]:
        return self._history.series(vif, since_s)

    def metrics(self, around: Around) -> str:
        """As Prometheus reads them."""
        return render(self._metrics.families(around))
