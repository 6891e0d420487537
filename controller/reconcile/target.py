"""What the reconciler needs of a switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from controller.dataplane.entries import SwitchState
from controller.dataplane.stages import Failure, Stages


class Target(Protocol):
    """One switch. Every method waits for it, and raises what it likes when it is lost: nothing is then known."""

    def read(self, wanted: SwitchState) -> SwitchState:
        """All that is ours in it: flow entries whose cookie has our tag, meters of our range. Others' are never shown.

        What is as `wanted` has it may be given as the objects of `wanted`.
        """

    def look(self, stages: Stages) -> SwitchState:
        """What is in it of the entries and meters that the stages add, change or delete."""

    def apply(self, stages: Stages) -> Sequence[Failure]:
        """Makes the changes stage by stage, stops after one that fails. What the switch refused; empty: nothing."""
