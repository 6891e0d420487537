"""Laws of giving way, on a bottleneck that is narrower than the policy says: it converges, rests, and ends."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.allocation.yielding import Pace, Yielder, caps
from tests.support.played_bottleneck import LATELY_S, Bottleneck, Sender

SAID_KBPS = 100e3
PACE = Pace()
WEIGHTS = st.just(0.0) | st.floats(0, 10)
QUICK = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def settling_s(real_kbps: float) -> int:
    """The stated time: what the first cut waits for, one cut after another, what the last one leaves in the queue."""
    cuts = math.ceil(math.log(SAID_KBPS / real_kbps) / -math.log(PACE.cut)) + 1
    return math.ceil(PACE.confirm_s + (cuts + 2) * (LATELY_S + PACE.settle_s + 1))


@st.composite
def sets_of_senders(draw: st.DrawFn, end_s: float = math.inf) -> list[Sender]:
    """They flood until `end_s`; what all are guaranteed is at most 10 Mbit/s."""
    found = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        rate, floor = draw(st.sampled_from([30e3, 80e3, 200e3])), draw(st.sampled_from([100.0, 1000.0, 2500.0]))
        wish = partial(flood, rate_kbps=rate, end_s=end_s)
        rank, weight = draw(st.integers(0, 2)), draw(st.sampled_from([1.0, 3.0]))
        found.append(Sender((number, "normal"), wish, floor, rank, weight))
    return found


def flood(time_s: float, rate_kbps: float, end_s: float) -> float:
    return rate_kbps if 5 <= time_s < end_s else 0.0


@given(senders=sets_of_senders(), real_kbps=st.sampled_from([15e3, 20e3, 40e3]))
@QUICK
def test_the_target_holds_within_the_stated_time_and_is_then_missed_ever_more_seldom(senders, real_kbps) -> None:
    site = Bottleneck(senders, lambda _: real_kbps, SAID_KBPS)
    levels = [site.second().value or 0.0 for _ in range(5 + settling_s(real_kbps))]
    wished = sum(sender.wish(5.0) for sender in senders)
    began = next((second for second, level in enumerate(levels) if level > 1), None)
    assert (began is not None) == (wished > real_kbps)
    assert began is None or min(levels[began:]) < PACE.calm
    budgets, missed = [], []
    for _ in range(200):
        missed.append((site.second().value or 0.0) > 1)
        budgets.append(site.state.budget_kbps)
        floors = {sender.place: sender.floor_kbps for sender in senders}
        assert all(kbps >= floors[place] * (1 - 1e-9) for place, kbps in site.caps.items())
    if wished > real_kbps:
        assert 0.4 * real_kbps <= min(budgets) and max(budgets) <= 1.2 * real_kbps  # the band
        assert sum(missed) <= 0.1 * len(missed) and sum(missed[100:]) <= 0.05 * 100
        assert sum(budgets) / len(budgets) >= 0.7 * real_kbps
        steps = [after - before for before, after in pairwise(budgets)]
        assert max(steps) <= 0.15 * real_kbps  # what is given back comes slowly


@given(senders=sets_of_senders(end_s=60.0), real_kbps=st.sampled_from([15e3, 40e3]))
@QUICK
def test_all_is_given_back_after_the_load_has_ended(senders, real_kbps) -> None:
    site = Bottleneck(senders, lambda _: real_kbps, SAID_KBPS)
    for _ in range(60 + 120):
        site.second()
    assert not site.state.is_active and site.caps == {}


def test_a_bottleneck_that_widens_is_found_again() -> None:
    site = Bottleneck(
        [Sender((1, "normal"), lambda _: 80e3, 1000.0)], lambda time_s: 15e3 if time_s < 60 else 50e3, SAID_KBPS
    )
    for _ in range(60):
        site.second()
    assert site.state.budget_kbps <= 18e3
    for _ in range(240):
        site.second()
    assert site.state.budget_kbps >= 0.6 * 50e3


def test_nothing_gives_way_while_the_target_holds() -> None:
    site = Bottleneck([Sender((1, "normal"), lambda _: 15e3, 100.0)], lambda _: 20e3, SAID_KBPS)
    for _ in range(60):
        site.second()
        assert site.caps == {}


def test_where_nothing_is_left_and_nothing_helps_it_is_said_to_be_for_nothing() -> None:
    """The delay comes from elsewhere: what the senders send makes no difference to it."""
    site = Bottleneck([Sender((1, "normal"), lambda _: 30e3, 1000.0)], lambda _: 100.0, SAID_KBPS)
    for _ in range(120):
        site.second()
        if site.state.is_futile:
            break
        assert all(kbps >= 1000 for kbps in site.caps.values())
    assert site.state.is_futile


def yielder(number: int, rank: int, demand: float = math.inf, weight: float = 1.0, floor: float = 10.0) -> Yielder:
    return Yielder((number, "class"), rank, floor, weight, 0.0, demand)


def test_the_later_class_gives_way_first() -> None:
    found = caps(100.0, [yielder(1, 0), yielder(2, 1), yielder(3, 2)])
    assert found == {(1, "class"): pytest.approx(80), (2, "class"): pytest.approx(10), (3, "class"): pytest.approx(10)}


def test_equals_divide_by_weight_and_leave_what_they_do_not_want() -> None:
    found = caps(110.0, [yielder(1, 1), yielder(2, 1, weight=3.0), yielder(3, 2)])
    assert found[1, "class"] == pytest.approx(10 + 80 / 4) and found[2, "class"] == pytest.approx(10 + 3 * 80 / 4)
    found = caps(110.0, [yielder(1, 1, demand=25.0), yielder(2, 2)])
    assert found[2, "class"] == pytest.approx(85)  # the later class has what is left


def test_whose_part_is_nothing_has_what_nobody_else_wants() -> None:
    found = caps(110.0, [yielder(1, 1, weight=0.0), yielder(2, 1, demand=25.0, weight=1e4), yielder(3, 2, weight=0.0)])
    assert found[1, "class"] == pytest.approx(75) and found[3, "class"] == pytest.approx(10)
    assert caps(110.0, [yielder(1, 1, weight=0.0)]) == {(1, "class"): pytest.approx(110)}


def test_who_sleeps_finds_its_part_when_it_wakes() -> None:
    found = caps(110.0, [yielder(1, 1, demand=0.0), yielder(2, 1)])
    assert found == {(1, "class"): pytest.approx(55), (2, "class"): pytest.approx(100)}


@given(
    st.floats(0, 1000),
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 500), WEIGHTS, st.floats(0, 50)), max_size=6),
)
def test_nobody_falls_below_its_floor_and_no_more_than_the_budget_is_divided(budget, drawn) -> None:
    yielders = [yielder(number, *numbers) for number, numbers in enumerate(drawn, start=1)]
    floors = sum(one.floor_kbps for one in yielders)
    found = caps(max(budget, floors), yielders)
    assert all(found[one.place] >= one.floor_kbps * (1 - 1e-9) for one in yielders)
    awake = caps(max(budget, floors), [Yielder(y.place, y.rank, y.floor_kbps, y.weight, 0, math.inf) for y in yielders])
    assert sum(awake.values()) <= max(budget, floors) * (1 + 1e-6) + 1e-6
