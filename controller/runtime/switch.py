"""One connected switch, as keeper and loop see it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.dataplane.entries import Meter
from controller.dataplane.stages import Failure
from controller.reconcile.target import Target
from controller.runtime.sampling import SwitchSample


@dataclass(frozen=True, slots=True)
class Hits:
    """What an entry has counted since it was made."""

    packets: int
    bytes: int


class SwitchGone(RuntimeError):
    """The switch did not answer. What was asked of it may or may not have happened."""


class Switch(Target, Protocol):
    """Every call waits for the switch, letting other green threads run, and may raise SwitchGone."""

    @property
    def datapath_id(self) -> str:
        """16 hex digits."""

    def modify_meters(self, meters: Mapping[int, Meter]) -> Sequence[Failure]:
        """Changes meters that exist, in the order given; in force when this returns."""

    def sample(self) -> SwitchSample: ...

    def rule_hits(self) -> Mapping[tuple[int, int], Hits]:
        """Of the verdict tables, by table and cookie."""

    def rule_cuts(self) -> Mapping[int, int]:
        """Bytes that the meters of rules have dropped, by meter id."""

    def forget_connections(self, zones: Collection[int]) -> None:
        """What connection tracking remembers of these zones."""

    def packet_out(self, port: int, frame: bytes) -> None:
        """Sends a frame out of a port, past all tables; does not wait."""

    def flood(self, ports: Sequence[int], frame: bytes) -> None:
        """Likewise out of several."""
