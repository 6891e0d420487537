"""Who sends, and how they take it when they are held back: float64[n, 3] for n VIFs on three ways. Pure.

CONSTANT sends what it wishes, whatever happens. CUBIC is TCP as Linux ships it: it grows until something is lost, falls
to 0.7 of what came through, and comes back along a cubic curve (RFC 9438). PACED is like BBR: it sends at the most that
came through of late, probes a quarter above every eighth round, and does not mind losses.
"""

from __future__ import annotations

import numpy as np

from controller.allocation.tree import BoolArray, FloatArray, IntArray

NONE, CONSTANT, CUBIC, PACED = range(4)
LOCAL, LINK, INWARD = range(3)

_RTT_S = 0.02
_SEGMENT_KBIT = 12.0
_FIRST_KBPS = 10 * _SEGMENT_KBIT / _RTT_S / 10  # a first window of ten segments, spread over the first step
_FALL, _CURVE = 0.7, 0.4
_STARTING = 4.0  # growth from step to step before the first loss
_PROBING = np.array([1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
_WINDOW = 10  # steps for which PACED remembers what came through


class Senders:
    """kind: int64[n, 3]."""

    def __init__(self, kind: IntArray) -> None:
        self.kind = kind
        self._rate = np.full(kind.shape, _FIRST_KBPS)
        self._starting = np.ones(kind.shape, dtype=np.bool_)
        self._peak = np.zeros(kind.shape)
        self._since_s = np.zeros(kind.shape)
        self._delivered = np.zeros((_WINDOW, *kind.shape))
        self._offered = np.zeros(kind.shape)
        self._step = 0

    def offer(self, wish_kbps: FloatArray) -> FloatArray:
        """What is sent in the next step, kbit/s. A flow that wishes nothing has ended: its next is a new one."""
        ended = wish_kbps <= 0
        self._rate = np.where(ended, _FIRST_KBPS, self._rate)
        self._starting |= ended
        self._delivered[:, ended] = 0.0
        gain = np.where(self._starting, 1.0, _PROBING[self._step % len(_PROBING)])
        rate = np.where(self.kind == PACED, self._rate * gain, self._rate)
        rate = np.where(self.kind == CONSTANT, wish_kbps, np.minimum(rate, wish_kbps))
        self._offered = np.where(self.kind == NONE, 0.0, rate)
        return self._offered

    def heed(self, delivered_kbps: FloatArray, lost: BoolArray, wish_kbps: FloatArray, step_s: float) -> None:
        """What became of it. lost: whether a part was dropped on its way."""
        self._step += 1
        sated = self._rate > 1.5 * wish_kbps  # has no more to send: a window that is not used does not grow
        cubic = self._cubic(delivered_kbps, lost, sated, step_s)
        self._rate = np.where(self.kind == PACED, self._paced(delivered_kbps, sated), cubic)

    def _cubic(self, delivered: FloatArray, lost: BoolArray, sated: BoolArray, step_s: float) -> FloatArray:
        segments = _RTT_S / _SEGMENT_KBIT
        hurt = lost & (self.kind == CUBIC)
        self._peak = np.where(hurt, delivered, self._peak)
        self._since_s = np.where(hurt, 0.0, self._since_s + np.where(sated, 0.0, step_s))
        peak = self._peak * segments
        middle_s = np.cbrt(peak * (1 - _FALL) / _CURVE)
        curve = _CURVE * (self._since_s - middle_s) ** 3 + peak
        reno = peak * _FALL + 3 * (1 - _FALL) / (1 + _FALL) * self._since_s / _RTT_S
        grown = np.maximum(np.maximum(curve, reno) / segments, self._rate)
        grown = np.where(self._starting, self._rate * _STARTING, np.minimum(grown, 1.5 * self._rate))
        self._starting = np.where(self.kind == CUBIC, self._starting & ~lost, self._starting)
        return np.where(hurt, np.maximum(_FALL * delivered, _FIRST_KBPS), np.where(sated, self._rate, grown))

    def _paced(self, delivered: FloatArray, sated: BoolArray) -> FloatArray:
        behind = delivered < 0.8 * self._offered
        paced = self.kind == PACED
        self._starting = np.where(paced, self._starting & ~behind, self._starting)
        self._delivered[self._step % _WINDOW] = np.where(sated & paced, self._rate, delivered)
        best = np.maximum(self._delivered.max(axis=0), _FIRST_KBPS)
        return np.where(self._starting, np.where(sated, self._rate, self._rate * 2.0), best)
