"""What is known of the way of a VIF's packets: how long they are under way, how much that varies, how many get lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LEAST = 3  # probes: with fewer nothing is said
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class PathFigures:
    """Of the probes of the last `window_s` seconds. None: too few have come back to say.

    latency: round trips, in milliseconds. jitter: as RFC 3550 has it, in milliseconds. loss: part of those sent, 0..1.
    unanswered: the part of those sent that is lost though all queues took them: only the instance did not answer.
    """

    p50_ms: float | None
    p99_ms: float | None
    jitter_ms: float | None
    loss: float | None
    probes: int
    window_s: float
    unanswered: float = 0.0

    @property
    def way_loss(self) -> float | None:
        """Loss for which the instance is not needed to say so: without what it alone left unanswered. None: too few."""
        told = 1.0 - self.unanswered
        if self.loss is None or told * self.probes < LEAST - _ROUNDING:
            return None
        return max(0.0, self.loss - self.unanswered) / told


@dataclass(frozen=True, slots=True)
class VifPaths:
    """Of one VIF. whole: of all its probes, whatever their class; classes: by traffic class.

    lately: the same of the last few seconds, for who acts on it and must see soon what that did; None: not known.
    note: why there are no figures, where that is known.
    """

    whole: PathFigures
    classes: Mapping[str, PathFigures] = field(default_factory=dict)
    lately: VifPaths | None = None
    note: str | None = None
