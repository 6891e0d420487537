"""What the loop saw and decided of every VIF in the last ticks, as arrays: a tick is one array, not objects. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.allocation.decision import Decision, DecisionsByVif
from controller.measure.path import VifPaths
from controller.runtime.tick import Tick

TICKS = 600  # ten minutes, at one tick a second
MOST_BYTES = 64 << 20  # of arrays; with more VIFs than some 2,000 the oldest ticks go earlier

RATES = ("offered_kbps", "allocated_kbps", "passed_kbps", "dropped_kbps", "enforced_kbps")
PATH = ("p50_ms", "p99_ms", "jitter_ms", "loss")
_EGRESS, _INGRESS, _PATH = 0, len(RATES), 2 * len(RATES)
_WIDTH = 2 * len(RATES) + len(PATH)
_FIRST = {"egress": _EGRESS, "ingress": _INGRESS}

Numbers = npt.NDArray[np.int64]  # of VIFs
Values = npt.NDArray[np.float32]
Seconds = npt.NDArray[np.float64]

_rates_of, _path_of = attrgetter(*RATES), attrgetter(*PATH)


@dataclass(frozen=True, slots=True)
class Frame:
    """One tick. keys: VIF numbers, ascending; values: float32[n_vifs, columns], NaN: not known."""

    number: int
    wall_s: float
    keys: Numbers
    values: Values


@dataclass(frozen=True, slots=True)
class Track:
    """One VIF, or all of them together, over the ticks. time_s: float64[n], since 1970; values: float32[n, columns]."""

    time_s: Seconds
    values: Values

    def rates(self, direction: str) -> dict[str, list[float | None]]:
        """By name in RATES; None: not known, or not bounded."""
        return _named(RATES, self.values[:, _FIRST[direction] :])

    def path(self) -> dict[str, list[float | None]]:
        """By name in PATH."""
        return _named(PATH, self.values[:, _PATH:])


class Series:
    """The newest ticks, as many as `most_ticks` and `most_bytes` allow."""

    def __init__(self, most_ticks: int = TICKS, most_bytes: int = MOST_BYTES) -> None:
        self._most_ticks, self._most_bytes = most_ticks, most_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._keys: Numbers = np.zeros(0, dtype=np.int64)

    @property
    def last(self) -> Frame | None:
        return self._frames[-1] if self._frames else None

    def add(self, tick: Tick) -> None:
        """A millisecond with 1,000 VIFs."""
        egress, ingress = tick.decisions.egress, tick.decisions.ingress
        keys = _keys(egress)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        if np.array_equal(keys, self._keys):
            keys = self._keys  # the same array in all ticks that have the same VIFs
        self._keys = keys
        values = np.full((len(keys), _WIDTH), np.nan, dtype=np.float32)
        if len(keys):
            values[:, _EGRESS:_INGRESS] = _table(egress)[order]
            values[:, _INGRESS:_PATH] = _table(ingress)[np.argsort(_keys(ingress), kind="stable")]
            _fill_paths(values, keys, tick.paths)
        self._push(Frame(tick.number, tick.wall_s, keys, values))

    def of(self, vif: int, since_s: float = 0.0) -> Track:
        """Of the ticks that knew the VIF, from that time on."""
        times, rows = [], []
        for frame in self._frames:
            if frame.wall_s >= since_s and (row := _row(frame, vif)) is not None:
                times.append(frame.wall_s)
                rows.append(row)
        return _track(times, rows)

    def means(self, first: int, last: int, vifs: Numbers) -> Values:
        """float32[len(vifs), columns]: of each VIF, the mean over the ticks numbered first to last that know it."""
        total = np.zeros((len(vifs), _WIDTH))
        times = np.zeros((len(vifs), _WIDTH))
        for frame in reversed(self._frames):
            if frame.number < first:
                break
            if frame.number <= last and len(frame.keys):
                position = np.minimum(np.searchsorted(frame.keys, vifs), len(frame.keys) - 1)
                rows = frame.values[position]
                known = np.isfinite(rows) & (frame.keys[position] == vifs)[:, np.newaxis]
                total += np.where(known, rows, 0.0)
                times += known
        return np.divide(total, times, out=np.full_like(total, np.nan), where=times > 0).astype(np.float32)

    def total(self, since_s: float = 0.0) -> Track:
        """Of all VIFs together: sums of rates, and of latency, jitter and loss the worst."""
        times, rows = [], []
        for frame in self._frames:
            if frame.wall_s >= since_s:
                times.append(frame.wall_s)
                rows.append(_together(frame.values))
        return _track(times, rows)

    def _push(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._bytes += frame.values.nbytes
        while len(self._frames) > self._most_ticks or (self._bytes > self._most_bytes and len(self._frames) > 1):
            self._bytes -= self._frames.popleft().values.nbytes


def shown(row: Values, direction: str) -> dict[str, float | None]:
    """The rates of a direction, and the path's figures, of one row of columns."""
    first = _FIRST[direction]
    columns = zip((*RATES, *PATH), (*row[first : first + len(RATES)].tolist(), *row[_PATH:].tolist()), strict=True)
    return {name: _known(value) for name, value in columns}


def _keys(decisions: Mapping[int, Decision]) -> Numbers:
    if isinstance(decisions, DecisionsByVif):
        return decisions.figures.keys
    return np.fromiter(decisions, dtype=np.int64, count=len(decisions))


def _table(decisions: Mapping[int, Decision]) -> Values:
    """float32[n_vifs, RATES], in the order of _keys."""
    if isinstance(decisions, DecisionsByVif):
        return np.column_stack([getattr(decisions.figures, name) for name in RATES]).astype(np.float32)
    return np.array(list(map(_rates_of, decisions.values())), dtype=np.float32)  # None becomes NaN


def _fill_paths(values: Values, keys: Numbers, paths: Mapping[int, VifPaths]) -> None:
    if not paths:
        return
    there = np.fromiter(paths, dtype=np.int64, count=len(paths))
    figures = np.array([_path_of(path.whole) for path in paths.values()], dtype=np.float32)
    position = np.minimum(np.searchsorted(keys, there), len(keys) - 1)
    known = keys[position] == there
    values[position[known], _PATH:] = figures[known]


def _row(frame: Frame, vif: int) -> Values | None:
    position = int(np.searchsorted(frame.keys, vif))
    found = position < len(frame.keys) and frame.keys[position] == vif
    return frame.values[position] if found else None


def _together(values: Values) -> Values:
    """float32[columns] from float32[n_vifs, columns]; what no VIF knows stays unknown."""
    result: Values = np.full(_WIDTH, np.nan, dtype=np.float32)
    finite = np.where(np.isfinite(values), values, np.nan)
    known = np.isfinite(values).any(axis=0)
    rates = known.copy()
    rates[_PATH:] = False
    paths = known & ~rates
    result[rates] = np.nansum(finite[:, rates], axis=0)
    result[paths] = np.nanmax(finite[:, paths], axis=0) if paths.any() else np.nan
    return result


def _track(times: Sequence[float], rows: Sequence[Values]) -> Track:
    values = np.array(rows, dtype=np.float32).reshape(len(rows), _WIDTH)
    return Track(np.array(times, dtype=np.float64), values)


def _named(names: Sequence[str], values: Values) -> dict[str, list[Any]]:
    return {name: [_known(one) for one in values[:, column].tolist()] for column, name in enumerate(names)}


def _known(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
