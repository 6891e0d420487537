"""Who gives way for whom, what is said of it, and that it ends; the ticks are played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.allocation.class_figures import ClassFigures
from controller.allocation.decision import Decision, Decisions, Move
from controller.allocation.yielding import Pace
from controller.measure.path import PathFigures, VifPaths
from controller.runtime.giving_way import scene_of, yielders
from controller.runtime.objectives import GivingWay
from controller.runtime.tick import Tick
from controller.world.desired import World, read_world
from tests.support.controller_process import numbers_of
from tests.unit.runtime.runtime_worlds import snapshot, vif

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0}
  yard: {type: bridged, uplink: up1}
  lab: {type: internal}
links:
  up0: {capacity: 100 mbit}
classes:
  fast: {share: 30 %}
  normal: {share: 60 %}
  bulk: {share: 10 %}
policies:
  quiet: {egress: {guarantee: 5 mbit}, slo: {latency: 5 ms, loss: 1 %}}
  lossless: {egress: {guarantee: 5 mbit}, slo: {loss: 0 %}}
  sure: {egress: {guarantee: 20 mbit}}
  free: {}
  split: {egress: {guarantee: 10 mbit}, slo: {latency: 5 ms}, rules: [allow: {class: fast, service: tcp/1}]}
  parted: {rules: [allow: {class: bulk, service: tcp/1}]}
"""
QUIET, SURE, FREE = 1, 2, 3


def world(**policies: str) -> World:
    """VIFs by the policies given, v1=..., else a quiet one, a sure one, a free one."""
    leaves = policies or {"v1": "quiet", "v2": "sure", "v3": "free"}
    rows = [vif(int(name[1:]), leaf) for name, leaf in leaves.items()]
    made = snapshot(*rows)
    return read_world(replace(made, files={"p.yaml": POLICY}, numbers=numbers_of(POLICY)), World(), 0.0)


def offering(kbps: float, limited: bool = False) -> Decision:
    demand = float("inf") if limited else kbps
    return Decision(kbps, kbps, 0.0, 0.0, limited, demand, kbps, None)


def paths(p99_ms: float, loss: float = 0.0) -> VifPaths:
    whole = PathFigures(p99_ms / 2, p99_ms, 0.1, loss, 200, 10.0)
    return VifPaths(whole, lately=VifPaths(replace(whole, window_s=2.0)))


def figures(kbps: float) -> ClassFigures:
    return ClassFigures(kbps, kbps, 0.0, 0, 0, 0)


class Played:
    """The loop's view of `world`, second by second."""

    def __init__(self, here: World) -> None:
        self.world, self.now_s, self.actor, self.interval_s = here, 100.0, GivingWay(), 1.0
        self.offered: dict[int, Decision] = {
            QUIET: offering(1e3), SURE: offering(60e3, True), FREE: offering(39e3, True)
        }  # fmt: skip

    def second(self, seen: Mapping[int, VifPaths], times: int = 1) -> list[Move]:
        moves = list[Move]()
        for _ in range(times):
            self.now_s += self.interval_s
            decisions = Decisions(self.offered, self.offered, (), {})
            wall_s = 1e9 + self.now_s
            tick = Tick(1, self.now_s, wall_s, self.world, {}, decisions, dict(seen), interval_s=self.interval_s)
            moves += self.actor.act(tick)
        return moves


def test_nobody_gives_way_while_objectives_hold() -> None:
    played = Played(world())
    assert played.second({QUIET: paths(2.0)}, 30) == [] and played.actor.class_kbps == {}
    assert played.actor.lines == [] and played.actor.document()["links"] == {}


def test_others_give_way_down_to_what_they_are_guaranteed() -> None:
    played = Played(world())
    moves = played.second({QUIET: paths(50.0)}, 4)
    first = played.actor.class_kbps
    assert set(first) == {SURE, FREE} and all(set(own) == {"normal"} for own in first.values())
    assert 20_000 <= first[SURE]["normal"] < 60_000 and first[FREE]["normal"] < 39_000
    assert {(move.vif, move.what, move.before) for move in moves} == {
        (2, "class normal", None),
        (3, "class normal", None),
    }
    assert moves[0].inputs["latency_ms"] == 50.0 and moves[0].inputs["latency_target_ms"] == 5.0
    assert moves[0].why == "an objective of v1 is violated: others on uplink up0 of h1 give way"
    for _ in range(20):
        caps = played.actor.class_kbps
        played.offered = {
            number: offering(min(seen.offered_kbps or 0.0, caps.get(number, {}).get("normal", 1e9)), seen.limited)
            for number, seen in played.offered.items()
        }
        played.second({QUIET: paths(50.0)})
    caps = played.actor.class_kbps
    assert caps[SURE]["normal"] == 20_001 or caps[SURE]["normal"] == 20_000
    assert 0 < caps[FREE]["normal"] < 2_000  # its floor
    (line,) = played.actor.lines
    assert line.startswith("VIF v1: p99 latency 50 ms, objective 5 ms: nothing is left on uplink up0 of h1")


def test_it_is_given_back_when_the_objectives_hold_and_at_once_when_there_are_none() -> None:
    played = Played(world())
    played.second({QUIET: paths(50.0)}, 4)
    low = played.actor.class_kbps[FREE]["normal"]
    moves = played.second({QUIET: paths(1.0)}, 12)
    assert played.actor.class_kbps[FREE]["normal"] > low
    assert moves[0].why == "the objectives of v1 hold: who gave way on uplink up0 of h1 gets it back"
    played.world = world(v2="sure", v3="free")
    moves = played.second({}, 1)
    assert played.actor.class_kbps == {} and [move.after for move in moves] == [None, None]
    assert moves[0].why == "the objectives of v1 no longer need anybody on uplink up0 of h1 to give way"


def test_what_helps_nothing_ends_and_is_not_tried_again_at_once() -> None:
    played = Played(world())
    played.second({QUIET: paths(50.0)}, 60)
    assert played.actor.class_kbps == {}
    assert "and it was no better for it" in played.actor.lines[0]
    assert played.second({QUIET: paths(50.0)}, 60) == []
    played.second({QUIET: paths(1.0)}, 2)
    assert played.second({QUIET: paths(50.0)}, 60) == []  # nor when it held meanwhile


def test_a_loss_of_nothing_at_all_that_cannot_be_had_ends_as_any_other() -> None:
    played = Played(world(v1="lossless", v2="sure", v3="free"))
    played.second({QUIET: paths(1.0, loss=0.005)}, 120)
    assert played.actor.class_kbps == {}
    assert "and it was no better for it" in played.actor.lines[0]


def test_where_nobody_could_give_way_nobody_who_comes_is_held_back() -> None:
    played = Played(world(v1="quiet"))
    played.second({QUIET: paths(50.0)}, 4)
    played.second({QUIET: paths(1.0)}, 10)
    assert played.actor.document()["links"] == {}
    played.world = world(v1="quiet", v3="free")
    played.offered |= {FREE: offering(80e3, True)}
    played.second({QUIET: paths(1.0)}, 10)
    assert played.actor.class_kbps == {}


def test_who_comes_while_there_is_nothing_left_is_held_back_for_a_while_only() -> None:
    played = Played(world(v1="quiet"))
    played.second({QUIET: paths(50.0)}, 4)
    played.world = world(v1="quiet", v3="free")
    for _ in range(180):
        caps = played.actor.class_kbps
        played.offered |= {FREE: offering(min(80e3, caps.get(FREE, {}).get("normal", 1e9)), True)}
        played.second({QUIET: paths(1.0)})
    assert played.actor.class_kbps == {} and played.actor.document()["links"] == {}


def test_who_is_cut_as_another_wakes_is_not_told_of_a_violation() -> None:
    played = Played(world())
    played.offered |= {FREE: offering(0.0)}
    played.second({QUIET: paths(50.0)}, 6)
    played.second({QUIET: paths(1.0)}, 20)
    played.offered |= {FREE: offering(39e3, True)}
    moves = played.second({QUIET: paths(1.0)}, 4)
    cuts = [move for move in moves if move.before is not None and move.after is not None and move.after < move.before]
    assert cuts and {move.why for move in cuts} == {
        "others on uplink up0 of h1 want more of what is left to them while the objectives of v1 recover"
    }


def test_who_claims_to_wait_again_and_again_holds_others_back_ever_less() -> None:
    """Else it needs only to answer once in a while."""
    played, held_back = Played(world()), list[int]()
    for _ in range(3):
        seconds = 0
        for _ in range(40):
            played.second({QUIET: paths(50.0)}, 15)
            seconds += 15 if played.actor.class_kbps else 0
            played.second({QUIET: paths(1.0)}, 1)
            played.second({QUIET: paths(50.0)}, 44)
            seconds += 44 if played.actor.class_kbps else 0
        held_back.append(seconds)
    assert 0 < sum(held_back) < 0.1 * 3 * 40 * 60
    assert held_back[0] > held_back[1] >= held_back[2]


def test_who_claims_to_wait_long_does_not_end_it_for_others() -> None:
    played = Played(world(v1="quiet", v2="sure", v3="free", v4="quiet"))
    played.offered[4] = offering(1e3)
    played.second({QUIET: paths(5000.0), 4: paths(10.0)}, 60)
    assert played.actor.class_kbps != {}
    (link,) = played.actor.document()["links"].values()
    assert "v4" in link["for"]
    told = dict(line.split(": ", 1) for line in played.actor.lines)
    assert "it was no better for it" in told["VIF v1"] and "it was no better for it" not in told["VIF v4"]


def test_who_does_not_answer_is_not_known_to_lose_anything_and_nobody_gives_way() -> None:
    """As one that has been shut down."""
    played = Played(world())
    whole = PathFigures(None, None, None, 1.0, 200, 10.0, unanswered=1.0)
    silent = VifPaths(whole, lately=VifPaths(whole))
    assert played.second({QUIET: silent}, 30) == [] and played.actor.lines == []
    loss = played.actor.document()["vifs"]["v1"]["loss"]
    assert (loss["state"], loss["violated_s"], loss["unknown_s"], loss["budget"]["used_s"]) == ("unknown", 0, 29, 0)


def test_what_its_own_full_queue_loses_counts_but_nobody_gives_way_for_it() -> None:
    played = Played(world())
    whole = PathFigures(1.0, 2.0, 0.1, 0.3, 200, 10.0, unanswered=0.3)
    played.offered[QUIET] = offering(1e3, True)
    assert played.second({QUIET: VifPaths(whole, lately=VifPaths(whole))}, 5) == []
    played.offered[QUIET] = offering(1e3)
    assert played.second({QUIET: VifPaths(whole, lately=VifPaths(whole))}, 20) == []
    assert played.actor.document()["vifs"]["v1"]["loss"]["violated_s"] == 4 + 10  # as long as it is in the window


def test_for_loss_on_the_way_others_give_way() -> None:
    played = Played(world())
    whole = PathFigures(1.0, 2.0, 0.1, 0.5, 200, 10.0, unanswered=0.3)
    played.second({QUIET: VifPaths(whole, lately=VifPaths(whole))}, 4)
    assert set(played.actor.class_kbps) == {SURE, FREE}


def test_who_sends_more_than_its_part_waits_for_itself() -> None:
    played = Played(world())
    played.offered[QUIET] = offering(70e3, True)
    assert played.second({QUIET: paths(50.0)}, 20) == []
    assert "it sends as much as its part of uplink up0 of h1" in played.actor.lines[0]


@pytest.mark.parametrize("segment", ["lab", "yard"])
def test_without_an_uplink_of_known_capacity_nobody_can_give_way(segment: str) -> None:
    made = snapshot(vif(1, "quiet", segment=segment), vif(3, "free", segment=segment))
    here = read_world(replace(made, files={"p.yaml": POLICY}, numbers=numbers_of(POLICY)), World(), 0.0)
    played = Played(here)
    assert played.second({QUIET: paths(50.0)}, 10) == []
    assert "Name that in links" in played.actor.lines[0]
    assert played.actor.document()["vifs"]["v1"]["latency"]["violated_s"] == 9.0


def test_the_later_class_gives_way_first_and_the_best_of_who_has_objectives_never() -> None:
    scene = scene_of(world(v1="quiet", v4="split", v5="parted", v6="free"))
    seen = {number: offering(20e3) for number in (1, 4, 5, 6)}
    found = {one.place: one for one in yielders(scene, ("h1", "up0"), seen, {1})}
    assert (1, "normal") not in found and found[6, "normal"].rank == 1
    assert {name: found[5, name].rank for name in ("fast", "normal", "bulk")} == {"fast": 0, "normal": 1, "bulk": 2}
    assert (4, "fast") not in found  # others' objectives do not cost it its own
    assert found[4, "bulk"].floor_kbps == pytest.approx(10e3)  # what it is guaranteed, in whatever class
    greedy = seen | {1: offering(80e3, True), 4: offering(80e3, True)}
    found = {one.place: one for one in yielders(scene, ("h1", "up0"), greedy, set())}
    assert found[1, "normal"].floor_kbps == pytest.approx(scene.part_kbps(1))  # but what goes beyond its part
    assert found[4, "fast"].floor_kbps == pytest.approx(scene.part_kbps(4))
    known = {4: {"fast": figures(7e3), "normal": figures(0.0), "bulk": figures(20e3)}}
    found = {one.place: one for one in yielders(scene, ("h1", "up0"), seen, {1}, known)}
    assert found[4, "bulk"].floor_kbps == pytest.approx(3e3)  # of its 10 Mbit/s what the others do not take
    assert found[4, "bulk"].passed_kbps == 20e3
    spared = {one.place: one for one in yielders(scene, ("h1", "up0"), seen, {4})}
    assert (4, "fast") not in spared and spared[4, "bulk"].floor_kbps == pytest.approx(1e3)


def test_the_own_later_classes_of_who_sends_too_much_give_way() -> None:
    played = Played(world(v1="split", v3="free"))
    played.offered = {1: offering(90e3, True), FREE: offering(10e3)}
    played.second({1: paths(50.0)}, 4)
    assert set(played.actor.class_kbps) == {1} and set(played.actor.class_kbps[1]) == {"normal", "bulk"}


def test_own_later_classes_that_gave_way_for_nothing_get_it_back_and_are_not_asked_again_at_once() -> None:
    played = Played(world(v1="split", v3="free"))
    played.offered = {1: offering(90e3, True), FREE: offering(10e3)}
    played.second({1: paths(50.0)}, 20)
    assert set(played.actor.class_kbps) == {1}
    played.second({1: paths(50.0)}, 60)
    assert played.actor.class_kbps == {}
    assert played.second({1: paths(50.0)}, 60) == []
    played.now_s += Pace().retry_s
    assert {move.vif for move in played.second({1: paths(50.0)}, 4)} == {1}


def test_a_vif_that_has_no_port_for_a_while_keeps_what_was_counted() -> None:
    played = Played(world())
    played.second({QUIET: paths(50.0)}, 4)
    there, rows = played.world, played.world.snapshot.interfaces
    lost = rows | {"v1": replace(rows["v1"], ofport=None)}
    played.world = read_world(replace(there.snapshot, interfaces=lost), there, 0.0)
    played.second({})
    assert played.actor.document()["vifs"] == {}
    played.world = there
    played.second({QUIET: paths(50.0)})
    assert played.actor.document()["vifs"]["v1"]["latency"]["violated_s"] == 5.0


def test_what_was_for_nothing_is_forgotten_with_its_vif() -> None:
    played = Played(world())
    played.second({QUIET: paths(50.0)}, 60)
    assert "it was no better for it" in played.actor.lines[0]
    played.world = world(v2="sure", v3="free")
    played.second({})
    played.world = world()
    played.second({QUIET: paths(50.0)}, 4)
    assert set(played.actor.class_kbps) == {SURE, FREE}


def test_ticks_that_are_far_apart_count() -> None:
    played = Played(world())
    played.interval_s = 30.0
    played.second({QUIET: paths(50.0)}, 3)
    assert played.actor.document()["vifs"]["v1"]["latency"]["violated_s"] == 60.0


def test_what_is_shown() -> None:
    played = Played(world())
    played.second({QUIET: paths(50.0, loss=0.02)}, 4)
    shown = played.actor.document()
    assert shown["vifs"]["v1"]["loss"]["violated_s"] == 3.0 and shown["vifs"]["v1"]["loss"]["state"] == "violated"
    assert played.actor.totals()["v1"]["loss"] == {"state": "violated", "violated_s": 3.0, "known_s": 3.0}
    (link,) = shown["links"].values()
    assert link["for"] == ["v1"] and set(link["caps"]) == {"v2", "v3"}
    documents = played.actor.shown_in({"vifs": {"v1": {}, "v2": {}, "v9": {}}})["vifs"]
    assert documents["v1"]["slo"]["latency"]["target"] == 5.0 and "class_kbps" not in documents["v1"]
    assert documents["v2"]["class_kbps"] == link["caps"]["v2"] and documents["v9"] == {}
    assert "p99 latency 50 ms, objective 5 ms, loss 2 %, objective 1 %" in shown["faults"][0]
