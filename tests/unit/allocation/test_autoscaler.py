"""When a number moves, and how far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.allocation.autoscaler import Scale, Target, Trigger, Watch, step

HERE = (7, "egress")
UP, DOWN = Trigger(0.9, 5.0, 0.9), Trigger(0.4, 10.0, 0.4)


def scale(value: float, least: float = 50.0, most: float = 200.0) -> Scale:
    return Scale(value, least, most, UP, DOWN)


class Watched:
    """One number that is moved as it wishes, unless told otherwise."""

    def __init__(self, value: float = 100.0, **bounds: float) -> None:
        self.value, self.bounds, self.memory = value, bounds, {}
        self.moves: list[tuple[float, float]] = []  # when, and to what

    def see(self, now_s: float, figure: float | None, obeys: bool = True) -> None:
        self.memory, wishes = step(self.memory, {HERE: scale(self.value, **self.bounds)}, {HERE: figure}, now_s)
        if HERE in wishes:
            self.moves.append((now_s, wishes[HERE].after))
            self.value = wishes[HERE].after if obeys else self.value

    def over(self, seconds: range, figure: float | None) -> Watched:
        for second in seconds:
            self.see(float(second), figure)
        return self


def test_a_demand_that_stands_moves_it_to_demand_over_the_part_after_the_time_and_not_again() -> None:
    watched = Watched().over(range(60), 135.0)
    assert watched.moves == [(5.0, pytest.approx(150.0))]


def test_it_at_most_doubles_and_halves_a_step_and_stays_within_its_bounds() -> None:
    assert [after for _, after in Watched(60.0).over(range(30), math.inf).moves] == [120.0, 200.0]
    assert [after for _, after in Watched(180.0).over(range(60), 0.0).moves] == [90.0, 50.0]


def test_moves_are_as_far_apart_as_they_take() -> None:
    assert [at for at, _ in Watched(60.0).over(range(30), math.inf).moves] == [5.0, 11.0]
    assert [at for at, _ in Watched(180.0).over(range(60), 0.0).moves] == [10.0, 21.0]


@pytest.mark.parametrize("figure", [90.0, 89.0, 41.0, 40.0, 60.0])
def test_between_the_parts_nothing_moves(figure: float) -> None:
    assert Watched().over(range(100), figure).moves == []


def test_one_tick_below_begins_the_time_anew() -> None:
    watched = Watched().over(range(5), 150.0)
    watched.see(5.0, 80.0)
    assert watched.over(range(6, 11), 150.0).moves == []
    watched.see(11.0, 150.0)
    assert watched.moves == [(11.0, pytest.approx(150.0 / 0.9))]


ONE, OTHER = (1, "egress"), (2, "egress")
QUICK, SLOW = Trigger(0.9, 2.0, 0.9), Trigger(0.9, 8.0, 0.9)


def gathered(figures: Mapping[float, Mapping[Target, float | None]], **up: Trigger) -> list[tuple[float, set[int]]]:
    """When who moves. figures: from these seconds on. up: by "one" or "other"."""
    known = {target: replace(scale(100.0), up=up.get(name, UP)) for target, name in ((ONE, "one"), (OTHER, "other"))}
    memory: dict[Target, Watch] = {}
    found, last_s, now = list[tuple[float, set[int]]](), -math.inf, dict[Target, float | None]()
    for second in range(40):
        now |= figures.get(second, {})
        memory, wishes = step(memory, known, now, second, second - last_s)
        if wishes:
            found.append((second, {number for number, _ in wishes}))
            last_s = second
            now |= dict.fromkeys(wishes, 50.0)  # as if it had moved
    return found


def test_who_comes_soon_after_others_waits_and_all_who_wait_move_together() -> None:
    assert gathered({0: {ONE: 150.0}, 1: {OTHER: 150.0}}) == [(5, {1}), (10, {2})]  # by itself it were at 6
    again = {1: {OTHER: 150.0}, 2: {ONE: 150.0}, 5: {ONE: 150.0}}
    assert gathered(again, one=QUICK) == [(4, {1}), (7, {1, 2})]  # by itself the other were to wait until 9


def test_nobody_waits_longer_than_its_figure_had_to_stand_nor_than_five_seconds() -> None:
    assert gathered({0: {ONE: 150.0, OTHER: 150.0}}, other=SLOW) == [(5, {1}), (10, {2})]
    assert gathered({0: {ONE: 150.0}, 1: {OTHER: 150.0}}, one=QUICK, other=QUICK) == [(2, {1}), (4, {2})]


def test_who_waits_must_go_on_to_want_it() -> None:
    begun = {0: {ONE: 150.0}, 1: {OTHER: 150.0}}
    assert gathered({**begun, 8: {OTHER: 60.0}}) == [(5, {1})]
    assert gathered({**begun, 8: {OTHER: None}, 20: {OTHER: 150.0}}) == [(5, {1}), (20, {2})]


def test_it_moves_as_far_as_the_demand_has_stood_not_to_its_peak() -> None:
    watched = Watched()
    for second, figure in enumerate([120.0, 99.0, 180.0, math.inf, 110.0, 200.0]):
        watched.see(float(second), figure)
    assert watched.moves == [(5.0, pytest.approx(110.0))]


def test_lost_ticks_count_and_missing_statistics_do_not() -> None:
    lost = Watched()
    lost.see(0.0, 150.0)
    lost.see(6.0, 150.0)
    assert [at for at, _ in lost.moves] == [6.0]
    blind = Watched().over(range(3), 150.0).over(range(3, 50), None)
    assert blind.moves == []
    blind.over(range(50, 60), 150.0)  # two seconds were known, three more are missing
    assert [at for at, _ in blind.moves] == [53.0]


def test_who_else_changes_the_number_begins_the_time_anew() -> None:
    watched = Watched().over(range(5), 150.0)
    watched.value = 101.0
    assert watched.over(range(5, 10), 150.0).moves == []


def test_what_could_not_move_is_asked_for_again_after_the_time() -> None:
    watched = Watched()
    for second in range(13):
        watched.see(float(second), 150.0, obeys=False)
    assert [at for at, _ in watched.moves] == [5.0, 11.0]


def test_a_move_of_next_to_nothing_is_none_but_for_one_to_a_bound() -> None:
    assert Watched().over(range(30), 90.5).moves == []
    assert Watched(199.5).over(range(30), math.inf).moves == [(5.0, 200.0)]


def test_a_clock_that_went_back_counts_nothing() -> None:
    watched = Watched()
    for now_s in (10.0, 0.0, 4.0):
        watched.see(now_s, 150.0)
    assert watched.moves == []


def test_parts_between_which_it_would_swing_are_refused() -> None:
    with pytest.raises(ValueError, match="to and fro"):
        Scale(1.0, 0.5, 2.0, Trigger(0.5, 1.0, 0.5), Trigger(0.5, 1.0, 0.5))
