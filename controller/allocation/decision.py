"""What a tick of the loop says and wants, as values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from controller.allocation.actuator import Change, Direction
from controller.allocation.tree import BoolArray, FloatArray, IntArray


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
class Figures:
    """The same of all VIFs: arrays in the order of keys, which ascend. NaN: no statistics; enforced inf: None."""

    keys: IntArray
    offered_kbps: FloatArray
    passed_kbps: FloatArray
    dropped_kbps: FloatArray
    local_kbps: FloatArray
    limited: BoolArray
    demand_kbps: FloatArray
    allocated_kbps: FloatArray
    enforced_kbps: FloatArray


class DecisionsByVif(Mapping[int, Decision]):
    """Decisions by VIF number, made of the arrays when somebody asks: in most ticks most are not looked at."""

    __slots__ = ("_all", "figures")

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self._all: dict[int, Decision] | None = None

    def __getitem__(self, vif: int) -> Decision:
        if self._all is not None:
            return self._all[vif]
        keys = self.figures.keys
        at = int(np.searchsorted(keys, vif))
        if at == len(keys) or keys[at] != vif:
            raise KeyError(vif)
        return next(self._made(slice(at, at + 1)))

    def __iter__(self) -> Iterator[int]:
        if self._all is None:
            self._all = dict(zip(self.figures.keys.tolist(), self._made(slice(None)), strict=True))
        return iter(self._all)

    def __len__(self) -> int:
        return len(self.figures.keys)

    def _made(self, which: slice) -> Iterator[Decision]:
        seen = self.figures
        measured = (
            [None if figure != figure else figure for figure in column[which].tolist()]  # NaN alone differs from itself
            for column in (seen.offered_kbps, seen.passed_kbps, seen.dropped_kbps, seen.local_kbps)
        )
        judged = (column[which].tolist() for column in (seen.limited, seen.demand_kbps, seen.allocated_kbps))
        rates = [None if rate == np.inf else int(rate) for rate in seen.enforced_kbps[which].tolist()]
        return map(Decision, *measured, *judged, rates)


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that the loop changed, and why, in words that a network operator understands.

    what: "rate" (what the VIF is held to), "guarantee", "class NAME" (what its class may take of the uplink), "buffer",
    "queues", "cpu". before, after: kbit/s, bytes for a buffer, parts of a core for cpu; None: what the policy says.
    inputs: the figures that led to it, by name with unit ("demand_kbps").
    """

    vif: int
    direction: Direction
    what: str
    before: float | None
    after: float | None
    why: str
    inputs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decisions:
    """By VIF number. changes: in the order in which to write them. engaged: names of inner nodes the loop holds.

    enforced: what VIFs are held to that are held below their own limit, kbit/s. fault: why not every guarantee can be
    met, and what to do; the loop then shrinks all of them alike.
    """

    egress: Mapping[int, Decision]
    ingress: Mapping[int, Decision]
    changes: tuple[Change, ...]
    engaged: Mapping[Direction, frozenset[str]]
    fault: str | None = None
    enforced: Mapping[Direction, Mapping[int, int]] = field(default_factory=dict)
