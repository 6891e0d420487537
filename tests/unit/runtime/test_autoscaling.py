"""The actor that moves guarantees, buffers and processor time, with played demands; the clock is a number."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest

from controller.allocation.counters import CounterState, nothing_seen
from controller.allocation.samples import PORT_RX_PACKETS, PORT_TX_PACKETS
from controller.runtime import autoscaling as module
from policies.hierarchy import Member
from policies.model import PolicySet
from policies.surplus import fitted
from tests.support.scaled_loop import MOVES, POLICY, Loop, demand
from tests.unit.runtime.runtime_worlds import vif


def test_a_demand_that_stands_moves_the_guarantee_and_says_why() -> None:
    loop = Loop(vif(1, "web"))
    (move,) = loop.tick({1: demand(13_500.0)}, seconds=10)
    assert (move.vif, move.direction, move.what, move.before, move.after) == (1, "egress", "guarantee", 10_000, 15_000)
    assert move.why == "demand 13.5 Mbit/s stood above 90 % of 10 Mbit/s for 2 s"
    assert move.inputs == {"demand_kbps": 13_500.0, "wanted_kbps": 15_000.0}
    assert loop.snapshot.interfaces["v1"].scaled == {"egress_kbps": 15_000}


def test_who_is_held_back_doubles_until_no_more_is_free_and_gives_it_back_when_idle() -> None:
    loop = Loop(vif(1, "web"), vif(2, "other"))
    moves = loop.tick({1: demand(9_000.0, limited=True)}, seconds=20)
    assert [move.after for move in moves] == [20_000, 40_000, 50_000]
    assert moves[0].why == "it wanted more than it got, above 90 % of 10 Mbit/s, for 2 s"
    assert moves[-1].why.endswith("; no more is free")
    moves = loop.tick({1: demand(0.0)}, seconds=40)
    assert [move.after for move in moves] == [25_000, 12_500, 6_250, 5_000]
    assert moves[0].why == "demand 0 Mbit/s stood below 40 % of 50 Mbit/s for 4 s"


def test_a_promise_to_somebody_new_takes_it_back_with_the_next_tick() -> None:
    loop = Loop(vif(1, "web"))
    loop.tick({1: demand(1.0, limited=True)}, seconds=20)
    assert loop.kbps("v1") == 80_000
    loop.interfaces(vif(2, "other"))
    (move,) = loop.tick({1: demand(1.0, limited=True)})
    assert (move.before, move.after) == (80_000, 50_000)
    assert move.why == "given back: others are promised it, or have their part of what is free"


def test_two_that_grow_share_what_is_free() -> None:
    loop = Loop(vif(1, "web"), vif(2, "other"))
    loop.tick({1: demand(1.0, limited=True)}, seconds=20)
    loop.interfaces(vif(3, "web"))
    loop.tick({1: demand(1.0, limited=True), 3: demand(1.0, limited=True)}, seconds=20)
    assert (loop.kbps("v1"), loop.kbps("v3")) == (25_000, 25_000)
    assert not loop.tick({1: demand(1.0, limited=True), 3: demand(1.0, limited=True)}, seconds=20)


def test_what_the_policy_denies_is_no_demand() -> None:
    denied = replace(demand(50_000.0), demand_kbps=7_000.0)
    assert Loop(vif(1, "web")).tick({1: denied}, seconds=20) == []


def test_without_statistics_nothing_moves() -> None:
    assert Loop(vif(1, "web")).tick({1: demand(None)}, seconds=20) == []
    assert Loop(vif(1, "web")).tick({}, seconds=20) == []


def test_a_new_actor_keeps_what_was_moved_and_begins_the_time_anew() -> None:
    loop = Loop(vif(1, "web", scaled={"egress_kbps": 33_000}))
    assert loop.tick({1: demand(33_000.0)}, seconds=2) == []
    (move,) = loop.tick({1: demand(33_000.0)}, seconds=1)
    assert move.before == 33_000


def test_a_policy_that_moves_less_or_nothing_takes_it_in() -> None:
    loop = Loop(vif(1, "web", scaled={"egress_kbps": 70_000, "cpu_permille": 300}))
    loop.change(replace(loop.snapshot, files={"p.yaml": POLICY.replace("max: 80 mbit", "max: 60 mbit")}))
    moves = {move.what: move for move in loop.tick({1: demand(50_000.0)})}
    assert moves["guarantee"].after == 60_000
    assert moves["guarantee"].why == "the policy keeps it within 5 Mbit/s to 60 Mbit/s"
    assert (moves["cpu"].before, moves["cpu"].after) == (0.3, None)
    loop.change(
        replace(loop.snapshot, files={"p.yaml": POLICY.replace(MOVES, "weight: 1").replace(", weight: 1}", "}")})
    )
    (move,) = loop.tick({1: demand(50_000.0)})
    assert (move.after, move.why) == (None, "the policy moves it no more")
    assert loop.snapshot.interfaces["v1"].scaled == {}


def test_what_is_not_written_yet_counts_as_in_force() -> None:
    """Else two ticks in a row would give the same away twice."""
    loop = Loop(vif(1, "web"), vif(2, "web"), vif(3, "other"), loses=True)
    loop.tick({1: demand(1.0, limited=True)}, seconds=3)
    loop.tick({1: demand(1.0, limited=True), 2: demand(1.0, limited=True)}, seconds=20)
    last: dict[str, int] = {}
    for written in loop.written:
        last |= {name: numbers["egress_kbps"] for name, numbers in written.items()}
    assert last == {"v1": 25_000, "v2": 25_000}


def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Becomes longer with each time that room is looked for."""
    found = list[int]()

    def counting(policies: PolicySet, members: Collection[Member]) -> list[Member]:
        found.append(len(members))
        return fitted(policies, members)

    monkeypatch.setattr(module, "fitted", counting)
    return found


def test_room_is_looked_for_when_somebody_moves_and_not_when_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = fits(monkeypatch)
    loop = Loop(vif(1, "web"), vif(2, "buffered"))
    loop.tick({1: demand(13_500.0), 2: demand(16_000.0)})
    assert len(looked) == 1  # the first world
    moves = loop.tick({1: demand(13_500.0), 2: demand(16_000.0)}, seconds=30)
    assert {(move.vif, move.what) for move in moves} == {(1, "guarantee"), (2, "buffer")}
    assert len(looked) == 2
    rows = loop.snapshot.interfaces
    loop.interfaces(replace(rows["v2"], cfg=9, state="failed"))
    loop.tick({1: demand(13_500.0)})
    assert len(looked) == 2  # an agent's report concerns no guarantee
    assert Loop(*loop.snapshot.interfaces.values()).tick({1: demand(13_500.0)}) == []  # there was nothing to find


@pytest.mark.parametrize("what", ["a VIF", "a place", "a number", "somebody else's write", "a policy"])
def test_room_is_looked_for_when_others_change_what_concerns_it(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    loop = Loop(vif(1, "web"), vif(2, "other"))
    loop.tick({1: demand(13_500.0)}, seconds=6)
    looked = fits(monkeypatch)
    loop.tick({1: demand(13_500.0)})
    assert not looked
    one, other = (loop.snapshot.interfaces[name] for name in ("v1", "v2"))
    if what == "a policy":
        loop.change(replace(loop.snapshot, files={"p.yaml": POLICY.replace("40 mbit", "41 mbit")}))
    else:
        changed = {
            "a VIF": vif(3, "other"),
            "a place": replace(other, chassis=None),
            "a number": replace(other, egress={"guarantee_kbps": 20_000}),
            "somebody else's write": replace(one, scaled={"egress_kbps": 16_000}),
        }
        loop.interfaces(changed[what])
    loop.tick({1: demand(13_500.0)})
    assert len(looked) == 1


def test_moves_of_many_are_written_together() -> None:
    """Each begins to want more at another second."""
    policy = POLICY.replace("guarantee: 10 mbit", "guarantee: 1 mbit").replace("min: 5", "min: 1").replace("2 s", "5 s")
    count = 20
    loop = Loop(*(vif(number, "web") for number in range(1, count + 1)), policy=policy)
    moved: dict[int, set[int]] = {}
    for second in range(60):
        figures = {number: demand(1_350.0 if second >= number else 800.0) for number in range(1, count + 1)}
        if moves := loop.tick(figures):
            moved[second] = {move.vif for move in moves}
    assert set().union(*moved.values()) == set(range(1, count + 1)) and sum(map(len, moved.values())) == count
    when = sorted(moved)
    assert all(later - before >= 5 for before, later in itertools.pairwise(when)) and len(when) <= 5
    assert all(second - number <= 5 + 5 for second, vifs in moved.items() for number in vifs)


def test_a_buffer_follows_the_rate_and_its_target_delay() -> None:
    loop = Loop(vif(1, "buffered"))
    (move,) = loop.tick({1: demand(16_000.0)}, seconds=40)
    assert (move.what, move.before, move.after) == ("buffer", 262_144, 40_000)  # 16 Mbit/s for 20 ms
    assert move.why == "rate x target delay = 39.06 KiB stood below 80 % of 256 KiB for 10 s"
    (move,) = loop.tick({1: demand(48_000.0)}, seconds=4)
    assert move.after == 120_000
    assert move.why == "rate x target delay = 117.2 KiB stood above 125 % of 39.06 KiB for 2 s"


def test_processor_time_grows_while_the_budget_of_packets_is_exhausted() -> None:
    loop = Loop(vif(1, "costly"))
    counted = nothing_seen_but(1, 15_000.0)  # at 10 us a packet: 15 % of a core
    moves = loop.tick({1: demand(1.0)}, counted, seconds=20)
    assert [(move.what, move.before, move.after) for move in moves] == [("cpu", 0.1, 0.167)]
    assert moves[0].why == "work worth 15 % of a core stood above 90 % of 10 % of a core for 5 s"
    assert loop.tick({1: demand(1.0)}, nothing_seen_but(1, 0.0), seconds=40)[-1].after == pytest.approx(0.1)


def nothing_seen_but(number: int, pps: float) -> CounterState:
    state = nothing_seen(np.array([number]))
    rate = state.rate.copy()
    rate[0, [PORT_RX_PACKETS, PORT_TX_PACKETS]] = pps * 2 / 3, pps / 3
    return replace(state, rate=rate)
