"""What many things of one kind have counted, as arrays: looked up, put together and told apart without a loop. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """keys: int64[n], the numbers of the things, in ascending order. value: uint64[n, columns], their counters."""

    keys: NDArray[np.int64]
    value: NDArray[np.uint64]

    def of(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64[len(keys), columns], in the order of `keys`; NaN for one that is not here."""
        if not len(self.keys):
            return np.full((len(keys), self.value.shape[1]), np.nan)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((self.keys[place] == keys)[:, np.newaxis], self.value[place].astype(np.float64), np.nan)

    def row(self, key: int) -> tuple[int, ...] | None:
        place = int(np.searchsorted(self.keys, key))
        if place == len(self.keys) or self.keys[place] != key:
            return None
        return tuple(self.value[place].tolist())

    def rows(self) -> dict[int, tuple[int, ...]]:
        return dict(zip(self.keys.tolist(), map(tuple, self.value.tolist()), strict=True))


def nothing(columns: int) -> Counted:
    return Counted(np.empty(0, dtype=np.int64), np.empty((0, columns), dtype=np.uint64))


def counted(rows: Mapping[int, Sequence[int]], columns: int) -> Counted:
    """Raises OverflowError for a counter below 0 or of more than 64 bits."""
    keys = sorted(rows)
    flat = list(chain.from_iterable(rows[key] for key in keys))
    return Counted(np.array(keys, dtype=np.int64), np.array(flat, dtype=np.uint64).reshape(len(keys), columns))


def in_order(keys: NDArray[np.int64], value: NDArray[np.uint64]) -> Counted:
    """Of things in any order; of two with the same number the first counts."""
    unique, first = np.unique(keys, return_index=True)
    return Counted(unique, value[first])


def merged(before: Counted, part: Counted) -> Counted:
    """`before`, with the rows of `part` in place of, or beside, its own."""
    place = np.searchsorted(before.keys, part.keys)
    within = np.minimum(place, max(0, len(before.keys) - 1))
    if len(before.keys) and bool((before.keys[within] == part.keys).all()):
        value = before.value.copy()
        value[place] = part.value
        return Counted(before.keys, value)
    return in_order(np.concatenate([part.keys, before.keys]), np.concatenate([part.value, before.value]))


def added(one: Counted, other: Counted) -> Counted:
    """The things of `one`, with what `other` has counted of them beside."""
    more = other.of(one.keys)
    return Counted(one.keys, one.value + np.where(np.isnan(more), 0, more).astype(np.uint64))


def changed(before: Counted, now: Counted) -> Counted | None:
    """What `merged` makes `now` of, given `before`; None: there is no such part, as things have come or gone."""
    if not np.array_equal(before.keys, now.keys):
        return None
    moved = (before.value != now.value).any(axis=1)
    return Counted(now.keys[moved], now.value[moved])
