"""The loop takes no more of a core than it may."""

from __future__ import annotations

import pytest

from controller.runtime.cost import MOST_SHARE, MOST_STRETCH, Cost


def run(cost: Cost, ticks: int, cpu_s: float, now_s: float = 0.0, elsewhere: float = 0.0) -> float:
    """cpu_s: of each tick. elsewhere: what else the loop takes of a core, whatever its pace."""
    for _ in range(ticks):
        now_s += cost.interval_s
        cost.tick(cpu_s, elsewhere * cost.interval_s, now_s)
    return now_s


def test_a_cheap_loop_keeps_the_pace_that_is_asked_for() -> None:
    cost = Cost(1.0)
    assert cost.share is None
    run(cost, 50, 0.02)
    assert cost.interval_s == 1.0 and cost.share == pytest.approx(0.02)


def test_a_dear_one_ticks_seldom_and_quickly_again_when_it_is_cheap() -> None:
    cost = Cost(1.0)
    now_s = run(cost, 60, 0.12)
    assert cost.interval_s == 3.0 and cost.share is not None and cost.share <= MOST_SHARE
    run(cost, 20, 0.01, now_s)
    assert cost.interval_s == 1.0


def test_who_asks_for_a_faster_pace_may_have_it_at_its_price() -> None:
    for interval_s, cpu_s, most in ((0.5, 0.04, 0.1), (0.1, 0.02, 0.25), (0.05, 0.01, 0.25)):
        cost = Cost(interval_s)
        run(cost, 30, cpu_s)
        assert cost.interval_s == interval_s and cost.most_share == most
    cost = Cost(0.1)
    run(cost, 30, 0.03)
    assert cost.interval_s == 0.2


def test_one_tick_that_was_dear_changes_nothing_and_there_is_a_longest_pause() -> None:
    cost = Cost(0.5)
    now_s = run(cost, 20, 0.001)
    now_s = run(cost, 1, 0.2, now_s)
    assert cost.interval_s == 0.5
    run(cost, 40, 100.0, now_s)
    assert cost.interval_s == 0.5 * MOST_STRETCH


def test_what_is_spent_elsewhere_takes_from_what_ticks_may_cost_and_does_not_grow_with_the_pace() -> None:
    cost = Cost(1.0)
    now_s = run(cost, 60, 0.019, elsewhere=0.03)
    assert cost.interval_s == 1.0 and cost.share == pytest.approx(0.049)
    run(cost, 60, 0.025, now_s, elsewhere=0.03)
    assert cost.interval_s == 2.0 and cost.share is not None and cost.share <= MOST_SHARE


def test_where_nothing_is_left_for_ticks_the_pace_stays() -> None:
    cost = Cost(1.0)
    now_s = run(cost, 60, 0.001, elsewhere=0.06)
    assert cost.interval_s == 1.0 and cost.is_spent and cost.share == pytest.approx(0.061)
    now_s = run(cost, 60, 0.001, now_s, elsewhere=0.045)
    assert cost.is_spent, "a little less is not enough to say that there is something left again"
    run(cost, 60, 0.001, now_s, elsewhere=0.01)
    assert cost.interval_s == 1.0 and not cost.is_spent


def test_a_cost_at_the_bound_of_two_paces_does_not_change_between_them() -> None:
    cost, changes, now_s = Cost(1.0), 0, 0.0
    for turn in range(200):
        now_s += cost.interval_s
        changes += cost.tick(0.052 if turn // 10 % 2 else 0.048, 0.0, now_s)
    assert cost.interval_s == 2.0 and changes == 1
    run(cost, 20, 0.039, now_s)
    assert cost.interval_s == 1.0
