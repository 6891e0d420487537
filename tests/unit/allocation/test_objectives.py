"""What is measured is held against objectives, and the time is counted as held, violated or unknown."""

from __future__ import annotations

import math
import tracemalloc

import pytest

from controller.allocation.last_day import DAY_S, SLOT_S
from controller.allocation.objectives import BUDGET_PART, Account, Accounts, Level, level_of, worst
from controller.measure.path import PathFigures, VifPaths


def figures(p99_ms: float | None, jitter_ms: float | None = 0.1, loss: float | None = 0.0, window_s: float = 10.0):
    return PathFigures(0.1, p99_ms, jitter_ms, loss, 100, window_s)


def seconds(account: Account, values: list[float | None], start_s: float = 0.0) -> Account:
    for second, value in enumerate(values):
        account.note(value, start_s + second, 1000.0 + start_s + second)
    return account


def test_seconds_are_held_violated_or_unknown() -> None:
    account = seconds(Account(5.0), [1.0, 1.0, 9.0, 9.0, 9.0, None, 2.0])
    assert (account.violated_s, account.known_s, account.unknown_s) == (3.0, 5.0, 1.0)
    assert (account.state, account.since_wall_s, account.measured) == ("held", 1006.0, 2.0)


def test_a_value_at_the_target_holds() -> None:
    assert seconds(Account(5.0), [5.0, 5.0]).violated_s == 0.0
    assert seconds(Account(0.0), [0.0, 0.001]).violated_s == 1.0


@pytest.mark.parametrize("jump_s", [-50.0, 0.0, 11.0, 1e6])
def test_a_gap_and_a_clock_that_jumps_are_no_time_at_all(jump_s: float) -> None:
    account = seconds(Account(5.0), [9.0, 9.0])
    account.note(9.0, 1.0 + jump_s, 0.0)
    assert account.violated_s == account.known_s == 1.0
    account.note(9.0, 2.0 + jump_s, 0.0)
    assert account.violated_s == 2.0


@pytest.mark.parametrize(("step_s", "interval_s"), [(20.0, 20.0), (3600.0, 3600.0), (29.0, 10.0)])
def test_looks_that_are_meant_to_be_far_apart_count(step_s: float, interval_s: float) -> None:
    account = Account(5.0)
    for look in range(3):
        account.note(9.0, look * step_s, 0.0, interval_s)
    assert account.violated_s == account.known_s == 2 * step_s
    account.note(9.0, 2 * step_s + 3 * interval_s + 1, 0.0, interval_s)
    assert account.violated_s == 2 * step_s


def test_the_budget_is_a_part_of_the_last_day() -> None:
    account = Account(5.0)
    for second in range(0, int(DAY_S), 5):
        account.note(9.0 if second <= 600 else 1.0, float(second), float(second))
    shown = account.document(DAY_S - 5)
    assert shown["day"] == {"violated_s": 600.0, "known_s": DAY_S - 5}
    assert shown["hour"]["violated_s"] == 0.0 and shown["hour"]["known_s"] == pytest.approx(3600, abs=SLOT_S)
    assert shown["budget"] == {"part": BUDGET_PART, "allowed_s": 864.0, "used_s": 600.0, "left_s": 264.0}
    for second in range(int(DAY_S), int(DAY_S) + 1200, 5):
        account.note(1.0, float(second), float(second))
    shown = account.document(DAY_S + 1195)
    assert shown["day"]["violated_s"] == 0.0 and shown["violated_s"] == 600.0  # what was before counts on in the total


def test_a_day_takes_little_memory() -> None:
    """There are three objectives of each of many VIFs."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        accounts = [Account(5.0) for _ in range(20)]
        for account in accounts:
            for slot in range(300):
                account.note(9.0, slot * SLOT_S + 0.5, 0.0, SLOT_S)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert accounts[0].document(300 * SLOT_S)["day"]["violated_s"] > 0.9 * DAY_S and taken / len(accounts) < 5_000


def test_who_goes_is_forgotten_and_another_target_is_another_objective() -> None:
    accounts = Accounts()
    accounts.keep({1: {"latency": 5.0, "loss": 0.1}, 2: {"latency": 5.0}})
    for second in range(3):
        accounts.note(1, figures(9.0), float(second), 0.0)
        accounts.note(2, None, float(second), 0.0)
    assert accounts.document(1, 2.0)["latency"]["violated_s"] == 2.0
    assert accounts.document(2, 2.0)["latency"]["unknown_s"] == 2.0
    accounts.keep({1: {"latency": 6.0, "loss": 0.1}})
    assert accounts.document(1, 2.0)["latency"]["violated_s"] == 0.0
    assert accounts.document(1, 2.0)["loss"]["known_s"] == 2.0
    assert accounts.document(2, 2.0) == {}


def test_the_worst_objective_of_the_best_class_counts() -> None:
    paths = VifPaths(figures(50.0), {"normal": figures(50.0), "fast": figures(4.0, loss=0.02)})
    assert level_of({"latency": 5.0}, paths, ("fast", "normal")).value == pytest.approx(0.8)
    assert level_of({"latency": 5.0, "loss": 0.01}, paths, ("fast", "normal")).value == pytest.approx(2.0)
    assert level_of({"latency": 5.0}, VifPaths(figures(50.0)), ("fast", "normal")) == Level(10.0, 10.0)
    assert level_of({"loss": 0.0}, paths, ("fast",)).value == math.inf
    assert level_of({"latency": 5.0}, None, ()).value is None
    assert level_of({"latency": 5.0}, VifPaths(figures(None)), ()).value is None


@pytest.mark.parametrize(
    ("whole", "lately", "level"),
    [
        (9.0, 8.0, Level(1.6, 2.0)),  # it lasts
        (9.0, 1.0, Level(0.2, 2.0)),  # it is over
        (4.0, 8.0, Level(1.0, 2.0)),  # a single one
        (9.0, None, Level(1.8, 10.0)),  # too few of late
    ],
)
def test_it_is_missed_while_it_lasts(whole: float, lately: float | None, level: Level) -> None:
    late = VifPaths(figures(lately, window_s=2.0))
    assert level_of({"latency": 5.0}, VifPaths(figures(whole), lately=late), ()) == level


def test_the_worst_of_what_is_known() -> None:
    assert worst([Level(None), Level(0.5, 1.0), Level(3.0, 2.0)]) == Level(3.0, 2.0)
    assert worst([]) == worst([Level(None)]) == Level(None)
