"""Meters that are changed often, against a flood: a bucket that every write fills."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.compiler.meters import FRAME_KBIT, JOINED_KBIT, egress_meter, least_burst_kbit
from controller.dataplane.entries import Meter, MeterBody, PacketMeterBody
from controller.reconcile.pace import LEAK, SMALL_DECREASE, MeterPace

EVERY_S = 0.25  # how often the keeper looks, at least
ME = 1
USERSPACE, KERNEL = least_burst_kbit(FRAME_KBIT), least_burst_kbit(JOINED_KBIT)


def meter(rate_kbps: int, least_kbit: int) -> MeterBody:
    return egress_meter(rate_kbps, None, shaped=False, largest_kbit=least_kbit)


class Flooded:
    """A meter under a flood from 0 s on: everything that its bucket lets through passes, at once."""

    def __init__(self, wanted: MeterBody, least_kbit: int, is_shaped: bool = False) -> None:
        self._pace, self._least_kbit, self._shaped = MeterPace(), least_kbit, {ME} if is_shaped else set()
        self.now_s, self.passed_kbit, self.allowed_kbit, self.wanted_kbit = 0.0, 0.0, 0.0, 0.0
        self.higher_kbit = 0.0  # at the rate in force or the one wanted, whichever is higher at the time
        self.writes: list[tuple[float, MeterBody]] = []
        self.want(wanted)

    def want(self, wanted: MeterBody) -> None:
        self.wanted = wanted
        self._hold()

    def run(self, duration_s: float) -> None:
        end_s = self.now_s + duration_s
        while self.now_s < end_s:
            next_s = max(self.now_s, min(end_s, self.now_s + EVERY_S, max(self._pace.due_s, self.now_s + 1e-6)))
            passed_s, self.now_s = next_s - self.now_s, next_s
            self.passed_kbit += passed_s * self.in_force.rate_kbps
            self.allowed_kbit += passed_s * self.in_force.rate_kbps
            self.wanted_kbit += passed_s * self.wanted.rate_kbps
            self.higher_kbit += passed_s * max(self.in_force.rate_kbps, self.wanted.rate_kbps)
            self._hold()

    @property
    def in_force(self) -> MeterBody:
        return self.writes[-1][1]

    def _hold(self) -> None:
        held = self._pace.hold({ME: self.wanted}, self._shaped, self._least_kbit, self.now_s)[ME]
        assert isinstance(held, MeterBody)
        if not self.writes or held != self.in_force:
            self.writes.append((self.now_s, held))
            self.passed_kbit += held.burst_kbit


changes = st.lists(st.tuples(st.integers(100, 200_000), st.floats(0.0, 5.0)), min_size=1, max_size=60)


def falls(rates: Sequence[int]) -> int:
    """The most decreases that follow one another and may each be written with what is owed."""
    return 1 + math.ceil(math.log(max(rates) / min(rates)) / -math.log(SMALL_DECREASE))


@pytest.mark.parametrize("least_kbit", [USERSPACE, KERNEL])
@given(changes)
def test_no_more_leaks_than_is_earned_however_it_is_changed(least_kbit: int, steps: list[tuple[int, float]]) -> None:
    rates = [rate for rate, _ in steps]
    one = Flooded(meter(rates[0], least_kbit), least_kbit)
    for rate, duration_s in steps:
        one.want(meter(rate, least_kbit))
        one.run(duration_s)
    earned = LEAK * one.higher_kbit + one.writes[0][1].burst_kbit
    assert one.passed_kbit <= one.allowed_kbit + one.writes[0][1].burst_kbit + earned + falls(rates) * least_kbit + 1e-3


@pytest.mark.parametrize("least_kbit", [USERSPACE, KERNEL])
@given(st.lists(st.integers(100, 200_000), min_size=2, max_size=2), st.floats(0.01, 3.0))
def test_between_two_rates_nothing_stands_above_what_is_wanted(
    least_kbit: int, rates: list[int], duration_s: float
) -> None:
    """A decrease that follows an increase is never put off: the increase was paid."""
    if min(rates) >= SMALL_DECREASE * max(rates):
        return
    one = Flooded(meter(max(rates), least_kbit), least_kbit)
    for rate in [min(rates), max(rates)] * 20:
        one.want(meter(rate, least_kbit))
        assert one.in_force.rate_kbps <= rate
        one.run(duration_s)


@pytest.mark.parametrize("least_kbit", [USERSPACE, KERNEL])
@given(st.lists(st.integers(5_000, 200_000), min_size=60, max_size=60))
def test_a_minute_of_changes_each_second_leaks_less_than_two_percent(least_kbit: int, rates: list[int]) -> None:
    """Of what is wanted, once the bursts of a meter that had rested are set aside (two of the first rate)."""
    one = Flooded(meter(rates[0], least_kbit), least_kbit)
    for rate in rates:
        one.want(meter(rate, least_kbit))
        one.run(1.0)
    slack = one.writes[0][1].burst_kbit * 2
    over = sum(max(0, old - new) for old, new in pairwise(rates) if new >= SMALL_DECREASE * old)  # put off
    assert one.passed_kbit - slack - over <= 1.02 * one.wanted_kbit


@given(changes)
def test_behind_a_shaper_it_never_stands_below_it(steps: list[tuple[int, float]]) -> None:
    one = Flooded(egress_meter(steps[0][0], None, shaped=True), USERSPACE, is_shaped=True)
    for rate, duration_s in steps:
        wanted = egress_meter(rate, None, shaped=True)
        one.want(wanted)
        assert one.in_force.rate_kbps >= wanted.rate_kbps
        one.run(duration_s)


@pytest.mark.parametrize("is_shaped", [False, True])
@given(changes)
def test_after_quiet_everything_is_as_wanted_and_nothing_is_due(
    is_shaped: bool, steps: list[tuple[int, float]]
) -> None:
    one = Flooded(egress_meter(steps[0][0], None, shaped=is_shaped), USERSPACE, is_shaped)
    for rate, duration_s in steps:
        one.want(egress_meter(rate, None, shaped=is_shaped))
        one.run(duration_s)
    for _ in range(3):
        due_s = one._pace.due_s
        one.run(0.0 if math.isinf(due_s) else due_s - one.now_s + 1e-3)
    assert one.in_force == one.wanted and one._pace.due_s == math.inf


def test_a_change_after_quiet_is_written_at_once_and_whole() -> None:
    one = Flooded(meter(20_000, USERSPACE), USERSPACE)
    one.run(60)
    one.want(meter(10_000, USERSPACE))
    assert one.writes[1:] == [(60.0, meter(10_000, USERSPACE))]


def test_one_soon_after_has_a_small_burst_until_the_whole_is_earned() -> None:
    one = Flooded(meter(20_000, USERSPACE), USERSPACE)
    one.want(meter(10_000, USERSPACE))  # spends half of what a new meter of 20 Mbit/s may
    one.want(meter(20_000, USERSPACE))  # and the other half
    one.run(1.0)
    one.want(meter(15_000, USERSPACE))
    assert one.in_force == MeterBody(15_000, 200)  # 1 % of a second at 20 Mbit/s
    one.run(19.9)
    assert one.in_force == MeterBody(15_000, 200)
    one.run(0.2)
    assert one.in_force == meter(15_000, USERSPACE)
    assert len(one.writes) == 5


def test_a_small_rate_has_room_for_a_few_frames_and_its_increase_waits() -> None:
    one = Flooded(meter(1_000, USERSPACE), USERSPACE)
    for rate in (900, 1_000, 500):
        one.want(meter(rate, USERSPACE))
    assert one.in_force == MeterBody(500, USERSPACE)
    one.want(meter(1_000, USERSPACE))
    one.run(5.0)
    assert one.in_force.rate_kbps == 500
    one.run(1.0)  # what is owed and the smallest burst: 58 kbit at 1 % of what is asked for
    assert one.in_force == MeterBody(1_000, USERSPACE)
    one.run(20.0)
    assert one.in_force == meter(1_000, USERSPACE)


def test_an_increase_is_paid_at_the_rate_that_is_asked_for_from_when_it_is_asked_for() -> None:
    one = Flooded(meter(1_000, KERNEL), KERNEL)
    one.want(meter(100, KERNEL))
    one.run(100.0)
    one.want(meter(1_000, KERNEL))
    one.run(42.0)  # 100 kbit are earned by then, 425 are left, at 10 kbit/s
    assert one.in_force == meter(100, KERNEL)
    one.run(1.0)
    assert one.in_force == meter(1_000, KERNEL)


def test_what_is_no_longer_asked_for_earns_nothing() -> None:
    one = Flooded(meter(1_000, KERNEL), KERNEL)
    one.want(meter(100, KERNEL))
    one.want(meter(1_000, KERNEL))
    one.run(20.0)
    one.want(meter(100, KERNEL))  # 200 kbit are earned by then
    one.run(100.0)
    one.want(meter(1_000, KERNEL))
    one.run(22.0)  # 300 kbit, and 225 more at 10 kbit/s
    assert one.in_force == meter(100, KERNEL)
    one.run(1.0)
    assert one.in_force == meter(1_000, KERNEL)


def test_what_was_asked_for_and_is_no_more_earns_nothing_for_a_meter_that_was_never_changed() -> None:
    pace, low, high = MeterPace(), MeterBody(100, 10), MeterBody(1_000, KERNEL)
    for wanted, now_s in ((low, 0.0), (high, 0.0), (low, 20.0), (high, 120.0)):
        assert pace.hold({ME: wanted}, (), KERNEL, now_s) == {ME: low}
    assert pace.due_s == pytest.approx(120.0 + 41.5)  # 110 kbit of 525 are earned


def test_what_is_the_same_is_not_written_and_what_is_gone_is_forgotten() -> None:
    pace = MeterPace()
    wanted: dict[int, Meter] = {1: MeterBody(1_000, 200), 2: PacketMeterBody(100, 20)}
    assert pace.hold(wanted, (), USERSPACE, 0.0) == wanted
    assert pace.hold(dict(wanted), (), USERSPACE, 1.0) == wanted and pace.due_s == math.inf
    assert pace.hold({}, (), USERSPACE, 2.0) == {}
    other: dict[int, Meter] = {1: MeterBody(9_000, 1_800), 2: PacketMeterBody(50, 20)}
    assert pace.hold(other, (), USERSPACE, 2.0) == other


def test_the_same_meters_are_not_looked_at_again_until_one_is_due() -> None:
    pace = MeterPace()
    pace.hold({1: meter(20_000, USERSPACE)}, (), USERSPACE, 0.0)
    wanted: dict[int, Meter] = {1: meter(10_000, USERSPACE)}
    pace.hold({1: meter(30_000, USERSPACE)}, (), USERSPACE, 0.0)
    small = pace.hold(wanted, (), USERSPACE, 0.0)
    assert small[1] != wanted[1] and pace.due_s < math.inf
    assert pace.hold(wanted, (), USERSPACE, pace.due_s - 0.001) is small
    whole = pace.hold(wanted, (), USERSPACE, pace.due_s)
    assert whole == wanted and pace.hold(wanted, (), USERSPACE, 1e9) is whole


def test_packet_meters_are_paced_alike() -> None:
    pace, least = MeterPace(), USERSPACE
    pace.hold({1: PacketMeterBody(1_000, 200)}, (), least, 0.0)
    pace.hold({1: PacketMeterBody(500, 200)}, (), least, 0.0)
    assert pace.hold({1: PacketMeterBody(1_000, 200)}, (), least, 0.1) == {1: PacketMeterBody(500, 200)}
    assert pace.hold({1: PacketMeterBody(1_000, 200)}, (), least, 1.0) == {1: PacketMeterBody(1_000, 9)}
