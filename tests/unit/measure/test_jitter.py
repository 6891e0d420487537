"""Jitter as RFC 3550, 6.4.1 has it."""

import pytest

from controller.measure.jitter import Jitter


def of(*transits_ms: float) -> float | None:
    state = Jitter()
    for transit_ms in transits_ms:
        state = state.after(transit_ms)
    return state.jitter_ms


def test_two_are_needed_to_say_anything() -> None:
    assert of() is None
    assert of(5.0) is None
    assert of(5.0, 5.0) == 0.0


def test_the_formula_worked_by_hand() -> None:
    """J1 = 0 + (16 - 0)/16 = 1; J2 = 1 + (|-8| - 1)/16 = 1.4375; J3 = 1.4375 + (0 - 1.4375)/16."""
    assert of(10.0, 26.0) == 1.0
    assert of(10.0, 26.0, 18.0) == 1.4375
    assert of(10.0, 26.0, 18.0, 18.0) == pytest.approx(1.34765625)


def test_it_comes_to_the_difference_that_stays() -> None:
    assert of(*(3.0 + 2.0 * (turn % 2) for turn in range(200))) == pytest.approx(2.0, abs=0.001)
