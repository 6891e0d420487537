"""Seconds of the last hour and day, held against all that was ever counted."""

from __future__ import annotations

import random

import pytest

from controller.allocation.last_day import DAY_S, HOUR_S, SLOT_S, LastDay


@pytest.mark.parametrize("steps", [(1.0, 5.0, 40.0), (300.0, 0.3), (3600.0, 20_000.0), (1.7, 90_000.0), (4e5,)])
def test_hour_and_day_are_what_was_counted_in_them(steps: tuple[float, ...]) -> None:
    drawn, last, now_s, noted = random.Random(7), LastDay(), 12_345.0, list[tuple[float, float, float]]()
    for _ in range(3000):
        now_s += drawn.choice(steps)
        known_s = drawn.uniform(0, 10)
        violated_s = drawn.choice([0.0, known_s])
        last.add(now_s, violated_s, known_s)
        noted.append((now_s // SLOT_S, violated_s, known_s))
    for later_s in (0.0, 400.0, HOUR_S, DAY_S - 900, DAY_S):
        last.move_to(now_s + later_s)
        for span, span_s in ((last.hour, HOUR_S), (last.day, DAY_S)):
            within = [one for one in noted if one[0] > (now_s + later_s) // SLOT_S - span_s / SLOT_S]
            assert span.violated_s == pytest.approx(sum(one[1] for one in within), abs=1e-3)
            assert span.known_s == pytest.approx(sum(one[2] for one in within), abs=1e-3)


def test_a_time_that_is_earlier_counts_for_the_newest_slot() -> None:
    last = LastDay()
    last.add(5000.0, 1.0, 1.0)
    last.add(4000.0, 1.0, 2.0)
    assert (last.hour.violated_s, last.day.known_s) == (2.0, 3.0)
