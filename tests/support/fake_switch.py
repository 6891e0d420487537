"""A switch for the reconciler, with Open vSwitch's rules for meters; it can refuse and lose things on demand."""

from __future__ import annotations

from collections.abc import Sequence

from controller.dataplane.diff import Changes
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.stages import Failure, Stages


class FakeSwitch:
    """refuse: how many of the next bundles it refuses. lose: how many of the next it confirms and forgets."""

    def __init__(self, state: SwitchState | None = None, refuse: int = 0, lose: int = 0):
        state = state or SwitchState()
        self.flows, self.meters = dict(state.flows), dict(state.meters)
        self.refuse, self.lose = refuse, lose
        self.applied: list[Stages] = []

    def read(self) -> SwitchState:
        return SwitchState(dict(self.flows), dict(self.meters))

    def apply(self, stages: Stages) -> Sequence[Failure]:
        self.applied.append(stages)
        self.meters |= {**stages.meters.add, **stages.meters.modify}
        failures = self._bundle(stages.flows)
        if failures:
            return failures
        for number in stages.meters.delete:
            self._delete_meter(number)
        return ()

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
            del self.flows[key]
        self.flows |= written
        return ()

    def _delete_meter(self, number: int) -> None:
        """Open vSwitch deletes the flow entries that use it."""
        self.meters.pop(number)
        self.flows = {key: body for key, body in self.flows.items() if body.instructions.meter_id != number}


def meters(**rates_kbps: int) -> dict[int, MeterBody]:
    """meters(m1=100): by id."""
    return {int(name[1:]): MeterBody(rate, 10) for name, rate in rates_kbps.items()}
