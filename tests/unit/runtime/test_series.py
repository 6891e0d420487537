"""Ticks as arrays: whoever comes and goes, what is shown of a VIF is its own, and memory is bounded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from controller.allocation.decision import DecisionsByVif, Figures
from controller.runtime.series import Series
from tests.unit.runtime.loop_ticks import WALL_S, decision, tick


def test_a_vif_is_followed_while_others_come_and_go() -> None:
    series = Series()
    series.add(tick(1, {2: decision(offered=20.0)}))
    series.add(tick(2, {3: decision(offered=30.0), 1: decision(offered=11.0), 2: decision(offered=21.0)}))
    series.add(tick(3, {3: decision(offered=31.0)}))
    track = series.of(2)
    assert track.time_s.tolist() == [WALL_S + 1, WALL_S + 2]
    assert track.rates("egress")["offered_kbps"] == [20.0, 21.0]
    assert series.of(3).rates("egress")["offered_kbps"] == [30.0, 31.0]
    assert series.of(3, since_s=WALL_S + 3).rates("egress")["offered_kbps"] == [31.0]
    assert series.of(9).time_s.tolist() == [] and series.of(9).path()["p99_ms"] == []


def test_directions_and_paths_do_not_mix() -> None:
    series = Series()
    out, into = decision(4.0, 3.0, 2.0, 1), decision(8.0, 7.0, 6.0)
    series.add(tick(1, {1: out, 2: out}, {2: into, 1: out}, p99_ms={2: 5.0, 7: 9.0}))  # 7 has gone
    track = series.of(2)
    assert track.rates("egress") == {
        "offered_kbps": [4.0], "allocated_kbps": [2.0], "passed_kbps": [3.0], "dropped_kbps": [0.0],
        "enforced_kbps": [1.0],
    }  # fmt: skip
    assert track.rates("ingress")["offered_kbps"] == [8.0] and track.rates("ingress")["enforced_kbps"] == [None]
    assert track.path() == {"p50_ms": [2.5], "p99_ms": [5.0], "jitter_ms": [0.5], "loss": [0.25]}
    assert series.of(1).path()["p99_ms"] == [None]


def test_what_is_not_known_or_unbounded_is_none() -> None:
    series = Series()
    series.add(tick(1, {1: decision(None, None, math.inf, dropped=None)}))
    rates = series.of(1).rates("egress")
    assert {name: values for name, values in rates.items() if values != [None]} == {}


def test_arrays_of_the_loop_say_the_same_as_its_decisions() -> None:
    keys = np.array([1, 5])
    figures = Figures(
        keys,
        offered_kbps=np.array([1.0, np.nan]),
        passed_kbps=np.array([2.0, 3.0]),
        dropped_kbps=np.array([4.0, 5.0]),
        local_kbps=np.zeros(2),
        limited=np.zeros(2, dtype=np.bool_),
        demand_kbps=np.array([np.inf, 1.0]),
        allocated_kbps=np.array([6.0, np.inf]),
        enforced_kbps=np.array([np.inf, 7.0]),
    )
    arrays, objects = Series(), Series()
    arrays.add(tick(1, DecisionsByVif(figures), DecisionsByVif(figures)))
    objects.add(tick(1, dict(DecisionsByVif(figures)), dict(DecisionsByVif(figures))))
    for vif in (1, 5):
        for direction in ("egress", "ingress"):
            assert arrays.of(vif).rates(direction) == objects.of(vif).rates(direction)
    assert arrays.of(5).rates("egress")["offered_kbps"] == [None]
    assert arrays.of(5).rates("egress")["enforced_kbps"] == [7.0]


def test_together_rates_add_up_and_the_worst_path_counts() -> None:
    series = Series()
    series.add(tick(1, {1: decision(offered=1.0), 2: decision(offered=None)}, p99_ms={1: 3.0, 2: 8.0}))
    series.add(tick(2, {}))
    total = series.total()
    assert total.rates("egress")["offered_kbps"] == [1.0, None]
    assert total.path()["p99_ms"] == [8.0, None]


def test_a_mean_is_over_the_ticks_that_know_the_vif() -> None:
    series = Series()
    for number, offered in ((1, 10.0), (2, 20.0), (3, None), (4, 60.0)):
        vifs = {1: decision(offered=offered)}
        series.add(tick(number, vifs if number != 4 else {**vifs, 2: decision(offered=5.0)}))
    means = series.means(2, 4, np.array([1, 2, 3]))[:, 0].tolist()
    assert means[:2] == [40.0, 5.0] and math.isnan(means[2])


@pytest.mark.parametrize(("most_ticks", "most_bytes", "kept"), [(3, 1 << 20, 3), (100, 4 * 14 * 4, 4)])
def test_the_oldest_go_first(most_ticks: int, most_bytes: int, kept: int) -> None:
    """A tick of one VIF has 14 columns of 4 bytes."""
    series = Series(most_ticks, most_bytes)
    for number in range(1, 11):
        series.add(tick(number, {1: decision(offered=float(number))}))
    assert series.of(1).rates("egress")["offered_kbps"] == [float(number) for number in range(11 - kept, 11)]


def test_one_tick_is_kept_however_large_it_is() -> None:
    series = Series(most_bytes=1)
    series.add(tick(1, {1: decision()}))
    series.add(tick(2, {1: decision(offered=2.0)}))
    assert series.of(1).rates("egress")["offered_kbps"] == [2.0]
