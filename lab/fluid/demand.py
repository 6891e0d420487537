"""What VIFs want over a day, made up and seeded: a tide, sleep, and bursts of heavy-tailed height and length. Pure.

Of each VIF: a base drawn from a lognormal distribution (some are ten times as busy as others, and so, by less, are
whole hosts); a tide that falls to a quarter and peaks at an hour that its tenant has in common; sleep and waking, a
chain of two states; and bursts, begun at random, of Pareto height (exponent 1.5, cut at 50 times) and Pareto length
(exponent 1.5, two minutes at least). Beside these a tenth of noise from tick to tick.
"""

from __future__ import annotations

import numpy as np

from controller.allocation.tree import FloatArray, IntArray

_DAY_S = 86_400.0
_LEAST_TIDE = 0.25
_WAKES, _SLEEPS = 1 / 1800, 1 / 3600  # a second: half an hour of sleep, an hour awake
_BURSTS = 1 / 3600
_TAIL, _HIGHEST, _SHORTEST_S = 1.5, 50.0, 120.0


class Demand:
    """tenant: of each VIF, int64[n], for the hour of its peak; host: where it is, as some hosts are busier."""

    def __init__(self, seed: int, tenant: IntArray, host: IntArray, mean_kbps: float, tick_s: float) -> None:
        self._rng = np.random.default_rng(seed)
        self._tick_s, self._at_s = tick_s, 0.0
        count = len(tenant)
        heat = self._rng.lognormal(-0.08, 0.4, int(host.max(initial=0)) + 1)
        self._base = mean_kbps * heat[host] * self._rng.lognormal(-0.5, 1.0, count)
        peaks = self._rng.normal(14.0, 4.0, int(tenant.max(initial=0)) + 1) * 3600.0
        self._peak_s = peaks[tenant]
        self._awake = self._rng.random(count) < _WAKES / (_WAKES + _SLEEPS)
        self._burst = np.ones(count)
        self._ends_s = np.zeros(count)

    def next(self) -> FloatArray:
        """kbit/s of each VIF in the next tick."""
        rng, count = self._rng, len(self._base)
        self._at_s += self._tick_s
        turns = rng.random(count) < self._tick_s * np.where(self._awake, _SLEEPS, _WAKES)
        self._awake = self._awake ^ turns
        begins = rng.random(count) < self._tick_s * _BURSTS
        height = np.minimum(1 + rng.pareto(_TAIL, count), _HIGHEST)
        length_s = _SHORTEST_S * (1 + rng.pareto(_TAIL, count))
        over = self._at_s >= self._ends_s
        self._burst = np.where(begins, height, np.where(over, 1.0, self._burst))
        self._ends_s = np.where(begins, self._at_s + length_s, self._ends_s)
        swing = (1 + np.cos(2 * np.pi * (self._at_s - self._peak_s) / _DAY_S)) / 2
        tide = _LEAST_TIDE + (1 - _LEAST_TIDE) * swing
        noise = rng.lognormal(0.0, 0.1, count)
        wish: FloatArray = np.where(self._awake, self._base * tide * self._burst * noise, 0.0)
        return wish
