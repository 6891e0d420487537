"""A switch for the reconciler, with Open vSwitch's rules for meters; it can refuse and lose things on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from controller.dataplane.diff import Changes
from controller.dataplane.entries import NOTHING, FlowBody, FlowKey, Meter, MeterBody, SwitchState
from controller.dataplane.stages import Failure, Stages

K = TypeVar("K")
V = TypeVar("V")


class FakeSwitch:
    """refuse: how many of the next bundles it refuses. lose: how many of the next it confirms and forgets."""

    def __init__(self, state: SwitchState | None = None, refuse: int = 0, lose: int = 0):
        state = state or SwitchState()
        self.flows, self.meters = dict(state.flows), dict(state.meters)
        self.refuse, self.lose = refuse, lose
        self.applied: list[Stages] = []

    def read(self, wanted: SwitchState = NOTHING) -> SwitchState:
        return SwitchState(dict(self.flows), dict(self.meters))

    def look(self, stages: Stages) -> SwitchState:
        flows = {key for changes in _kinds(stages.flows) for key in changes}
        meters = {number for changes in _kinds(stages.meters) for number in changes}
        return SwitchState(
            {key: body for key, body in self.flows.items() if key in flows},
            {number: body for number, body in self.meters.items() if number in meters},
        )

    def apply(self, stages: Stages) -> Sequence[Failure]:
        self.applied.append(stages)
        failures = self._meters_first(stages.meters) or self._bundle(stages.flows)
        if failures:
            return failures
        for number in stages.meters.delete:
            self._delete_meter(number)
        return ()

    def _meters_first(self, changes: Changes[int, Meter]) -> Sequence[Failure]:
        failures = [Failure(number, "it is there already") for number in changes.add if number in self.meters]
        failures += [Failure(number, "unknown meter") for number in changes.modify if number not in self.meters]
        refused = {failure.key for failure in failures}
        written = {**changes.add, **changes.modify}
        self.meters |= {number: body for number, body in written.items() if number not in refused}
        return failures

    def _bundle(self, changes: Changes[FlowKey, FlowBody]) -> Sequence[Failure]:
        written = {**changes.add, **changes.modify}
        missing = [
            Failure(key, "no such meter")
            for key, body in written.items()
            if body.instructions.meter_id not in (None, *self.meters)
        ]
        if missing or self.refuse:
            self.refuse = max(0, self.refuse - 1)
            return missing or (Failure(None, "table full"),)
        if self.lose:
            self.lose -= 1
            return ()
        for key in changes.delete:
            self.flows.pop(key, None)
        self.flows |= written
        return ()

    def _delete_meter(self, number: int) -> None:
        """Open vSwitch deletes the flow entries that use it."""
        self.meters.pop(number, None)
        self.flows = {key: body for key, body in self.flows.items() if body.instructions.meter_id != number}


def _kinds(changes: Changes[K, V]) -> tuple[Mapping[K, V], ...]:
    return changes.add, changes.modify, changes.delete


def meters(**rates_kbps: int) -> dict[int, MeterBody]:
    """meters(m1=100): by id."""
    return {int(name[1:]): MeterBody(rate, 10) for name, rate in rates_kbps.items()}
