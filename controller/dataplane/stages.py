"""The order in which a switch is changed, so that no entry ever lacks its meter and no packet meets half a change.

First the meters that are new or changed, then all flow entries as one bundle, then the meters that nothing uses any
more: Open vSwitch refuses an entry whose meter is missing, and deletes every entry whose meter is deleted. A meter
whose body is the same is not touched: writing it again would refill its bucket and zero its counters. Those that become
slower are written first: what one VIF gives to another is never had by both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from controller.dataplane.actions import Action, Clone, Controller
from controller.dataplane.diff import Changes, diff
from controller.dataplane.entries import FlowBody, FlowKey, Meter, SwitchState, meter_rate
from controller.dataplane.text import key_text


@dataclass(frozen=True, slots=True)
class Stages:
    """Stage 1: meters.add, then meters.modify in its order; 2: flows; 3: meters.delete. False when there is none."""

    flows: Changes[FlowKey, FlowBody] = field(default_factory=Changes)
    meters: Changes[int, Meter] = field(default_factory=Changes)

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
    """What leads from `actual` to `desired`.

    A Controller action keeps what its meter was when the entry was written: of a meter that was deleted meanwhile it
    neither disappears nor knows the new one, and Open vSwitch gives it a stranger's. So entries with such an action are
    written again with their meter.
    """
    flows, meters = diff(desired.flows, actual.flows), diff(desired.meters, actual.meters)
    if meters.add:
        stale = {
            key: body
            for key, body in desired.flows.items()
            if body.instructions.apply
            and key in actual.flows
            and not meters.add.keys().isdisjoint(_meters_of_copies(body.instructions.apply))
        }
        flows = replace(flows, modify={**flows.modify, **stale})
    return Stages(flows, replace(meters, modify=decreases_first(actual.meters, meters.modify)))


def decreases_first(old: Mapping[int, Meter], new: Mapping[int, Meter]) -> dict[int, Meter]:
    """What differs of the meters that both have, in the order in which to write it."""
    if old is new:
        return {}
    changed = [
        (meter_rate(body) > meter_rate(old[number]), number)
        for number, body in new.items()
        if old.get(number, body) != body
    ]
    return {number: new[number] for _, number in sorted(changed)}


def _meters_of_copies(actions: Iterable[Action]) -> Iterator[int]:
    for action in actions:
        if isinstance(action, Controller):
            yield action.meter_id
        elif isinstance(action, Clone):
            yield from _meters_of_copies(action.actions)
