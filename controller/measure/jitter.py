"""How much the time under way varies from one packet to the next. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_GAIN = 1 / 16  # of RFC 3550: "a good noise reduction ratio while maintaining a reasonable rate of convergence"


@dataclass(frozen=True, slots=True)
class Jitter:
    """Of one flow of packets. last_ms: how long the last was under way; None: there was none.

    jitter_ms: None: there were not yet two.
    """

    last_ms: float | None = None
    jitter_ms: float | None = None

    def after(self, transit_ms: float) -> Jitter:
        """When one more has arrived, in the order of arrival: J += (|D| - J)/16, J from 0 on (RFC 3550, 6.4.1)."""
        if self.last_ms is None:
            return Jitter(transit_ms)
        jitter_ms = self.jitter_ms or 0.0
        return Jitter(transit_ms, jitter_ms + (abs(transit_ms - self.last_ms) - jitter_ms) * _GAIN)
