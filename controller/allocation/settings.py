"""The numbers that the loop is tuned with, in one place. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults suit a tick of one second; times are in ticks where they follow from it."""

    interval_s: float = 1.0

    # Counters
    shortest_window_ticks: float = 0.05  # two samples closer than this make no rate: the next one does
    longest_window_ticks: float = 10.0  # nor do two farther apart: the clock jumped, or the figure says nothing of now
    stale_after_ticks: float = 3.5  # without a fresh rate for so long there are no statistics: three may get lost

    # Estimate
    headroom: float = 1.1  # what a VIF that nothing holds back may want, over what it offers: so it is seen to grow
    near_limit: float = 0.95  # held back from this part of its rate on; times headroom more than 1, or it would swing
    standing_bytes: float = 3028.0  # a backlog of two full frames at two samples running is a queue that stands
    hold_ticks: float = 2.5  # held back for so long after the last sign of it: TCP has none between two losses ...
    hold_level: float = 0.7  # ... while it offers at least this part of what it offered then: what cubic falls to
    growth: float = 2.0  # where we hold a VIF on two paths, what crosses its link may grow by this in a tick
    noise: float = 0.05  # a part below this of what passed is the skew of two clocks, not traffic
    unknown_kbps: float = 64.0  # demand of a VIF without statistics and without guarantee: enough to be reached

    # Which inner nodes' limits the loop keeps
    engage_fill: float = 0.9  # from this part of the limit on: a tick before it is full, as traffic grows by headroom
    release_fill: float = 0.8  # needed no longer below this part: apart by as much as TCP swings
    engage_unheld: float = 0.05  # and if this part of the limit goes past any queue that would keep it
    release_unheld: float = 0.02  # needed no longer below this part
    ease_ticks: int = 3  # after so many ticks without need a VIF that wakes may have all that others leave at once ...
    release_ticks: int = 30  # ... and after so many it is released: who is on and off must not escape the limit

    # What is rewritten
    dead_band_up: float = 0.02  # what is left lying: utilisation is to be 97 % at least
    dead_band_down: float = 0.02  # what is taken too much: the backstop behind a shaper stands as much above it
