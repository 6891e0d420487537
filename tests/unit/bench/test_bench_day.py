"""A small day in the fluid: the loop beside static limits and the optimum, and the guards that watch its figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.day import LOOP, OPTIMUM, STATIC, Outcome, Pod, Sums, simulate, static_name
from bench.day_table import faults, rows, table


@pytest.fixture(scope="module")
def busy() -> Outcome:
    """12 hosts in the busiest part of the day."""
    return simulate(Pod(hosts=12, tenants=6, minutes=24, from_minute=720))


def test_the_loop_comes_near_who_knows_the_demand_and_far_above_static_limits(busy: Outcome) -> None:
    by_name = {row.what: row for row in rows(busy)}
    static = by_name[static_name(STATIC[0])]
    assert by_name[OPTIMUM].utilisation == 1.0
    assert 0.97 <= by_name[LOOP].utilisation <= 1.0
    assert static.utilisation < by_name[LOOP].utilisation - 0.1
    assert by_name[LOOP].over < 0.005


def test_it_misses_no_guarantee_where_static_limits_as_loose_as_that_do(busy: Outcome) -> None:
    *_, static = rows(busy)
    ours = next(row for row in rows(busy) if row.what == LOOP)
    assert static.utilisation > 0.95 and static.violation_s > 600
    assert ours.violation_s <= 0.01 * static.violation_s
    assert ours.jain >= 0.99 > static.jain
    assert faults(busy) == []


def test_outcomes_of_pods_add_up(busy: Outcome) -> None:
    both = Outcome()
    both.add(busy)
    both.add(busy)
    assert both.of[LOOP].passed_kbit == 2 * busy.of[LOOP].passed_kbit
    assert [row.jain for row in rows(both)] == pytest.approx([row.jain for row in rows(busy)])


def test_worse_figures_are_faults() -> None:
    good = Sums(passed_kbit=99.0, jain=100.0, groups=100.0)
    static = {static_name(times): Sums(passed_kbit=100.0, violation_s=1000.0) for times in STATIC}
    fine = Outcome({OPTIMUM: Sums(passed_kbit=100.0), LOOP: good, **static}, vif_s=1e6)
    assert faults(fine) == []
    for worse, word in (
        (replace(good, passed_kbit=96.0), "of the optimum"),
        (replace(good, violation_s=11.0), "guarantees missed"),
        (replace(good, jain=98.0), "Jain"),
    ):
        [wrong] = faults(Outcome({**fine.of, LOOP: worse}, vif_s=1e6))
        assert word in wrong


def test_each_contender_has_a_line(busy: Outcome) -> None:
    found = table(busy)
    assert found.startswith("### A day of 12 hosts with 100 VIFs each")
    assert f"| {OPTIMUM} | 100.0% |" in found and f"| {LOOP} | " in found
    assert table(Outcome()) == "" and faults(Outcome()) == []
