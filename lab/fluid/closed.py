"""The plant with the real loop around it. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from controller.allocation.decision import Decisions, DecisionsByVif, Figures
from controller.allocation.loop import advance, initial, with_network
from controller.allocation.samples import Readings
from controller.allocation.settings import Settings
from controller.allocation.tree import BoolArray, FloatArray
from lab.fluid.plant import Passed, Plant, Scene
from lab.fluid.telemetry import Telemetry, Troubles


@dataclass(frozen=True, slots=True)
class Ticked:
    """passed: while the rates of the ticks before were in force. decisions: what was then seen and decided."""

    passed: Passed
    decisions: Decisions

    def figures(self, direction: str) -> Figures:
        found = self.decisions.egress if direction == "egress" else self.decisions.ingress
        assert isinstance(found, DecisionsByVif)
        return found.figures


class ClosedLoop:
    """delay_ticks: how long a rate is under way until it is in force."""

    def __init__(
        self,
        scene: Scene,
        delay_ticks: int = 0,
        settings: Settings | None = None,
        base: FloatArray | None = None,
    ) -> None:
        self.plant = Plant(scene)
        self.telemetry = Telemetry(self.plant, base)
        self.settings = settings or Settings()
        self.present = np.ones(len(scene.numbers), dtype=np.bool_)
        self.state = initial(scene.network(), self.settings)
        self._under_way: deque[tuple[FloatArray, FloatArray]] = deque()
        self._delay_ticks = delay_ticks

    def come_and_go(self, present: BoolArray) -> None:
        """Which VIFs there are from now on; those that are not send nothing."""
        self.present = present
        self.state = with_network(self.state, self.plant.scene.network(present))

    def tick(self, troubles: Troubles | None = None) -> Ticked:
        passed = self.plant.run(self.settings.interval_s)
        read = self.telemetry.read(troubles or Troubles.none(len(self.present)))
        here = Readings(read.value[self.present], read.time_s[self.present])
        now_s = self.plant.time_s + self.telemetry.loop_s
        self.state, decisions = advance(self.state, here, now_s)
        self._under_way.append(
            (self._all(self.state.egress.enforced_kbps), self._all(self.state.ingress.enforced_kbps))
        )
        if len(self._under_way) > self._delay_ticks:
            self.plant.enforce(*self._under_way.popleft())
        return Ticked(passed, decisions)

    def _all(self, of_present: FloatArray) -> FloatArray:
        found = np.full(len(self.present), np.inf)
        found[self.present] = of_present
        return found
