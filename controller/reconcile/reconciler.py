"""Brings a switch to what it should hold: look, change only what differs, look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.dataplane.entries import SwitchState
from controller.dataplane.stages import Failure, Stages, stages
from controller.reconcile.retry import BackOff
from controller.reconcile.target import Target

_WHOLE_IS_CHEAPER = 4  # to look at so many entries one by one costs as much as to read all


@dataclass(frozen=True, slots=True)
class Outcome:
    """in_sync: the switch was read after the last change and holds what it should. retry_at_s: None when in sync.

    read_whole: not only what was changed.
    """

    in_sync: bool
    changes: Stages = field(default_factory=Stages)
    failures: Sequence[Failure] = ()
    retry_at_s: float | None = None
    read_whole: bool = True


class Reconciler:
    """One switch's. It remembers what the switch was found to hold, and how often it has failed in a row."""

    def __init__(self, target: Target):
        self._target = target
        self._back_off = BackOff()
        self._known: SwitchState | None = None

    def reconcile(self, desired: SwitchState, now_s: float) -> Outcome:
        """Reads the whole switch, and again when something had to be changed.

        Raises what the target raises; whatever has happened by then, the next call starts from what is there.
        """
        self._known = None
        changes = stages(desired, self._target.read(desired))
        if not changes:
            self._back_off = BackOff()
            self._known = desired
            return Outcome(in_sync=True)
        failures = tuple(self._target.apply(changes))
        leftover = stages(desired, self._target.read(desired))  # sent is not done: look again
        self._back_off = self._back_off.after(bool(leftover))
        self._known = None if leftover else desired
        return Outcome(not leftover, changes, failures, self._back_off.retry_at_s(now_s))

    def advance(self, desired: SwitchState, now_s: float) -> Outcome:
        """The same in time that follows the size of the change: from what the switch held when it was last looked at,
        and looking again only at what was changed. At the least doubt the whole switch is read.

        Somebody else's edits are found by `reconcile` alone.
        """
        known, self._known = self._known, None
        if known is None:
            return self.reconcile(desired, now_s)
        changes = stages(desired, known)
        if _size(changes) * _WHOLE_IS_CHEAPER > len(desired.flows):
            return self.reconcile(desired, now_s)
        if changes:
            failures = self._target.apply(changes)
            if failures or stages(_written(changes), self._target.look(changes)):
                return self.reconcile(desired, now_s)
        self._known, self._back_off = desired, BackOff()
        return Outcome(True, changes, read_whole=False)

    def assume(self, state: SwitchState | None) -> None:
        """For who has changed the switch past this: what it holds now; None: who knows."""
        self._known = state


def _size(changes: Stages) -> int:
    flows = changes.flows
    return len(flows.add) + len(flows.modify) + len(flows.delete)


def _written(changes: Stages) -> SwitchState:
    """What the switch should hold of what was touched."""
    flows, meters = changes.flows, changes.meters
    return SwitchState({**flows.add, **flows.modify}, {**meters.add, **meters.modify})
