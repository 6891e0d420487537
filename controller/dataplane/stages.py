"""The order in which a switch is changed, so that no entry ever lacks its meter and no packet meets half a change.

First the meters that are new or changed, then all flow entries as one bundle, then the meters that nothing uses any
more: Open vSwitch refuses an entry whose meter is missing, and deletes every entry whose meter is deleted. A meter
whose body is the same is not touched: writing it again would refill its bucket and zero its counters.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.dataplane.diff import Changes, diff
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.text import key_text


@dataclass(frozen=True, slots=True)
class Stages:
    """Stage 1: meters.add and meters.modify; 2: flows; 3: meters.delete. False when there is nothing to do."""

    flows: Changes[FlowKey, FlowBody] = field(default_factory=Changes)
    meters: Changes[int, MeterBody] = field(default_factory=Changes)

    def __bool__(self) -> bool:
        return bool(self.flows or self.meters)

    def __str__(self) -> str:
        return f"flow entries: {self.flows}; meters: {self.meters}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that the switch refused. key: of the flow entry, or the id of the meter; None: the bundle as a whole."""

    key: FlowKey | int | None
    error: str

    def __str__(self) -> str:
        if self.key is None:
            return f"the flow entries as a whole: {self.error}"
        if isinstance(self.key, int):
            return f"meter {self.key}: {self.error}"
        return f"flow entry {key_text(self.key)}: {self.error}"


def stages(desired: SwitchState, actual: SwitchState) -> Stages:
    """What leads from `actual` to `desired`."""
    return Stages(diff(desired.flows, actual.flows), diff(desired.meters, actual.meters))
