"""What the loop did and why: every tick's figures for some minutes, every change with its reason and effect for longer.

In the controller's memory: a restart forgets it. Pure; the clock is the ticks'.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from controller.allocation.decision import Move
from controller.runtime.reasons import Reasons
from controller.runtime.series import Frame, Series, Values, shown
from controller.runtime.tick import Tick
from ovsdb.rows import VirtualInterface

KEPT_OF_ONE, KEPT = 300, 50_000  # changes: of one VIF, of all (some 1 KB each)
TOLD_OF_ALL = 1000  # changes at once: nothing else runs while they are written out, and of all it would be for a second
EFFECT_FROM, EFFECT_TO = 2, 4  # an effect is the mean of these ticks after a change; the next one still is a mixture


class Unknown(LookupError):
    """Nothing is known of a VIF of this name."""


@dataclass(slots=True)
class Entry:
    """One change of one VIF. after: what was seen after it, once that is known."""

    tick: int
    time_s: float
    name: str
    policy: str
    move: Move
    after: Values | None = None


class History:
    """`remember` is told of every tick; the rest answers questions."""

    def __init__(self, interval_s: float, vifs: Callable[[], Mapping[str, VirtualInterface]] = dict) -> None:
        """interval_s: until the first tick says what is in force. vifs: those that there are now, by name: also such as
        no tick knows yet."""
        self._interval_s, self._vifs = interval_s, vifs
        self._series = Series()
        self._entries: OrderedDict[str, deque[Entry]] = OrderedDict()  # by name of VIF, the last changed at the end
        self._kept = 0
        self._pending: deque[list[Entry]] = deque()  # by tick, whose effects are not known yet
        self.last: Tick | None = None
        self.changed: Counter[tuple[str, str]] = Counter()  # how often ever, by what and direction

    def remember(self, tick: Tick, moves: Sequence[Move]) -> None:
        self._series.add(tick)
        self.last, self._interval_s = tick, tick.interval_s
        entries = list(_entries(tick, [*_moves(tick), *moves]))
        for entry in entries:
            self._keep(entry)
        if entries:
            self._pending.append(entries)
        while self._pending and self._pending[0][0].tick + EFFECT_TO <= tick.number:
            self._see(self._pending.popleft())

    @property
    def frame(self) -> Frame | None:
        """The last tick's figures."""
        return self._series.last

    def history(self, name: str | None = None, since_s: float | None = None) -> Mapping[str, Any]:
        """Changes of a VIF, or the newest of all, the oldest first. since_s: only of the last so many seconds.

        `truncated`: whether there were more. Raises Unknown.
        """
        from_s = self._from_s(since_s)
        entries = [one for one in (self._all() if name is None else self._of(name)) if one.time_s >= from_s]
        truncated = name is None and len(entries) > TOLD_OF_ALL
        if name is None:
            entries = sorted(entries, key=attrgetter("time_s"))[-TOLD_OF_ALL:]
        return {
            "vif": name,
            "interval_s": self._interval_s,
            "truncated": truncated,
            "changes": list(map(_document, entries)),
        }

    def series(self, name: str | None = None, since_s: float | None = None) -> Mapping[str, Any]:
        """Figures of each tick of a VIF, or of all together. Raises Unknown."""
        from_s = self._from_s(since_s)
        vif = None if name is None else self._vif(name)
        track = self._series.total(from_s) if vif is None else self._series.of(vif.number, from_s)
        return {
            "vif": name,
            "policy": vif and vif.policy,
            "interval_s": self._interval_s,
            "time": [round(time_s, 3) for time_s in track.time_s.tolist()],
            "egress": track.rates("egress"),
            "ingress": track.rates("ingress"),
            "path": track.path(),
        }

    def _keep(self, entry: Entry) -> None:
        entries = self._entries.setdefault(entry.name, deque())
        entries.append(entry)
        self._entries.move_to_end(entry.name)
        self.changed[entry.move.what.partition(" ")[0], entry.move.direction] += 1
        self._kept += 1
        if len(entries) > KEPT_OF_ONE:
            entries.popleft()
            self._kept -= 1
        while self._kept > KEPT:
            oldest = next(iter(self._entries.values()))
            oldest.popleft()
            self._kept -= 1
            if not oldest:
                self._entries.popitem(last=False)

    def _see(self, entries: Sequence[Entry]) -> None:
        vifs = np.array([entry.move.vif for entry in entries], dtype=np.int64)
        tick = entries[0].tick
        rows = self._series.means(tick + EFFECT_FROM, tick + EFFECT_TO, vifs)
        for entry, row in zip(entries, rows, strict=True):
            entry.after = row

    def _of(self, name: str) -> Iterable[Entry]:
        if name not in self._entries:
            self._vif(name)
        return self._entries.get(name, ())

    def _all(self) -> Iterator[Entry]:
        for entries in self._entries.values():
            yield from entries

    def _vif(self, name: str) -> VirtualInterface:
        seen = self.last.world.snapshot.interfaces.get(name) if self.last is not None else None
        found = seen or self._vifs().get(name)
        if found is None:
            raise Unknown(f"the loop knows no VIF '{name}'. See weir vif list.")
        return found

    def _from_s(self, since_s: float | None) -> float:
        return self.last.wall_s - since_s if since_s is not None and self.last is not None else -math.inf


def _moves(tick: Tick) -> Iterator[Move]:
    """The changes of rates, with their reasons."""
    if tick.decisions.changes:
        reasons = Reasons(tick.world, tick.decisions)
        yield from (move for change in tick.decisions.changes if (move := reasons.move(change)) is not None)


def _entries(tick: Tick, moves: Sequence[Move]) -> Iterator[Entry]:
    if not moves:
        return
    vifs = {vif.number: vif for vif in tick.world.snapshot.interfaces.values()}
    for move in moves:
        if move.vif in vifs:
            yield Entry(tick.number, tick.wall_s, vifs[move.vif].name, vifs[move.vif].policy, move)


def _document(entry: Entry) -> dict[str, Any]:
    move = entry.move
    return {
        "time": round(entry.time_s, 3),
        "vif": entry.name,
        "policy": entry.policy,
        "direction": move.direction,
        "what": move.what,
        "before": move.before,
        "after": move.after,
        "why": move.why,
        "inputs": {name: _whole(value) for name, value in move.inputs.items()},
        "effect": None if entry.after is None else shown(entry.after, move.direction),
    }


def _whole(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
