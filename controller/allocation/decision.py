"""What a tick of the loop says and wants, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.allocation.actuator import Change, Direction


@dataclass(frozen=True, slots=True)
class Decision:
    """One VIF in one direction, kbit/s. None in what is measured: no statistics; enforced None: its own limit only.

    demand and allocated may be inf: as much as possible, and nothing bounds it.
    """

    offered_kbps: float | None
    passed_kbps: float | None
    dropped_kbps: float | None
    local_kbps: float | None  # the part of passed that crossed no link
    limited: bool
    demand_kbps: float
    allocated_kbps: float
    enforced_kbps: int | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """By VIF number. changes: in the order in which to write them. engaged: names of inner nodes the loop holds.

    fault: why not every guarantee can be met, and what to do; the loop then shrinks all of them alike.
    """

    egress: Mapping[int, Decision]
    ingress: Mapping[int, Decision]
    changes: tuple[Change, ...]
    engaged: Mapping[Direction, frozenset[str]]
    fault: str | None = None
