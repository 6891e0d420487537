"""Brings a switch to what it should hold: look, change only what differs, look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from controller.dataplane.diff import Changes
from controller.dataplane.entries import SwitchState
from controller.dataplane.stages import Failure, Stages, stages
from controller.reconcile.retry import BackOff
from controller.reconcile.target import Target

K = TypeVar("K")
V = TypeVar("V")

_WHOLE_IS_CHEAPER = 4  # to look at so many entries one by one costs as much as to read all
_MOST_ATTEMPTS = 4  # remembered of those whose end is not known: the last


@dataclass(frozen=True, slots=True)
class Outcome:
    """in_sync: the switch was read after the last change and holds what it should. retry_at_s: None when in sync.

    read_whole: not only what was changed. drift: what of `changes` mends somebody else's edits, see `Reconciler`.
    """

    in_sync: bool
    changes: Stages = field(default_factory=Stages)
    failures: Sequence[Failure] = ()
    retry_at_s: float | None = None
    read_whole: bool = True
    drift: Stages = field(default_factory=Stages)


class Reconciler:
    """One switch's. It remembers what the switch was found to hold, and how often it has failed in a row.

    A change that does not follow from what was wanted before and is wanted now is drift: somebody else's doing.
    held: what the switch held when somebody before this looked last; None: nobody knows, so nothing is drift at first.
    attempted: what was written since, by whom never saw whether it is in force: what follows from that is no drift.
    """

    def __init__(self, target: Target, held: SwitchState | None = None, attempted: Sequence[SwitchState] = ()):
        self._target = target
        self._back_off = BackOff()
        self._known: SwitchState | None = None
        self._held, self._attempted = held, tuple(attempted)

    @property
    def held(self) -> SwitchState | None:
        """What the switch was found to hold last; None: it is in doubt."""
        return self._held

    @property
    def attempted(self) -> Sequence[SwitchState]:
        """What was written since the switch was last found to hold what it should."""
        return self._attempted

    def reconcile(self, desired: SwitchState, now_s: float) -> Outcome:
        """Reads the whole switch, and again when something had to be changed.

        Raises what the target raises; whatever has happened by then, the next call starts from what is there.
        """
        self._known = None
        changes = stages(desired, self._target.read(desired))
        if not changes:
            self._back_off = BackOff()
            self.assume(desired)
            return Outcome(in_sync=True)
        drift = Stages()
        if self._held is not None:
            drift = unexplained(changes, [stages(desired, one) for one in (self._held, *self._attempted)])
        self.attempt(desired)
        failures = tuple(self._target.apply(changes))
        leftover = stages(desired, self._target.read(desired))  # sent is not done: look again
        self._back_off = self._back_off.after(bool(leftover))
        if not leftover:
            self.assume(desired)
        return Outcome(not leftover, changes, failures, self._back_off.retry_at_s(now_s), drift=drift)

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
            self.attempt(desired)
            failures = self._target.apply(changes)
            if failures or stages(_written(changes), self._target.look(changes)):
                return self.reconcile(desired, now_s)
        self.assume(desired)
        self._back_off = BackOff()
        return Outcome(True, changes, read_whole=False)

    def attempt(self, state: SwitchState) -> None:
        """This is written now, here or past this: until `assume`, nobody knows what the switch holds."""
        self._known = self._held = None
        if not self._attempted or self._attempted[-1] is not state:
            self._attempted = (*self._attempted, state)[-_MOST_ATTEMPTS:]

    def assume(self, state: SwitchState) -> None:
        """The switch holds this now."""
        self._known = self._held = state
        self._attempted = ()


def unexplained(changes: Stages, expected: Sequence[Stages]) -> Stages:
    """What of the changes touches entries and meters that none of the expected would have changed."""
    for one in expected:
        changes = Stages(_unexpected(changes.flows, one.flows), _unexpected(changes.meters, one.meters))
    return changes


def _unexpected(changes: Changes[K, V], expected: Changes[K, V]) -> Changes[K, V]:
    known = expected.add.keys() | expected.modify.keys() | expected.delete.keys()
    return Changes(
        *(
            {key: body for key, body in part.items() if key not in known}
            for part in (changes.add, changes.modify, changes.delete)
        )
    )


def _size(changes: Stages) -> int:
    flows = changes.flows
    return len(flows.add) + len(flows.modify) + len(flows.delete)


def _written(changes: Stages) -> SwitchState:
    """What the switch should hold of what was touched."""
    flows, meters = changes.flows, changes.meters
    return SwitchState({**flows.add, **flows.modify}, {**meters.add, **meters.modify})
