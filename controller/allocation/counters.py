"""Rates from cumulative counters, whatever happens to the counters, the samples and the clock. Pure.

The rules: a counter that fell has started anew at an unknown moment, and so have those of its block: their rates are
unknown until the next sample; unless it ran over its width while no other of its block fell. A time that did not move
says nothing new, and one a little before the last belongs to a sample that was overtaken. A time that went far back, or
far forward, gives no rate: the counters are taken as a new beginning, and the last rate stands until it is stale, as
without a sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.allocation.samples import BLOCK_OF_COLUMN, FIRST_COLUMN, GAUGES, WIDTH, Readings
from controller.allocation.settings import Settings
from controller.allocation.tree import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class CounterState:
    """What was last read of each VIF, and the rates from it.

    keys: int64[n], VIF numbers in ascending order. value, rate, standing: float64[n, n_columns]; NaN: unknown.
    rate is per second; standing is the lower of the last two values (of gauges). time_s, seen_s: float64[n, n_blocks].
    """

    keys: IntArray
    value: FloatArray
    rate: FloatArray
    standing: FloatArray
    time_s: FloatArray  # by the clock of the place that read it
    seen_s: FloatArray  # by our clock, when a rate was last made; -inf: never


def nothing_seen(keys: IntArray) -> CounterState:
    columns = np.full((len(keys), len(BLOCK_OF_COLUMN)), np.nan)
    blocks = np.full((len(keys), len(FIRST_COLUMN)), np.nan)
    return CounterState(keys, columns, columns, columns, blocks, np.full_like(blocks, -np.inf))


def carried(state: CounterState, keys: IntArray) -> CounterState:
    """The same state for other VIFs: what is known of those that stay, nothing of those that are new."""
    if np.array_equal(state.keys, keys):
        return state
    new = nothing_seen(keys)
    return CounterState(
        keys,
        aligned(state.keys, keys, state.value, new.value),
        aligned(state.keys, keys, state.rate, new.rate),
        aligned(state.keys, keys, state.standing, new.standing),
        aligned(state.keys, keys, state.time_s, new.time_s),
        aligned(state.keys, keys, state.seen_s, new.seen_s),
    )


def aligned(old_keys: IntArray, keys: IntArray, old: FloatArray, missing: FloatArray) -> FloatArray:
    """`old` (a row for each of old_keys, ascending) in the order of `keys`; the row of `missing` for a key it lacks."""
    if not len(old_keys):
        return missing
    position = np.minimum(np.searchsorted(old_keys, keys), len(old_keys) - 1)
    known = old_keys[position] == keys
    return np.where(known if old.ndim == 1 else known[:, np.newaxis], old[position], missing)


def update(state: CounterState, read: Readings, now_s: float, settings: Settings) -> CounterState:
    """The state after one more reading of the same VIFs. now_s: our clock; read.time_s: the clocks of the readers."""
    window_s = read.time_s - state.time_s  # NaN where either is missing
    with np.errstate(invalid="ignore"):
        fresh = (window_s >= settings.shortest_window_ticks * settings.interval_s) & (
            window_s <= settings.longest_window_ticks * settings.interval_s
        )
        idle = (window_s < settings.shortest_window_ticks * settings.interval_s) & (
            window_s >= -settings.longest_window_ticks * settings.interval_s
        )  # a duplicate, one that comes too soon, or one that was overtaken
        wrapped, anew = _falls(state.value, read.value)
        anew &= ~idle
        fresh &= ~anew
    unread = np.isnan(read.time_s) | idle
    taken = ~unread[:, BLOCK_OF_COLUMN]
    fresh_columns = fresh[:, BLOCK_OF_COLUMN]
    seen_s = np.where(fresh, now_s, np.minimum(state.seen_s, now_s))
    stale = (now_s - seen_s > settings.stale_after_ticks * settings.interval_s)[:, BLOCK_OF_COLUMN]
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = read.value - state.value + np.where(wrapped, WIDTH, 0.0)
        rate = np.where(fresh_columns, gain / window_s[:, BLOCK_OF_COLUMN], state.rate)
    return CounterState(
        keys=state.keys,
        value=np.where(taken, read.value, state.value),
        rate=np.where(stale | anew[:, BLOCK_OF_COLUMN], np.nan, rate),
        standing=np.where(fresh_columns, np.minimum(read.value, state.value), state.standing),
        time_s=np.where(unread, state.time_s, read.time_s),
        seen_s=seen_s,
    )


def _falls(before: FloatArray, after: FloatArray) -> tuple[BoolArray, BoolArray]:
    """(bool[n, n_columns]: the counter ran over its width; bool[n, n_blocks]: the block began anew).

    Gauges may fall as they like; NaN compares false. A block that began anew shows it by a counter that was far from
    its width: even where packets were counted up to theirs, bytes were not.
    """
    fell = (after < before) & ~GAUGES
    wrapped = fell & (before >= WIDTH * 0.75) & (after < WIDTH * 0.25)
    anew = np.logical_or.reduceat(fell & ~wrapped, FIRST_COLUMN, axis=1)
    return wrapped, anew


def gained(before: FloatArray, after: FloatArray) -> FloatArray:
    """What each counter has counted between two readings, float64[n, n_columns]; NaN where either is.

    Of a block that began anew between them: what it has counted since.
    """
    wrapped, anew = _falls(before, after)
    return np.where(anew[:, BLOCK_OF_COLUMN], after, after - before + np.where(wrapped, WIDTH, 0.0))
