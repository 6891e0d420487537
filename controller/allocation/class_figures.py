"""What the traffic classes of each VIF offer, send, lose and have waiting: from the counters of their queues. Pure.

A class whose counters fell was made anew: its rates are unknown until the next sample, its totals go on. They also go
on after samples that did not name it, as while its queue is being made anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from controller.allocation.actuator import Direction
from controller.allocation.counters import aligned
from controller.measure.counted import Counted, merged, nothing

_KBIT_PER_BYTE = 8 / 1000
_FULL_FRAME_BYTES = 1514.0  # taken for the mean size while nothing is sent that would show it
_SENT, _PACKETS, _DROPPED, _WAITING = range(4)  # columns
_UNKNOWN = [nan] * 4
_NOTHING = nothing(4)
_LONGEST_WINDOW_S = 60.0  # of a rate; what is older says nothing of now
_NARROW, _OVER = [_PACKETS, _DROPPED], 2.0**31  # columns of 32 bits: one that falls by so much has run over

ClassOfQueue = tuple[Direction, str]  # direction and name of a traffic class


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class of a VIF in one direction. None: not known yet, or no more. Totals: since this controller first saw the
    class."""

    offered_kbps: float | None
    passed_kbps: float | None
    dropped_kbps: float | None
    backlog_bytes: int | None
    passed_bytes: int
    dropped_packets: int


@dataclass(frozen=True, slots=True, eq=False)
class _Queues:
    """Of one class. now: what the last sample named. last: what was read last, of all that were ever named.

    rate: float64[n, 4] in the order of now.keys, per second, NaN: unknown. total: in that of last.keys.
    """

    now: Counted
    time_s: float
    rate: NDArray[np.float64]
    last: Counted
    total: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ClassState:
    """What one host has said of the classes of its VIFs up to now."""

    queues: Mapping[ClassOfQueue, _Queues] = field(default_factory=dict)


def after(state: ClassState, read: Mapping[ClassOfQueue, Counted], time_s: float) -> ClassState:
    """With one more sample. read: bytes and packets sent, packets dropped, bytes that wait; time_s: the host's clock.

    A sample that is not younger than the last says nothing new of the queues that it names.
    """
    named = {**dict.fromkeys(state.queues, _NOTHING), **read}
    return ClassState({key: _after(state.queues.get(key), rows, time_s) for key, rows in named.items()})


def keep(state: ClassState, vifs: Collection[int]) -> ClassState:
    """Forgets all others."""
    known = np.array(sorted(vifs), dtype=np.int64)
    return ClassState({key: _of(queues, known) for key, queues in state.queues.items()})


def _of(queues: _Queues, vifs: NDArray[np.int64]) -> _Queues:
    named, known = np.isin(queues.now.keys, vifs), np.isin(queues.last.keys, vifs)
    if named.all() and known.all():
        return queues
    now = Counted(queues.now.keys[named], queues.now.value[named])
    last = Counted(queues.last.keys[known], queues.last.value[known])
    return replace(queues, now=now, rate=queues.rate[named], last=last, total=queues.total[known])


def _after(before: _Queues | None, now: Counted, time_s: float) -> _Queues:
    value = now.value.astype(np.float64)
    if before is None:
        return _Queues(now, time_s, np.full_like(value, np.nan), now, value)
    window_s = time_s - before.time_s
    if -_LONGEST_WINDOW_S < window_s <= 0:
        return before
    gain = value - before.last.of(now.keys)
    narrow = gain[:, _NARROW]
    gain[:, _NARROW] = np.where(narrow < -_OVER, narrow + 2 * _OVER, narrow)
    anew = (gain[:, :_WAITING] < 0).any(axis=1, keepdims=True)
    was_named = np.isin(now.keys, before.now.keys)[:, np.newaxis]
    fresh = ~anew & was_named & (0 < window_s <= _LONGEST_WINDOW_S)
    rate = np.where(fresh, gain / window_s if window_s else np.nan, np.nan)
    last = merged(before.last, now)
    total = aligned(before.last.keys, last.keys, before.total, np.zeros((len(last.keys), value.shape[1])))
    total[np.searchsorted(last.keys, now.keys)] += np.where(anew | np.isnan(gain), value, gain)
    return _Queues(now, time_s, rate, last, total)


def figures(state: ClassState, vif: int, is_stale: bool = False) -> dict[Direction, dict[str, ClassFigures]]:
    """By direction and class; without those of which the host has said nothing.

    is_stale: it has said it too long ago to tell how things are now.
    """
    found: dict[Direction, dict[str, ClassFigures]] = {"egress": {}, "ingress": {}}
    for (direction, name), queues in state.queues.items():
        keys = queues.now.keys
        at = int(np.searchsorted(keys, vif))
        if at < len(keys) and keys[at] == vif:
            waiting = None if is_stale else int(queues.now.value[at, _WAITING])
            rate = _UNKNOWN if is_stale else queues.rate[at].tolist()
            total = queues.total[int(np.searchsorted(queues.last.keys, vif))].tolist()
            found[direction][name] = _figures(rate, total, waiting)
    return found


def _figures(rate: list[float], total: list[float], waiting_bytes: int | None) -> ClassFigures:
    sent, packets, dropped, growth = rate
    passed_bytes, dropped_packets = int(total[_SENT]), int(total[_DROPPED])
    if isnan(sent):
        return ClassFigures(None, None, None, waiting_bytes, passed_bytes, dropped_packets)
    lost = dropped * (sent / packets if packets > 0 else _FULL_FRAME_BYTES)
    offered = max(sent + lost + growth, 0.0)
    offered_kbps, passed_kbps, dropped_kbps = (one * _KBIT_PER_BYTE for one in (offered, sent, lost))
    return ClassFigures(offered_kbps, passed_kbps, dropped_kbps, waiting_bytes, passed_bytes, dropped_packets)
