"""What the counters of each VIF have counted since this controller first saw them, however often they began anew.

Pure."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from controller.allocation.counters import CounterState, aligned, gained
from controller.allocation.samples import BLOCK_OF_COLUMN, GAUGES
from controller.allocation.tree import FloatArray
from controller.runtime.series import Numbers


class Totals:
    """They never fall until the VIF is forgotten, also while it has no port. A VIF's first reading counts whole.

    keys: int64[n], VIF numbers in ascending order. value: float64[n, n_columns].
    """

    def __init__(self) -> None:
        self.keys: Numbers = np.zeros(0, dtype=np.int64)
        self.value: FloatArray = np.zeros((0, len(BLOCK_OF_COLUMN)))  # of gauges: as it is now; NaN: not known
        self._read = self.value

    def add(self, counted: CounterState, stale_before_s: float = -math.inf) -> None:
        """stale_before_s: by our clock; gauges of queues that have had no rate since then are not of now."""
        if not np.isin(counted.keys, self.keys).all():
            self._have(np.union1d(self.keys, counted.keys))
        now, gauges = np.full_like(self.value, np.nan), np.full_like(self.value, np.nan)
        rows = np.searchsorted(self.keys, counted.keys)
        now[rows] = counted.value
        is_old = np.isfinite(counted.seen_s) & (counted.seen_s < stale_before_s)
        gauges[rows] = np.where(is_old[:, BLOCK_OF_COLUMN], np.nan, counted.value)
        more = np.where(np.isnan(self._read), now, gained(self._read, now))
        grown = np.where(np.isnan(self.value), 0.0, self.value) + more
        self.value = np.where(GAUGES, gauges, np.where(np.isnan(more), self.value, grown))
        self._read = np.where(np.isnan(now), self._read, now)

    def keep(self, vifs: Collection[int]) -> None:
        """Forgets all others."""
        self._have(self.keys[np.isin(self.keys, list(vifs))])

    def _have(self, keys: Numbers) -> None:
        nothing = np.full((len(keys), len(BLOCK_OF_COLUMN)), np.nan)
        self.value = aligned(self.keys, keys, self.value, nothing)
        self._read = aligned(self.keys, keys, self._read, nothing)
        self.keys = keys
