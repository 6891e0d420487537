"""The loop with played switches and hosts; the clock is a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import eventlet
import pytest

from controller.allocation.decision import Move
from controller.allocation.settings import Settings
from controller.measure.counted import counted
from controller.runtime import ticker as module
from controller.runtime.clocks import Clocks
from controller.runtime.poll import Poll
from controller.runtime.sampling import METER_COLUMNS, PORT_COLUMNS, SwitchSample, places_of
from controller.runtime.tick import Tick
from controller.runtime.ticker import Around, Ticker
from controller.stream.messages import HostSample, QueueSample, Rates, VifSample
from controller.world.desired import World, read_world
from tests.support.other_thread import BURNT_S, burn_in_another_thread
from tests.unit.runtime.runtime_worlds import H1, SwitchPlayed, green_until, snapshot, vif, world

LOCAL = "lab"  # an internal segment: what is sent there crosses no queue but the VIF's own
FAST = Settings(interval_s=0.01)
STILL = Clocks(lambda: 1.0, lambda: 0.0)


@dataclass
class HostsPlayed:
    switches: dict[str, SwitchPlayed]
    sent: dict[str, Rates] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    def send_rates(self, chassis: str, rates: Rates) -> None:
        self.sent[chassis] = rates

    def egress_rates_changed(self, chassis: str) -> None:
        self.changed.append(chassis)


class Loop:
    """Two ports that share acme's limit of 60 Mbit/s within one bridge; `tick` lets a second pass."""

    def __init__(self, *vifs: int) -> None:
        self.world = world(*(vif(number, "acme/free", segment=LOCAL, kind="port") for number in vifs or (1, 2)))
        self.switch, self.now_s = SwitchPlayed(), 0.0
        self.hosts = HostsPlayed({"h1": self.switch})
        self.ticker = Ticker(lambda: self.world, self.hosts, Settings(), Clocks(lambda: self.now_s, lambda: 0.0))  # type: ignore[arg-type]
        self.sent_bytes: dict[int, int] = {}
        self.answer_cpu_s = 0.0  # that it takes to read what the switch says

    def tick(self, seconds: float = 1.0, **mbit: int) -> None:
        """mbit: v1=50 says that VIF 1 has sent at 50 Mbit/s for all of these seconds."""
        self.now_s += seconds
        for name, rate in mbit.items():
            number = int(name[1:])
            self.sent_bytes[number] = self.sent_bytes.get(number, 0) + int(rate * 125_000 * seconds)
        self.switch.counted = SwitchSample(
            self.now_s,
            counted({number: (count, 0) for number, count in self.sent_bytes.items()}, METER_COLUMNS),
            counted({number: (count, *[0] * 5) for number, count in self.sent_bytes.items()}, PORT_COLUMNS),
            self.answer_cpu_s,
        )
        self.ticker.tick()


def test_what_passes_is_offered_and_nothing_is_enforced_without_need() -> None:
    loop = Loop()
    for _ in range(3):
        loop.tick(v1=5, v2=7)
    assert loop.ticker.decisions is not None and loop.ticker.ticks == 3
    assert loop.ticker.decisions.egress[1].offered_kbps == pytest.approx(5000, rel=0.01)
    assert loop.hosts.sent == {"h1": Rates()} and loop.hosts.changed == []


def test_an_inner_limit_without_a_queue_is_enforced_and_told_to_agent_and_keeper() -> None:
    loop = Loop()
    for _ in range(5):
        loop.tick(v1=80, v2=80)
    enforced = loop.ticker.enforced_egress_kbps
    assert set(enforced) == {1, 2} and sum(enforced.values()) <= 60_000
    assert loop.hosts.sent["h1"].egress_kbps == enforced and loop.hosts.changed.count("h1") >= 1


def test_a_vif_that_goes_is_forgotten_at_the_next_tick() -> None:
    loop = Loop()
    for _ in range(5):
        loop.tick(v1=80, v2=80)
    loop.world = read_world(snapshot(vif(1, "acme/free", segment=LOCAL, kind="port")), loop.world, 0.0)
    loop.tick(v1=80)
    assert set(loop.hosts.sent["h1"].egress_kbps) <= {1} and loop.ticker.decisions is not None
    assert set(loop.ticker.decisions.egress) == {1}
    loop.world = read_world(snapshot(chassis=()), loop.world, 0.0)
    loop.tick()
    assert loop.ticker.decisions.egress == {}


def test_who_falls_silent_is_soon_unknown() -> None:
    loop = Loop()
    queue = QueueSample(1000, 1, 0, 0)
    loop.ticker.host_sample(HostSample("h1", 1.0, {1: VifSample(shaper=queue)}))
    for _ in range(3):
        loop.tick(v1=5)
    del loop.hosts.switches["h1"]
    for _ in range(6):
        loop.tick()
    assert loop.ticker.decisions is not None and loop.ticker.decisions.egress[1].offered_kbps is None


def test_after_a_tick_that_fails_the_next_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    for _ in range(5):
        loop.tick(v1=80, v2=80)
    enforced = dict(loop.ticker.enforced_egress_kbps)
    ticker = Ticker(lambda: loop.world, loop.hosts, FAST, STILL)  # type: ignore[arg-type]
    ticker.enforced_egress_kbps = enforced
    with monkeypatch.context() as broken:
        broken.setattr(module, "advance", failing)
        thread = eventlet.spawn(ticker.run)
        eventlet.sleep(0.1)
        assert ticker.ticks == 0 and ticker.enforced_egress_kbps == enforced
    green_until(lambda: ticker.ticks > 0, "it ticks again")
    thread.kill()


def test_a_tick_that_fails_lets_nobody_loose(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop()
    clocks = Clocks(lambda: loop.now_s, lambda: 0.0)
    loop.ticker = Ticker(lambda: loop.world, loop.hosts, FAST, clocks)  # type: ignore[arg-type]
    for _ in range(5):
        loop.tick(FAST.interval_s, v1=80, v2=80)
    enforced, ticks = dict(loop.ticker.enforced_egress_kbps), loop.ticker.ticks
    with monkeypatch.context() as broken:
        broken.setattr(module, "advance", failing)
        thread = eventlet.spawn(loop.ticker.run)
        green_until(lambda: loop.ticker.decisions is None, "a tick has failed")
    assert loop.ticker.fault is not None and "a tick failed: ArithmeticError: surprise. See" in loop.ticker.fault
    green_until(lambda: loop.ticker.ticks > ticks, "it ticks again")
    assert set(enforced) == {1, 2} and loop.ticker.enforced_egress_kbps == enforced
    thread.kill()


def failing(*_: object) -> None:
    raise ArithmeticError("surprise")


def test_a_switch_that_keeps_silent_holds_nobody_up_and_is_not_asked_twice() -> None:
    quick, mute = SwitchPlayed(), SwitchPlayed("00000000000000bb")
    mute.mute = True
    poll, switches = Poll(), {"h1": quick, "h2": mute}
    for _ in range(3):
        assert set(poll.samples(switches, 0.05)) == {"h1"}  # type: ignore[arg-type]
    assert (quick.asked, mute.asked) == (3, 1)
    mute.mute = False
    green_until(lambda: "h2" in poll.samples(switches, 0.05), "it answers")  # type: ignore[arg-type]


def test_a_switch_whose_statistics_fail_takes_no_other_with_it() -> None:
    fine, broken = SwitchPlayed(), SwitchPlayed("00000000000000bb")
    broken.sample = failing  # type: ignore[method-assign,assignment]
    assert set(Poll().samples({"h1": fine, "h2": broken}, 1.0)) == {"h1"}  # type: ignore[dict-item]


def test_a_new_connection_is_asked_though_the_old_one_has_not_answered() -> None:
    old, new = SwitchPlayed(), SwitchPlayed()
    old.mute = True
    poll = Poll()
    assert poll.samples({"h1": old}, 0.02) == {}  # type: ignore[dict-item]
    assert set(poll.samples({"h1": new}, 1.0)) == {"h1"}  # type: ignore[dict-item]
    old.mute = False


def paces(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    """What was said of the pace, and how loud."""
    found = [one for one in caplog.records if one.msg.startswith("a tick every")]
    return [(one.levelname, one.args[0]) for one in found if isinstance(one.args, tuple)]


def test_a_loop_that_is_dear_ticks_less_often_and_reckons_with_it(caplog: pytest.LogCaptureFixture) -> None:
    loop, told_s = Loop(), list[float]()
    around = Around(remember=lambda tick, _: told_s.append(tick.interval_s))
    ticker = Ticker(lambda: loop.world, loop.hosts, Settings(), Clocks(lambda: loop.now_s, lambda: 0.0), around)  # type: ignore[arg-type]
    loop.ticker, loop.answer_cpu_s = ticker, 0.2
    with caplog.at_level("INFO", "weir.loop"):
        for _ in range(15):
            loop.tick(v1=5)
    assert paces(caplog) == [("WARNING", ticker.interval_s)]
    assert ticker.interval_s >= 4 and ticker.cpu_share is not None and ticker.cpu_share >= 0.2
    for _ in range(5):
        loop.tick(seconds=ticker.interval_s, v1=5)
        assert ticker.decisions is not None
        assert ticker.decisions.egress[1].offered_kbps == pytest.approx(5000, rel=0.01)
    assert (told_s[0], told_s[-1]) == (1.0, ticker.interval_s), "history and metrics tell the pace in force"
    caplog.clear()
    loop.answer_cpu_s = 0.0
    with caplog.at_level("INFO", "weir.loop"):
        for _ in range(15):
            loop.tick(seconds=ticker.interval_s, v1=5)
    assert ticker.interval_s == 1.0 and paces(caplog)[-1] == ("INFO", 1.0)


def test_what_agents_cost_does_not_slow_the_loop_down_and_too_much_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = Loop()
    clocks, around = Clocks(lambda: loop.now_s, lambda: 0.0), Around(spent_s=lambda: 0.06 * loop.now_s)
    loop.ticker = Ticker(lambda: loop.world, loop.hosts, Settings(), clocks, around)  # type: ignore[arg-type]
    for _ in range(60):
        loop.tick(seconds=loop.ticker.interval_s, v1=5)
    assert loop.ticker.interval_s == 1.0 and loop.ticker.cpu_share is not None and loop.ticker.cpu_share >= 0.06
    assert len([one for one in caplog.messages if "reading what agents say" in one]) == 1


def test_processor_time_of_other_native_threads_is_not_the_loops() -> None:
    class Busy:
        def act(self, tick: Tick) -> list[Move]:
            burn_in_another_thread()
            return []

    loop = Loop()
    clocks, around = Clocks(lambda: loop.now_s, lambda: 0.0), Around(actors=[Busy()])
    loop.ticker = Ticker(lambda: loop.world, loop.hosts, Settings(), clocks, around)  # type: ignore[arg-type]
    for _ in range(2):
        loop.tick(v1=5)
    assert loop.ticker.cpu_share is not None and loop.ticker.cpu_share < BURNT_S / 2


def test_many_chassis_cost_no_more_than_their_vifs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where VIFs are is looked up when the world changes alone."""
    rows = tuple(replace(H1, name=f"h{n}", datapath_id=f"{n:016x}") for n in range(100))
    vifs = [vif(n + 1, chassis=f"h{n}", segment=LOCAL) for n in range(100)]
    made = read_world(snapshot(*vifs, chassis=rows), World(), 0.0)
    looked: list[object] = []
    monkeypatch.setattr(module, "places_of", counting(looked, places_of))
    hosts = HostsPlayed({})
    ticker = Ticker(lambda: made, hosts, Settings(), STILL)  # type: ignore[arg-type]
    looked.clear()
    for _ in range(3):
        ticker.tick()
    assert len(looked) == 1 and len(hosts.sent) == 100


def counting(calls: list[object], function: Callable[..., object]) -> Callable[..., object]:
    def counted(*args: object) -> object:
        calls.append(args)
        return function(*args)

    return counted
