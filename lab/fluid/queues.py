"""Bounded queues and token buckets of many VIFs at once; amounts in kbit. Pure."""

from __future__ import annotations

import numpy as np

from controller.allocation.tree import BoolArray, FloatArray

FRAME_KBIT = 10.0  # 1,250 bytes


class Queues:
    """One queue a VIF for `ways` kinds of fluid. size_kbit: what fits in. Where `exists` is false all goes through."""

    def __init__(self, size_kbit: FloatArray, exists: BoolArray, ways: int) -> None:
        self.size_kbit, self.exists = size_kbit, exists
        self.backlog = np.zeros((len(size_kbit), ways))
        self.sent, self.dropped = np.zeros(len(size_kbit)), np.zeros(len(size_kbit))  # since they were made, kbit

    def waiting(self, arriving: FloatArray) -> FloatArray:
        """float64[n]: what could be sent now."""
        total: FloatArray = (self.backlog + arriving).sum(axis=1)
        return total

    def pass_on(self, arriving: FloatArray, room: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sends `room` (float64[n]) at most, drops what does not fit. Returns (sent, lost), float64[n, ways]."""
        waiting = self.backlog + arriving
        total = waiting.sum(axis=1)
        part = _part(np.where(self.exists, room, np.inf), total)
        sent = waiting * part[:, np.newaxis]
        left = waiting - sent
        stays = _part(self.size_kbit, left.sum(axis=1))[:, np.newaxis]
        lost = left * (1 - stays)
        self.backlog = left - lost
        self.sent += np.where(self.exists, sent.sum(axis=1), 0.0)
        self.dropped += lost.sum(axis=1)
        return sent, lost

    def columns(self) -> list[FloatArray]:
        """As a sample has them: bytes sent, packets sent, packets dropped, bytes of backlog; NaN: no such queue."""
        counted = [
            self.sent * 125,
            self.sent / FRAME_KBIT,
            self.dropped / FRAME_KBIT,
            self.backlog.sum(axis=1) * 125,
        ]
        return [np.where(self.exists, np.floor(column), np.nan) for column in counted]

    def restart(self, chosen: BoolArray) -> None:
        """Made anew: empty, counting from nothing."""
        self.backlog[chosen] = 0.0
        self.sent[chosen] = self.dropped[chosen] = 0.0


class Meters:
    """One a VIF. A write refills the bucket with what the pace has earned: 1 % of the rate (decision 32)."""

    BURST_S = 0.2
    EARNED = 0.01

    def __init__(self, rate_kbps: FloatArray) -> None:
        self.rate_kbps = rate_kbps
        self._tokens = self._burst()
        self._earned_s = np.full(len(rate_kbps), self.BURST_S)
        self.came, self.dropped = np.zeros(len(rate_kbps)), np.zeros(len(rate_kbps))

    def _burst(self) -> FloatArray:
        return np.where(np.isfinite(self.rate_kbps), self.rate_kbps * self.BURST_S, np.inf)

    def pass_on(self, arriving: FloatArray, step_s: float) -> tuple[FloatArray, FloatArray]:
        """arriving: float64[n, ways]. Returns (passed, lost)."""
        total = arriving.sum(axis=1)
        self._tokens = np.minimum(self._tokens + self.rate_kbps * step_s, self._burst())
        self._earned_s = np.minimum(self._earned_s + self.EARNED * step_s, self.BURST_S)
        part = _part(self._tokens, total)
        passed = arriving * part[:, np.newaxis]
        spent = passed.sum(axis=1)
        self._tokens = np.where(np.isfinite(self._tokens), self._tokens - spent, np.inf)
        self.came += total
        self.dropped += total - spent
        return passed, arriving - passed

    def write(self, rate_kbps: FloatArray) -> None:
        """Those whose rate differs are written."""
        written = rate_kbps != self.rate_kbps
        self.rate_kbps = rate_kbps
        earned = np.where(np.isfinite(rate_kbps), rate_kbps * self._earned_s, np.inf)
        self._tokens = np.where(written, earned, self._tokens)
        self._earned_s = np.where(written, 0.0, self._earned_s)

    def restart(self, chosen: BoolArray) -> None:
        self.came[chosen] = self.dropped[chosen] = 0.0


def _part(room: FloatArray, total: FloatArray) -> FloatArray:
    """The part of each total for which there is room: 0..1."""
    with np.errstate(invalid="ignore"):
        return np.where(total > room, room / np.maximum(total, 1e-300), 1.0)
