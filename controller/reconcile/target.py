"""What the reconciler needs of a switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from controller.dataplane.entries import SwitchState
from controller.dataplane.stages import Failure, Stages


class Target(Protocol):
    """One switch. Both methods wait for it, and raise what they like when it is lost: nothing is then known."""

    def read(self) -> SwitchState:
        """What is ours in it: flow entries whose cookie has our tag, meters of our range. Others' are never shown."""

    def apply(self, stages: Stages) -> Sequence[Failure]:
        """Makes the changes stage by stage, stops after one that fails. What the switch refused; empty: nothing."""
