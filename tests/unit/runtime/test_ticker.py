"""The loop with played switches and hosts; the clock is a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import eventlet
import pytest

from controller.allocation.samples import MeterCounters, PortCounters
from controller.allocation.settings import Settings
from controller.runtime import ticker as module
from controller.runtime.poll import Poll
from controller.runtime.sampling import SwitchSample
from controller.runtime.ticker import Ticker
from controller.stream.messages import HostSample, QueueSample, Rates, VifSample
from controller.world.desired import World, read_world
from tests.unit.runtime.runtime_worlds import H1, SwitchPlayed, green_until, snapshot, vif, world

LOCAL = "lab"  # an internal segment: what is sent there crosses no queue but the VIF's own
FAST = Settings(interval_s=0.01)


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
        self.ticker = Ticker(lambda: self.world, self.hosts, Settings(), lambda: self.now_s)  # type: ignore[arg-type]
        self.sent_bytes: dict[int, int] = {}

    def tick(self, seconds: float = 1.0, **mbit: int) -> None:
        """mbit: v1=50 says that VIF 1 has sent at 50 Mbit/s for all of these seconds."""
        self.now_s += seconds
        for name, rate in mbit.items():
            number = int(name[1:])
            self.sent_bytes[number] = self.sent_bytes.get(number, 0) + int(rate * 125_000 * seconds)
        self.switch.counted = SwitchSample(
            self.now_s,
            {number: MeterCounters(count, 0) for number, count in self.sent_bytes.items()},
            {number: PortCounters(count, 0) for number, count in self.sent_bytes.items()},
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
    ticker = Ticker(lambda: loop.world, loop.hosts, FAST, lambda: 0.0)  # type: ignore[arg-type]
    ticker.enforced_egress_kbps = enforced
    with monkeypatch.context() as broken:
        broken.setattr(module, "step", failing)
        thread = eventlet.spawn(ticker.run)
        eventlet.sleep(0.1)
        assert ticker.ticks == 0 and ticker.enforced_egress_kbps == enforced
    green_until(lambda: ticker.ticks > 0, "it ticks again")
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


def test_many_chassis_cost_no_more_than_their_vifs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each VIF is looked at a bounded number of times a tick, however many chassis there are."""
    rows = tuple(replace(H1, name=f"h{n}", datapath_id=f"{n:016x}") for n in range(100))
    vifs = [vif(n + 1, chassis=f"h{n}", segment=LOCAL) for n in range(100)]
    made = read_world(snapshot(*vifs, chassis=rows), World(), 0.0)
    looked, real = [], module.vif_counters
    monkeypatch.setattr(module, "vif_counters", counting(looked, real))
    hosts = HostsPlayed({})
    Ticker(lambda: made, hosts, Settings(), lambda: 1.0).tick()  # type: ignore[arg-type]
    assert len(looked) == 100 and len(hosts.sent) == 100


def counting(calls: list[object], function: Callable[..., object]) -> Callable[..., object]:
    def counted(*args: object) -> object:
        calls.append(args)
        return function(*args)

    return counted
