"""A bursty day in less than a minute, beside the optimum that knows all demands and beside static meters on paper.

Thirteen VIFs share an uplink, and two inner limits that only the loop keeps. What each offered is what its sender
really sent, and what the uplink's queue tree carried says what the machine let through: a machine that is busy is not
taken for the loop's doing. `make bench` measures a longer day, and real meters beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.bursty import INGRESS, LOCAL, UPLINK, day, flows
from lab.bursty_figures import Record
from lab.bursty_run import live
from lab.bursty_site import by_weir
from lab.static_meters import on_paper, raised

SEED, HOUR_S = 1, 2.0


@pytest.fixture(scope="module")
def record() -> Iterator[Record]:
    with by_weir() as (_, ends):
        yield live(ends, flows(), day(SEED, HOUR_S))


def test_what_the_optimum_would_use_is_used(record: Record) -> None:
    """On a quiet machine 98 %, though an hour of this day is two ticks; the uplink itself knows no ticks."""
    machine = min(1.0, record.utilisation(UPLINK))
    assert record.utilisation() >= 0.96 * machine
    assert min(record.utilisation(place) for place in (LOCAL, INGRESS)) >= 0.90 * machine


def test_guarantees_hold_where_static_meters_that_use_as_much_break_them(record: Record) -> None:
    meters = on_paper(record, raised(record, record.utilisation()))
    disturbed = record.disturbed()
    assert len(disturbed) < len(record.came) / 2
    others_s = record.short_s(meters, disturbed)
    assert others_s >= 20
    assert record.short_s(leaving_out=disturbed) <= max(1.0, 0.01 * others_s)


def test_equals_fare_alike(record: Record) -> None:
    assert record.fairness() >= 0.98
