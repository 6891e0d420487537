"""Brings a switch to what it should hold: look, change only what differs, look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.dataplane.entries import SwitchState
from controller.dataplane.stages import Failure, Stages, stages
from controller.reconcile.retry import BackOff
from controller.reconcile.target import Target


@dataclass(frozen=True, slots=True)
class Outcome:
    """in_sync: the switch was read after the last change and holds what it should. retry_at_s: None when in sync."""

    in_sync: bool
    changes: Stages = field(default_factory=Stages)
    failures: Sequence[Failure] = ()
    retry_at_s: float | None = None


class Reconciler:
    """One switch's. It remembers nothing but how often it has failed in a row."""

    def __init__(self, target: Target):
        self._target = target
        self._back_off = BackOff()

    def reconcile(self, desired: SwitchState, now_s: float) -> Outcome:
        """Raises what the target raises; whatever has happened by then, the next call starts from what is there."""
        changes = stages(desired, self._target.read())
        if not changes:
            self._back_off = BackOff()
            return Outcome(in_sync=True)
        failures = tuple(self._target.apply(changes))
        leftover = stages(desired, self._target.read())  # sent is not done: look again
        self._back_off = self._back_off.after(bool(leftover))
        return Outcome(not leftover, changes, failures, self._back_off.retry_at_s(now_s))
