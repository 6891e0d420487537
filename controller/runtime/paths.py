"""What the probes of all hosts say of each VIF's way, over a window that is longer where they come seldom."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from controller.measure.path import LEAST, PathFigures, VifPaths
from controller.measure.sketch import count, merged, quantile_ms
from controller.stream.messages import HostSample, PathSample
from controller.world.desired import World

WINDOW_S, LONGEST_S = 10.0, 60.0  # the latter for who is probed often: for others it is ...
LONGEST_TURNS, MOST_S = 5.0, 3600.0  # ... of so many probes of a class, but no more than this
ENOUGH = 20  # probes: with so many the window is no longer than WINDOW_S
LATELY_S = 3.0
OFTEN_S, SELDOM_S = 1.0, 20.0  # between looks at what is too old by now, where probes are many, and few

_SILENT = "it has never answered a probe (ARP, or neighbour discovery where it has no IPv4 address)"
_DOWN = "its link is down: the instance does not run, or its end of the link is down"
_UNANSWERED = (
    "the instance does not answer, though all queues of this host let the probes pass; or answers are lost in its own "
    "full shaper. What it does not answer is not held against its objectives unless its shaper is full"
)
MUCH = 0.5  # of the probes unanswered: that is said

Past = deque[tuple[float, PathSample]]  # of one class: when it came, the newest last


@dataclass(frozen=True, slots=True)
class _Known:
    paths: VifPaths
    until_s: float  # then it is looked at again, though nothing has come


class Paths:
    """world: what there is now. Times are of the monotonic clock."""

    def __init__(self, world: Callable[[], World]) -> None:
        self._world = world
        self._past: dict[int, dict[str, Past]] = {}
        self._known: dict[int, _Known] = {}

    def take(self, sample: HostSample, now_s: float) -> None:
        for number, classes in sample.paths.items():
            past = self._past.setdefault(number, {})
            if _is_down(classes.values()):
                past.clear()  # what was before says nothing of what is
            for name, one in classes.items():
                past.setdefault(name, deque()).append((now_s, one))
            self._known.pop(number, None)

    def figures(self, now_s: float) -> Mapping[int, VifPaths]:
        """By VIF number, of those that were probed. Forgets VIFs that are gone, and what is too old."""
        vifs = {vif.number for here in self._world().members.values() for vif in here}
        for number in [number for number in self._past if number not in vifs]:
            del self._past[number]
            self._known.pop(number, None)
        for number in [number for number in self._past if self._is_old(number, now_s)]:
            known = self._figures(self._past[number], now_s)
            if known is None:
                del self._past[number]
            else:
                self._known[number] = known
        return {number: known.paths for number, known in self._known.items() if number in self._past}

    def _is_old(self, number: int, now_s: float) -> bool:
        known = self._known.get(number)
        return known is None or now_s >= known.until_s

    def _figures(self, classes: dict[str, Past], now_s: float) -> _Known | None:
        longest_s = _longest_s(classes.values())
        for name, past in list(classes.items()):
            while past and past[0][0] <= now_s - longest_s:
                past.popleft()
            if not past:
                del classes[name]
        if not classes:
            return None
        window_s = _window_s(classes.values(), now_s, longest_s)
        if window_s > WINDOW_S:  # there is nothing of the last few seconds that could be told apart
            return _Known(_vif_paths(classes, now_s, (window_s, longest_s)), now_s + SELDOM_S)
        lately = _vif_paths(classes, now_s, (LATELY_S, LATELY_S))
        return _Known(_vif_paths(classes, now_s, (window_s, longest_s), lately), now_s + OFTEN_S)


def _is_down(samples: Iterable[PathSample]) -> bool:
    return all(one.sent == 0 for one in samples)


def _every_s(classes: Iterable[Past]) -> list[float]:
    """How far apart probes of each class are; 0: nobody says."""
    return [past[-1][1].every_s for past in classes if past]


def _longest_s(classes: Iterable[Past]) -> float:
    return min(MOST_S, max(LONGEST_S, LONGEST_TURNS * max(_every_s(classes), default=0.0)))


def _window_s(classes: Iterable[Past], now_s: float, longest_s: float) -> float:
    """The shortest that holds enough probes."""
    newest = sorted(((now_s - at_s, one.sent) for past in classes for at_s, one in past))
    seen = 0
    for age_s, sent in newest:
        seen += sent
        if seen >= ENOUGH:
            return float(max(WINDOW_S, math.ceil(age_s)))
    return longest_s


def _vif_paths(
    classes: Mapping[str, Past], now_s: float, windows_s: tuple[float, float], lately: VifPaths | None = None
) -> VifPaths:
    """windows_s: of all classes together, and the longest for one of them that is probed less often than others."""
    window_s, longest_s = windows_s
    within, by_class = dict[str, list[PathSample]](), dict[str, PathFigures]()
    for name, past in classes.items():
        own_s = window_s if len(classes) == 1 else min(longest_s, max(window_s, _window_s([past], now_s, longest_s)))
        within[name] = [one for at_s, one in past if now_s - at_s <= window_s]
        if own := within[name] if own_s == window_s else [one for at_s, one in past if now_s - at_s <= own_s]:
            by_class[name] = _path(own, own_s, _jitter_ms([own]))
    if len(by_class) == 1:
        (whole,) = by_class.values()
    else:
        whole = _path([one for own in within.values() for one in own], window_s, _jitter_ms(within.values()))
    return VifPaths(whole, by_class, lately, _note(whole, classes.values()))


def _note(whole: PathFigures, classes: Iterable[Past]) -> str | None:
    if whole.probes == 0 and _is_down(one for past in classes for _, one in past):
        return _DOWN
    if whole.probes >= LEAST and whole.loss is None:
        return _SILENT
    if whole.unanswered >= MUCH:
        return _UNANSWERED
    every_s = min(_every_s(classes), default=0.0)  # of the best class, where there are objectives
    if LONGEST_TURNS * every_s <= LONGEST_S:
        return None
    return f"there are many VIFs on its host: it is probed every {every_s:.0f} s"


def _path(samples: Sequence[PathSample], window_s: float, jitter_ms: float | None) -> PathFigures:
    """Probes that were not lost and did not come back either are those of a VIF that has never answered."""
    sketch = merged(one.buckets for one in samples)
    came, lost = count(sketch), sum(one.lost for one in samples)
    unanswered, has_enough = sum(one.unanswered for one in samples), came >= LEAST
    return PathFigures(
        p50_ms=quantile_ms(sketch, 0.5) if has_enough else None,
        p99_ms=quantile_ms(sketch, 0.99) if has_enough else None,
        jitter_ms=jitter_ms if has_enough else None,
        loss=lost / (came + lost) if came + lost >= LEAST else None,
        probes=sum(one.sent for one in samples),
        window_s=window_s,
        unanswered=unanswered / (came + lost) if unanswered else 0.0,
    )


def _jitter_ms(classes: Iterable[Sequence[PathSample]]) -> float | None:
    """Each class has one of its own: the mean of the newest of each, by how many probes it had."""
    total_ms, weight = 0.0, 0
    for samples in classes:
        newest = next((one.jitter_ms for one in reversed(samples) if one.jitter_ms is not None), None)
        sent = sum(one.sent for one in samples)
        if newest is not None:
            total_ms, weight = total_ms + newest * sent, weight + sent
    return total_ms / weight if weight else None
