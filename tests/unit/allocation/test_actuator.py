import numpy as np
import pytest

from controller.allocation.actuator import Change, Wanted, actuate, changes, in_force
from controller.allocation.settings import Settings

INF = float("inf")
KEYS = np.array([1, 2, 3])
UNLIMITED = np.full(3, 100e3)


def after(before, rate, guarantee=0.0, limit=100e3):
    """One VIF: what it is held to, inf for its own limit only."""
    wanted = Wanted(np.array([rate], dtype=float), np.array([guarantee]), np.array([limit]))
    return actuate(np.array([before], dtype=float), wanted, Settings())[0]


def test_decreases_come_first():
    steps = {
        "egress": (np.array([10_000, 50_000, INF]), np.array([40_000, 20_000, INF])),
        "ingress": (np.array([INF, 7_000, INF]), np.array([INF, 7_000, 30_000])),
    }
    assert changes(KEYS, {"egress": UNLIMITED, "ingress": UNLIMITED}, steps) == (
        Change("egress", 2, 50_000, 20_000),
        Change("ingress", 3, None, 30_000),  # from its own limit
        Change("egress", 1, 10_000, 40_000),
    )


def test_a_rate_above_the_own_limit_that_is_released_is_no_increase():
    steps = {"egress": (np.array([150_000, 10_000, INF]), np.array([INF, 9_000, INF]))}
    found = changes(KEYS, {"egress": UNLIMITED}, steps)
    assert [change.vif for change in found] == [1, 2]


def test_what_is_in_force_is_told_of_those_that_are_held():
    assert in_force(KEYS, np.array([INF, 7_000.0, INF])) == {2: 7_000}


@pytest.mark.parametrize(("rate", "written"), [(10_150, False), (10_250, True), (9_850, False), (9_750, True)])
def test_within_the_dead_band_nothing_is_written(rate, written):
    assert after(10_000, rate) == (rate if written else 10_000)


def test_a_rate_below_the_guarantee_is_raised_whatever_the_dead_band_says():
    assert after(10_000, 10_100) == 10_000
    assert after(10_000, 10_100, guarantee=10_050) == 10_100


def test_a_rate_never_falls_below_the_guarantee_nor_to_nothing():
    assert after(INF, 5e3, guarantee=8000.5) == 8001
    assert after(INF, 0.2) == 1


def test_at_its_own_limit_a_vif_is_released_even_within_the_dead_band():
    assert after(99_000, 100e3) == INF
    assert after(99_000, INF) == INF
    assert after(INF, INF) == INF
    assert after(INF, 99.9e3) == INF
