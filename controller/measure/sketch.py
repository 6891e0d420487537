"""How many values fell where: a sketch of a distribution that merges by adding up. Pure.

A sketch is a mapping of bucket number -> count. A bucket's bounds are a fixed ratio apart, so that every value of it is
told with the same relative error, whatever its size, and sketches of different hosts and seconds have the same buckets.
Source: Masson, Rim, Lee: DDSketch, a fast and fully-mergeable quantile sketch with relative-error guarantees. VLDB,
2019.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

RELATIVE_ERROR = 0.01  # of a value that a sketch tells, between LEAST_MS and MOST_MS
LEAST_MS = 0.001  # what is less is told as this
MOST_MS = 60_000.0  # what is more is told as this

_RATIO = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_RATIO = math.log(_RATIO)


def bucket_of(value_ms: float) -> int:
    """The number of its bucket, from 0 (up to LEAST_MS) to LAST. Raises ValueError for what is no number."""
    if math.isnan(value_ms):
        raise ValueError(f"{value_ms} is no time")
    within = min(max(value_ms, LEAST_MS), MOST_MS)
    return math.ceil(math.log(within / LEAST_MS) / _LOG_RATIO)


LAST = bucket_of(MOST_MS)


def value_ms(bucket: int) -> float:
    """What stands for every value of a bucket: none is further from it than RELATIVE_ERROR of itself."""
    return LEAST_MS if bucket <= 0 else LEAST_MS * math.exp(bucket * _LOG_RATIO) * 2 / (_RATIO + 1)


def sketch_of(values_ms: Iterable[float]) -> dict[int, int]:
    return dict(Counter(map(bucket_of, values_ms)))


def merged(sketches: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The sketch of all values together, in whatever order."""
    total: dict[int, int] = {}
    for sketch in sketches:
        for bucket, times in sketch.items():
            total[bucket] = total.get(bucket, 0) + times
    return total


def count(sketch: Mapping[int, int]) -> int:
    return sum(sketch.values())


def quantile_ms(sketch: Mapping[int, int], part: float) -> float | None:
    """The least value that at least this part (0..1) of all values do not exceed; None: there are none."""
    total = count(sketch)
    wanted, seen = max(1, math.ceil(part * total)), 0
    for bucket in sorted(sketch):
        seen += sketch[bucket]
        if seen >= wanted:
            return value_ms(bucket)
    return None
