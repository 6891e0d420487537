"""Where a row of ever smaller, or ever equal, steps leads: so that it need not be walked to its end. Pure.

Between two changes of who holds whom back, each step follows from the one before by one matrix. Two ways to continue
take turns in each part until one holds: each leaf as a row of its own, geometric where its steps get smaller and else
by a stride that is searched for as in a sorted list; and the combination of the steps so far in which they cancel out
(Anderson's mixing; exact where the matrix has fewer modes than there are steps).
"""

from __future__ import annotations

import numpy as np

from controller.allocation.tree import BoolArray, FloatArray, IntArray

_KEPT = 12  # steps
_SHORT = 0.01  # of the way, where both ways went too far: by little, as a rule, and by rounding
_EQUAL = 1 - 1e-6  # a step this much of the one before does not get smaller


class History:
    """The steps of each part since it last changed who is held back. part: int64[n_leaves]."""

    def __init__(self, part: IntArray) -> None:
        parts, leaves = int(part.max(initial=-1)) + 1, len(part)
        self._part = part
        self._steps: list[FloatArray] = []
        self._caps: list[FloatArray] = []  # after each step
        self._noted: list[BoolArray] = []  # by part: whether its step counts
        self._before, self._last = np.zeros(leaves), np.zeros(leaves)  # the two last steps that count
        self._walked = np.zeros(parts, dtype=np.int64)  # steps that count since the last continuation
        self._failed = np.zeros(parts, dtype=np.int64)
        self._tried = np.zeros(parts, dtype=np.bool_)
        self._strides = np.zeros(parts, dtype=np.bool_)  # whether its steps are equal ones
        self._stride = np.ones(parts)  # how many steps at once where they do not get smaller
        self._ceiling = np.full(parts, np.inf)  # and how many are too many

    def note(self, caps: FloatArray, step: FloatArray, fresh: BoolArray, too_low: BoolArray) -> None:
        """What the last round did. fresh: parts where others are held back now; too_low: what was tried there failed.

        caps: inf for a leaf that is not held back.
        """
        counts = ~fresh & ~too_low
        for noted in self._noted:
            noted &= ~fresh
        self._steps.append(step)
        self._caps.append(caps)
        self._noted.append(counts)
        del self._steps[:-_KEPT], self._caps[:-_KEPT], self._noted[:-_KEPT]
        of_leaf = counts[self._part]
        self._before = np.where(of_leaf, self._last, self._before)
        self._last = np.where(of_leaf, step, self._last)
        self._failed = np.where(fresh, 0, self._failed + too_low)
        self._search(fresh, too_low)
        walked = np.where(fresh | too_low, 0, np.where(self._tried, 1, self._walked + 1))
        self._walked = np.where(self._strides, 2, walked)
        self._tried = np.zeros_like(self._tried)

    def _search(self, fresh: BoolArray, too_low: BoolArray) -> None:
        held = self._tried & ~too_low
        left = np.where(too_low, self._stride, np.where(held, self._ceiling - self._stride - 1, self._ceiling))
        anew = fresh | (left < 2)
        self._ceiling = np.where(anew, np.inf, left)
        longer = np.where(held, 4 * self._stride, self._stride)
        self._stride = np.where(anew, 1.0, np.where(np.isfinite(left), left / 2, longer))
        self._strides &= ~anew

    def continued(self, caps: FloatArray, moving: BoolArray) -> FloatArray:
        """Caps to try: lower than these where a row of steps can be continued. moving: parts with steps to go."""
        self._tried = moving & (self._walked >= 2)
        if not self._tried.any():
            return caps
        rows = np.flatnonzero(self._tried[self._part] & np.isfinite(caps))
        tried: FloatArray = caps.copy()
        tried[rows] -= self._ahead(rows)
        for part in np.flatnonzero(self._tried & ~self._strides & (self._failed % 2 == 1)).tolist():
            chosen = rows[self._part[rows] == part]
            tried[chosen] = self._mixed(part, chosen)
        short = np.where((self._failed < 2) | self._strides, 0.0, _SHORT)[self._part[rows]]
        tried[rows] = np.clip(tried[rows] + short * (caps[rows] - tried[rows]), 0.0, caps[rows])
        return tried

    def _ahead(self, rows: IntArray) -> FloatArray:
        """How far each leaf's own row leads: geometric where its steps get smaller, else a stride of them."""
        before, last = self._before[rows], self._last[rows]
        ratio = np.divide(last, before, out=np.ones(len(rows)), where=before > 0)
        shrinks = ratio < _EQUAL
        row = last * ratio / np.where(shrinks, 1 - ratio, 1.0)
        part = self._part[rows]
        self._strides[part] = True
        self._strides[part[shrinks & (last > 0)]] = False
        ahead: FloatArray = np.where(shrinks, row, last * self._stride[part])
        return ahead

    def _mixed(self, part: int, rows: IntArray) -> FloatArray:
        at = [index for index, noted in enumerate(self._noted) if noted[part]]
        steps = np.stack([self._steps[index][rows] for index in at], axis=1)
        caps = np.stack([self._caps[index][rows] for index in at], axis=1)
        last = steps[:, -1]
        mix = np.linalg.lstsq(steps[:, :-1] - last[:, None], -last, rcond=1e-12)[0]
        mixed: FloatArray = caps[:, -1] + np.asarray((caps[:, :-1] - caps[:, -1:]) @ mix, dtype=np.float64)
        return mixed
