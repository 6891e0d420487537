import math

import pytest

from controller.allocation.actuator import Change, Setting, Wanted, actuate, least_interval_s
from controller.allocation.settings import Settings

ONE, TWO = ("egress", 1), ("egress", 2)


def want(rate, guarantee=0.0, limit=100e3, interval=0.0):
    return Wanted(rate, guarantee, limit, interval)


def run(before, wanted, now_s=10.0):
    return actuate(before, wanted, now_s, Settings())


def rates(before, wanted, now_s=10.0):
    after, changes = run(before, wanted, now_s)
    return {target[1]: setting.rate_kbps for target, setting in after.items()}, len(changes)


def test_decreases_come_first():
    before = {ONE: Setting(10_000, 0.0), TWO: Setting(50_000, 0.0)}
    _, changes = run(before, {ONE: want(40e3), TWO: want(20e3), ("ingress", 3): want(30e3)})
    assert changes == (
        Change("egress", 2, 50_000, 20_000),
        Change("ingress", 3, None, 30_000),  # from its own limit
        Change("egress", 1, 10_000, 40_000),
    )


@pytest.mark.parametrize(("rate", "changes"), [(10_400, 0), (10_600, 1), (9_850, 0), (9_700, 1)])
def test_within_the_dead_band_nothing_is_written(rate, changes):
    assert rates({ONE: Setting(10_000, 0.0)}, {ONE: want(rate)})[1] == changes


def test_a_target_is_not_rewritten_before_its_interval_unless_its_guarantee_needs_it():
    before = {ONE: Setting(10_000, 9.0)}
    assert rates(before, {ONE: want(50e3, interval=4)}) == ({1: 10_000}, 0)
    assert rates(before, {ONE: want(50e3, interval=4)}, now_s=13.0) == ({1: 50_000}, 1)
    assert rates(before, {ONE: want(50e3, guarantee=20e3, interval=4)}) == ({1: 50_000}, 1)
    assert rates(before, {ONE: want(50e3, interval=4)}, now_s=-100.0) == ({1: 50_000}, 1)  # the clock went back


def test_a_rate_never_falls_below_the_guarantee_nor_to_nothing():
    assert rates({}, {ONE: want(5e3, guarantee=8000.5), TWO: want(0.2)}) == ({1: 8001, 2: 1}, 2)


def test_at_its_own_limit_a_target_is_released_even_within_the_dead_band():
    assert rates({ONE: Setting(98_000, 0.0)}, {ONE: want(100e3)}) == ({1: None}, 1)
    assert rates({ONE: Setting(98_000, 0.0)}, {ONE: want(None)}) == ({1: None}, 1)
    assert rates({}, {ONE: want(None)}) == ({}, 0)
    assert rates({}, {ONE: want(99e3)}) == ({}, 0)


def test_a_released_target_is_forgotten_after_its_interval():
    assert rates({ONE: Setting(None, 9.0)}, {ONE: want(None, interval=4)}) == ({1: None}, 0)
    assert rates({ONE: Setting(None, 1.0)}, {ONE: want(None, interval=4)}) == ({}, 0)


def test_a_target_that_is_gone_is_not_written():
    assert run({ONE: Setting(10_000, 0.0)}, {}) == ({}, ())


def test_the_least_interval_follows_from_what_a_change_leaks():
    assert least_interval_s(burst_kbit=600, rate_kbps=1000, leak=0.05) == pytest.approx(12)
    assert least_interval_s(burst_kbit=600, rate_kbps=0) == math.inf
