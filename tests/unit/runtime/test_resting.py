"""Switches of still hosts are asked seldom, and at once when something moves; what they count is in the rates."""

from __future__ import annotations

from itertools import pairwise

import pytest

from controller.allocation.settings import Settings
from controller.measure.counted import counted
from controller.runtime.clocks import Clocks
from controller.runtime.resting import FRESH_S, MOST_REST_TICKS, STILL_SAMPLES, Resting
from controller.runtime.sampling import METER_COLUMNS, PORT_COLUMNS, SwitchSample
from controller.runtime.ticker import Ticker
from controller.stream.messages import HostSample, Rates
from tests.unit.runtime.runtime_worlds import SwitchPlayed, vif, world


class Polled:
    """A tick passes with each look; says whether the switch was asked."""

    def __init__(self, kind: str = "veth", interval_s: float = 1.0) -> None:
        self.now_s, self.interval_s, self.resting = 100.0, interval_s, Resting()
        self.switches = {"h1": SwitchPlayed()}
        self.world = world(vif(1, kind=kind))
        self.hear()
        self.resting.changed(self.world)

    def hear(self, still: bool = True) -> None:
        self.resting.heard(HostSample("h1", self.now_s, still=still), self.now_s)

    def look(self, still: bool | None = True) -> bool:
        """still: what the agent says; None: nothing."""
        self.now_s += self.interval_s
        if still is not None:
            self.hear(still)
        asked = self.resting.awake(self.switches, self.now_s, self.interval_s)  # type: ignore[arg-type]
        self.resting.answered({name: SwitchSample(self.now_s) for name in asked})
        return bool(asked)


@pytest.mark.parametrize("interval_s", [0.2, 1.0, 2.0])
def test_it_rests_when_nothing_has_moved_for_a_while_but_never_until_its_rates_are_stale(interval_s: float) -> None:
    polled = Polled(interval_s=interval_s)
    looks = [polled.look() for _ in range(30)]
    assert looks[: STILL_SAMPLES - 1] == [True] * (STILL_SAMPLES - 1)
    assert looks.count(True) <= STILL_SAMPLES + 30 / MOST_REST_TICKS
    asked = [place for place, was in enumerate(looks) if was]
    assert max(later - earlier for earlier, later in pairwise(asked)) <= MOST_REST_TICKS
    assert Settings().stale_after_ticks > MOST_REST_TICKS


def test_it_is_asked_at_once_when_something_moves_or_changes_or_nobody_says() -> None:
    polled = Polled()
    rest(polled)
    assert polled.look(still=False)
    rest(polled)
    polled.resting.changed(polled.world)
    assert polled.look()
    rest(polled)
    silent = [polled.look(still=None) for _ in range(int(FRESH_S) + 3)]
    assert all(silent[int(FRESH_S) :])


def test_what_no_link_counts_never_rests() -> None:
    polled = Polled("vhost-user")
    assert all(polled.look() for _ in range(10))


def rest(polled: Polled) -> None:
    while polled.look():
        pass


def test_a_switch_that_never_answered_is_asked_every_time() -> None:
    resting = Resting()
    resting.changed(world(vif(1)))
    for second in range(10):
        resting.heard(HostSample("h1", second, still=True), second)
        assert resting.awake({"h1": SwitchPlayed()}, second, 1.0)  # type: ignore[dict-item]


def test_of_a_chassis_that_is_gone_nothing_is_kept() -> None:
    polled = Polled()
    polled.resting.changed(world(vif(1), chassis=()))
    assert not polled.resting._hosts


class Hosts:
    def __init__(self, switch: SwitchPlayed) -> None:
        self.switches = {"h1": switch}

    def send_rates(self, chassis: str, rates: Rates) -> None: ...

    def egress_rates_changed(self, chassis: str) -> None: ...


class Trickle:
    """One VIF, of which the switch alone tells, and an agent that finds its host still."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s, self.now_s, self.sent_bytes = interval_s, 50.0, 0.0
        self.switch, self.world = SwitchPlayed(), world(vif(1, "acme/free"))
        clocks = Clocks(lambda: self.now_s, lambda: 0.0)
        self.ticker = Ticker(lambda: self.world, Hosts(self.switch), Settings(interval_s), clocks)  # type: ignore[arg-type]

    def tick(self, kbps: float, still: bool = True) -> float | None:
        """What the loop says that the VIF offers, after one more interval at this rate."""
        self.now_s += self.interval_s
        self.sent_bytes += kbps * 125 * self.interval_s
        count = round(self.sent_bytes)
        self.switch.counted = SwitchSample(
            self.now_s, counted({1: (count, 0)}, METER_COLUMNS), counted({1: (count, *[0] * 5)}, PORT_COLUMNS)
        )
        self.ticker.host_sample(HostSample("h1", self.now_s, still=still))
        self.ticker.tick()
        assert self.ticker.decisions is not None
        return self.ticker.decisions.egress[1].offered_kbps


@pytest.mark.parametrize("interval_s", [0.2, 1.0])
def test_little_traffic_shows_at_its_rate_whether_the_switch_rests_or_not(interval_s: float) -> None:
    trickle = Trickle(interval_s)
    rates = [trickle.tick(30) for _ in range(30)]
    assert trickle.switch.asked < 15, "it did not rest"
    assert rates[1:] == [pytest.approx(30, rel=0.01)] * 29


def test_what_comes_after_a_rest_is_the_mean_of_all_that_was_counted_in_it() -> None:
    trickle = Trickle(1.0)
    for _ in range(10):
        trickle.tick(0)
    asked = trickle.switch.asked
    while trickle.switch.asked == asked:
        trickle.tick(0)
    trickle.tick(0)
    assert trickle.switch.asked == asked + 1, "it rests in the tick after it was asked"
    rate = trickle.tick(100, still=False)
    assert rate == pytest.approx(50, rel=0.01) and trickle.tick(100, still=False) == pytest.approx(100, rel=0.01)


def test_samples_of_a_chassis_that_is_gone_are_not_kept() -> None:
    trickle = Trickle(1.0)
    trickle.tick(0)
    assert set(trickle.ticker._samples) == {"h1"}
    trickle.world = world(chassis=())
    trickle.ticker.tick()
    assert not trickle.ticker._samples
