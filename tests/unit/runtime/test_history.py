"""Why did this rate change: the reason, what it came from, and what came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.allocation.actuator import Change
from controller.allocation.decision import Move
from controller.runtime import history as module
from controller.runtime.history import EFFECT_TO, History, Unknown
from controller.world.desired import read_world
from tests.unit.runtime.loop_ticks import ACME, WALL_S, decision, tick
from tests.unit.runtime.runtime_worlds import snapshot, vif

BUSY = {1: decision(40_000.0, 33_000.0, 31_000.0), 2: decision(30_000.0, 30_000.0, 29_000.0), 3: decision(7.0, 7.0)}
HELD = Change("egress", 1, None, 31_000)


def told(history: History, number: int, changes: tuple[Change, ...] = (), engaged: tuple[str, ...] = ("acme",)) -> None:
    history.remember(tick(number, BUSY, changes=changes, engaged=engaged), [])


def test_a_rate_that_is_held_tells_its_node_its_inputs_and_its_effect() -> None:
    history = History(1.0)
    told(history, 1, (HELD,))
    (change,) = history.history("v1")["changes"]
    assert (change["time"], change["vif"], change["policy"]) == (WALL_S + 1, "v1", "acme/web")
    assert (change["direction"], change["what"], change["before"], change["after"]) == ("egress", "rate", None, 31_000)
    assert "acme (60 mbit)" in change["why"] and "shares no queue" in change["why"]
    assert change["inputs"] == {
        "offered_kbps": 40_000.0, "passed_kbps": 33_000.0, "dropped_kbps": 0.0, "demand_kbps": None,
        "allocated_kbps": 31_000.0, "guarantee_kbps": 10_000.0, "own_limit_kbps": 20_000.0,
        "limit_kbps of acme": 60_000.0, "passed_kbps of acme": 63_000.0,
    }  # fmt: skip
    assert change["effect"] is None  # nobody knows yet
    after = {**BUSY, 1: decision(40_000.0, 20_000.0, 31_000.0, 31_000, dropped=9_000.0)}
    for number in range(2, 2 + EFFECT_TO):
        history.remember(tick(number, after if number > 2 else BUSY, p99_ms={1: 4.0}), [])
    effect = history.history("v1")["changes"][0]["effect"]
    assert (
        effect["passed_kbps"] == 20_000.0 and effect["dropped_kbps"] == 9_000.0
    )  # the tick of the change is not in it
    assert effect["p99_ms"] == 4.0


@pytest.mark.parametrize(
    ("change", "engaged", "words"),
    [
        (Change("egress", 1, 31_000, 20_000), ("acme",), "others below it want more"),
        (Change("egress", 1, 20_000, 31_000), ("acme",), "others below it leave more"),
        (Change("egress", 1, 20_000, None), ("acme",), "more than its own limit"),
        (Change("egress", 1, 20_000, None), (), "below their limits again"),
        (Change("ingress", 1, 20_000, 10_000), ("acme",), "below their limits again"),  # engaged is egress
    ],
)
def test_a_reason_fits_the_change(change: Change, engaged: tuple[str, ...], words: str) -> None:
    history = History(1.0)
    told(history, 1, (change,), engaged)
    assert words in history.history("v1")["changes"][0]["why"]


def test_moves_of_others_keep_their_words() -> None:
    history = History(1.0)
    move = Move(2, "ingress", "guarantee", 5.0, 10.0, "demand stood above it", {"demand_kbps": float("inf")})
    history.remember(tick(1, BUSY, changes=(HELD,), engaged=("acme",)), [move])
    (change,) = history.history("v2")["changes"]
    assert (change["what"], change["why"], change["inputs"]) == (
        "guarantee", "demand stood above it", {"demand_kbps": None},
    )  # fmt: skip
    assert [one["vif"] for one in history.history()["changes"]] == ["v1", "v2"]
    assert history.changed == {("rate", "egress"): 1, ("guarantee", "ingress"): 1}


def test_since_is_counted_back_from_the_last_tick() -> None:
    history = History(1.0)
    for number in range(1, 11):
        told(history, number, (HELD,) if number in (2, 9) else ())
    assert [one["time"] - WALL_S for one in history.history("v1", 3.0)["changes"]] == [9]
    assert len(history.history("v1")["changes"]) == 2
    assert history.series("v1", 3.0)["time"] == [WALL_S + number for number in (7, 8, 9, 10)]


def test_who_has_gone_is_remembered_by_name_and_who_never_was_is_said() -> None:
    history = History(1.0)
    with pytest.raises(Unknown, match="no VIF 'v1'"):
        history.history("v1")  # no tick yet
    told(history, 1, (HELD,))
    left = read_world(snapshot(vif(2, "acme/free")), ACME, 0.0)
    for number in range(2, 3 + EFFECT_TO):
        history.remember(tick(number, {2: decision()}, of=left), [])
    (change,) = history.history("v1")["changes"]
    assert change["effect"]["passed_kbps"] is None
    with pytest.raises(Unknown, match="no VIF 'v1'"):
        history.series("v1")
    with pytest.raises(Unknown):
        history.history("nobody")
    assert history.history("v2")["changes"] == []


def test_who_came_after_the_last_tick_is_known_and_has_no_past() -> None:
    history = History(1.0, lambda: {"v9": vif(9)})
    assert history.history("v9")["changes"] == [] and history.series("v9")["time"] == []
    told(history, 1, (HELD,))
    assert history.history("v9")["changes"] == [] and history.series("v9")["time"] == []
    with pytest.raises(Unknown):
        history.history("nobody")


def test_a_change_of_who_is_not_there_is_no_change() -> None:
    history = History(1.0)
    told(history, 1, (Change("egress", 99, None, 5),))
    assert history.history()["changes"] == []


def test_of_all_only_the_newest_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLD_OF_ALL", 3)
    history = History(1.0)
    for number in range(1, 6):
        told(history, number, (Change("egress", 1 + number % 2, number, number + 1),))
    of_all = history.history()
    assert ([one["before"] for one in of_all["changes"]], of_all["truncated"]) == ([3, 4, 5], True)
    assert not history.history(since_s=2.0)["truncated"]
    assert [len(history.history(name)["changes"]) for name in ("v1", "v2")] == [2, 3]
    told(history, 6, (Change("egress", 2, 6, 7),))
    of_one = history.history("v2")
    assert ([one["before"] for one in of_one["changes"]], of_one["truncated"]) == ([1, 3, 5, 6], False)


def test_memory_is_bounded_for_one_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_OF_ONE", 3)
    monkeypatch.setattr(module, "KEPT", 5)
    history = History(1.0)
    for number in range(1, 7):
        told(history, number, (Change("egress", 1, number, number + 1),))
    assert [one["before"] for one in history.history("v1")["changes"]] == [4, 5, 6]
    for number in range(7, 13):
        told(history, number, (Change("egress", 2, number, number + 1), Change("egress", 3, number, number + 1)))
    kept = history.history()["changes"]
    assert len(kept) == 5 and "v1" not in {one["vif"] for one in kept}
    assert [one["before"] for one in kept][-2:] == [12, 12]


def test_the_pace_that_is_told_is_the_one_in_force() -> None:
    history = History(1.0)
    history.remember(replace(tick(1, BUSY), interval_s=3.0), [])
    assert history.history()["interval_s"] == history.series()["interval_s"] == 3.0
