"""What fails beside dividing keeps nobody from their rates, and is told of; the clock is a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from controller.allocation.decision import Move
from controller.allocation.settings import Settings
from controller.runtime.clocks import Clocks
from controller.runtime.failures import KEPT_S
from controller.runtime.tick import Tick
from controller.runtime.ticker import Around, Ticker
from tests.unit.runtime.test_ticker import Loop, failing

MOVE = Move(1, "egress", "class normal", None, 5000, "because", {})


def ticker_of(loop: Loop, around: Around, interval_s: float = 1.0) -> Ticker:
    clocks = Clocks(lambda: loop.now_s, lambda: 0.0)
    return Ticker(lambda: loop.world, loop.hosts, Settings(interval_s=interval_s), clocks, around)  # type: ignore[arg-type]


class ActorPlayed:
    """Caps VIF 1 while it is well. told: the ticks that it was told of."""

    def __init__(self) -> None:
        self.is_ill, self.told = False, list[Tick]()
        self.class_kbps: Mapping[int, Mapping[str, int]] = {}

    def act(self, tick: Tick) -> Sequence[Move]:
        self.told.append(tick)
        if self.is_ill:
            raise ZeroDivisionError("division by zero")
        self.class_kbps = {1: {"normal": 5000 + len(self.told)}}
        return [MOVE]


def test_an_actor_that_fails_keeps_nobody_from_what_it_may_have_and_is_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop, ill, well, kept = Loop(), ActorPlayed(), ActorPlayed(), list[Sequence[Move]]()
    ill.is_ill = True
    around = Around(actors=[ill], caps=well, remember=lambda _, moves: kept.append(moves))
    loop.ticker = ticker_of(loop, around)
    for _ in range(5):
        loop.tick(v1=80, v2=80)
    sent = loop.hosts.sent["h1"]
    assert set(sent.egress_kbps) == {1, 2} and loop.hosts.changed
    assert sent.class_kbps == well.class_kbps  # of this tick, not of the one before
    assert kept == [[MOVE]] * 5 and len(ill.told) == 5
    assert loop.ticker.fault is not None and "ActorPlayed failed: ZeroDivisionError: division by" in loop.ticker.fault
    assert [one.exc_info is not None for one in caplog.records if "ActorPlayed" in one.getMessage()] == [True]  # once
    ill.is_ill = False
    loop.tick(v1=80, v2=80)
    assert loop.ticker.fault is not None and "division by zero" in loop.ticker.fault
    for _ in range(int(KEPT_S)):
        loop.tick(v1=80, v2=80)
    assert loop.ticker.fault is None


@pytest.mark.parametrize("caps_are_ill", [False, True])
def test_whatever_fails_beside_dividing_statistics_stay(caps_are_ill: bool) -> None:
    loop, actor = Loop(), ActorPlayed()
    around = Around(paths=failing, remember=failing) if not caps_are_ill else Around(caps=actor)  # type: ignore[arg-type]
    loop.ticker = ticker_of(loop, around)
    loop.tick(v1=5)
    caps, actor.is_ill = loop.hosts.sent["h1"].class_kbps, True
    for _ in range(3):
        loop.tick(v1=5)
    assert loop.ticker.decisions is not None and loop.ticker.fault is not None
    assert loop.ticker.decisions.egress[1].offered_kbps == pytest.approx(5000, rel=0.01)
    assert loop.hosts.sent["h1"].class_kbps == caps


def test_actors_are_told_how_far_apart_ticks_are_meant_to_be() -> None:
    loop, actor = Loop(), ActorPlayed()
    loop.ticker = ticker_of(loop, Around(actors=[actor]), interval_s=20.0)
    loop.tick(20.0)
    assert [tick.interval_s for tick in actor.told] == [20.0]
