"""What rules have matched: carried over everything that makes a switch count from zero again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import eventlet
import pytest

from controller.dataplane.cookies import CookieKind, encode, with_vif
from controller.dataplane.pipeline import EGRESS_VERDICT, INGRESS_VERDICT
from controller.runtime import rule_counters as module
from controller.runtime.rule_counters import LEAST_AGE_S, RuleCounters
from controller.runtime.switch import Hits, SwitchGone
from controller.world.desired import World, read_world
from tests.support.controller_process import numbers_of
from tests.unit.runtime.runtime_worlds import green_until, snapshot, vif

POLICY = """
weir: 1
segments: {office: {type: internal}}
policies:
  acme:
    rules:
      - allow: {name: web, service: tcp/80}
      - deny: {name: tried, service: tcp/81, stage: audit}
"""
NUMBERS = numbers_of(POLICY)
WEB, TRIED, ACME = NUMBERS["rule", "acme:web"], NUMBERS["rule", "acme:tried"], NUMBERS["node", "acme"]
OUT, IN = EGRESS_VERDICT.id, INGRESS_VERDICT.id
ALLOWED = encode(CookieKind.VERDICT, with_vif(WEB, 1))
Seen = dict[tuple[int, int], Hits]


class Counting:
    """Switches, a world and a clock, of which the test says what they show. broken: what reading them raises."""

    def __init__(self, *names: str) -> None:
        self.seen: dict[str, Seen] = {name: {} for name in names or ("h1",)}
        self.broken: dict[str, Exception] = {}
        self.reads, self.now_s, self.world = 0, 1000.0, world()
        self.meters: dict[tuple[int, int], tuple[int, ...]] = {}
        self.cuts: dict[int, int] = {}
        self.counters = RuleCounters(
            self._switches,  # type: ignore[arg-type]
            lambda: self.world,
            lambda: self.now_s,
            lambda _: self.meters,
        )

    def _switches(self) -> Mapping[str, Any]:
        return {name: _Played(name, self) for name in self.seen}

    def after(self, seconds: float, **seen: Seen) -> list[dict[str, Any]]:
        """The document, read once more."""
        self.now_s += seconds
        self.seen |= seen
        self.counters.refresh()
        return self.rows()

    def rows(self) -> list[dict[str, Any]]:
        return self.counters.document()["rules"]


class _Played:
    def __init__(self, name: str, counting: Counting) -> None:
        self._name, self._counting = name, counting

    def rule_hits(self) -> Seen:
        self._counting.reads += 1
        if self._name in self._counting.broken:
            raise self._counting.broken[self._name]
        return dict(self._counting.seen[self._name])

    def rule_cuts(self) -> dict[int, int]:
        return self._counting.cuts


def world(*numbers: int, policy: str = POLICY, before: World | None = None) -> World:
    vifs = [vif(number, "acme") for number in numbers or (1, 2)]
    made = snapshot(*vifs, files={"p.yaml": policy}, numbers=numbers_of(policy))
    return read_world(made, before or World(), 0.0)


def hits(packets: int) -> Hits:
    return Hits(packets, packets * 100)


def figures(rows: list[dict[str, Any]]) -> list[tuple[int, int, float | None]]:
    return [(row["packets"], row["bytes"], row["last_hit"]) for row in rows]


def test_each_entry_is_a_row_with_its_names() -> None:
    counting = Counting("h1", "h2")
    seen = {
        (OUT, ALLOWED): hits(3),
        (IN, encode(CookieKind.REPLY, with_vif(WEB, 1))): hits(4),
        (OUT, encode(CookieKind.AUDIT, with_vif(TRIED, 2))): hits(5),
        (IN, encode(CookieKind.UNMATCHED, with_vif(ACME, 2))): hits(6),
    }
    rows = counting.after(1, h1=seen, h2={(OUT, ALLOWED): hits(7)})
    named = {
        (row["rule"], row["node"], row["vif"], row["chassis"], row["judged"], row["kind"]): row["packets"]
        for row in rows
    }
    assert named == {
        ("acme:web", None, "v1", "h1", "egress", "verdict"): 3,
        ("acme:web", None, "v1", "h1", "ingress", "reply"): 4,
        ("acme:tried", None, "v2", "h1", "egress", "audit"): 5,
        (None, "acme", "v2", "h1", "ingress", "unmatched"): 6,
        ("acme:web", None, "v1", "h2", "egress", "verdict"): 7,
    }  # fmt: skip


def test_a_hit_is_of_when_the_count_was_seen_to_rise() -> None:
    """Who finds a count when he first looks does not know of when it is."""
    counting, key = Counting(), (OUT, ALLOWED)
    assert figures(counting.after(1, h1={key: hits(5)})) == [(5, 500, None)]
    assert figures(counting.after(5, h1={key: hits(5)})) == [(5, 500, None)]
    assert figures(counting.after(5, h1={key: hits(6)})) == [(6, 600, 1011.0)]
    assert figures(counting.after(5, h1={key: hits(6)})) == [(6, 600, 1011.0)]


def test_an_entry_that_is_new_to_a_known_switch_has_been_hit_since() -> None:
    counting, late = Counting(), (OUT, encode(CookieKind.VERDICT, with_vif(WEB, 2)))
    counting.after(1, h1={})
    assert figures(counting.after(1, h1={late: hits(0)})) == [(0, 0, None)]
    assert figures(counting.after(1, h1={late: hits(2)})) == [(2, 200, 1003.0)]
    assert figures(counting.after(1, h1={late: hits(2), (OUT, ALLOWED): hits(1)})) == [
        (1, 100, 1004.0),
        (2, 200, 1003.0),
    ]


def test_what_was_counted_is_carried_when_a_switch_starts_anew() -> None:
    counting, key = Counting(), (OUT, ALLOWED)
    counting.after(1, h1={key: hits(5)})
    assert figures(counting.after(5, h1={key: hits(0)})) == [(5, 500, None)]
    assert figures(counting.after(5, h1={key: hits(3)})) == [(8, 800, 1011.0)]
    assert figures(counting.after(5, h1={key: hits(1)})) == [(9, 900, 1016.0)]  # and again
    assert figures(counting.after(5, h1={key: hits(1)})) == [(9, 900, 1016.0)]


def test_an_entry_that_was_away_for_a_while_began_anew_however_much_it_shows() -> None:
    counting, key = Counting(), (OUT, ALLOWED)
    counting.after(1, h1={key: hits(5)})
    assert figures(counting.after(5, h1={})) == [(5, 500, None)]
    assert figures(counting.after(5, h1={})) == [(5, 500, None)]
    assert figures(counting.after(5, h1={key: hits(7)})) == [(12, 1200, 1016.0)]
    assert figures(counting.after(5, h1={key: hits(8)})) == [(13, 1300, 1021.0)]


def test_a_switch_that_does_not_answer_keeps_its_figures_and_holds_up_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counting, key = Counting("h1", "h2"), (OUT, ALLOWED)
    counting.after(1, h1={key: hits(5)}, h2={key: hits(1)})
    counting.broken["h1"] = SwitchGone("it has gone")
    assert figures(counting.after(5, h2={key: hits(2)})) == [(5, 500, None), (2, 200, 1006.0)]
    assert "h1: it has gone" in caplog.text
    counting.broken.clear()
    assert figures(counting.after(5, h1={key: hits(6)}))[0] == (6, 600, 1011.0)


def test_what_has_just_been_read_is_not_read_again() -> None:
    counting = Counting()
    counting.after(1)
    counting.after(LEAST_AGE_S / 2)
    assert counting.reads == 1
    counting.after(LEAST_AGE_S / 2)
    assert counting.reads == 2
    counting.after(-3600)  # the clock was set back
    assert counting.reads == 3


def test_rules_nodes_and_vifs_that_are_gone_are_forgotten() -> None:
    counting = Counting()
    keys = [
        (OUT, encode(kind, with_vif(number, at)))
        for kind, number in ((CookieKind.VERDICT, WEB), (CookieKind.AUDIT, TRIED), (CookieKind.UNMATCHED, ACME))
        for at in (1, 2)
    ]
    assert len(counting.after(1, h1={key: hits(1) for key in keys})) == 6
    counting.world = world(1)
    assert {(row["rule"], row["node"]) for row in counting.after(1)} == {
        ("acme:web", None), ("acme:tried", None), (None, "acme"),
    }  # fmt: skip
    numbers = {key: number for key, number in NUMBERS.items() if key != ("rule", "acme:tried")}
    counting.world = replace(counting.world, numbers=numbers)
    assert {row["rule"] for row in counting.after(1)} == {"acme:web", None}
    counting.world = world(3)
    assert counting.after(1) == []
    counting.world = world(1, 2)
    assert figures(counting.after(1, h1={keys[0]: hits(1)})) == [(1, 100, 1005.0)]  # nothing is carried over that


def test_what_has_gone_since_it_was_read_is_not_shown() -> None:
    counting = Counting()
    counting.after(5, h1={(OUT, ALLOWED): hits(3)})
    numbers = {key: number for key, number in NUMBERS.items() if key != ("rule", "acme:web")}
    counting.world = replace(counting.world, numbers=numbers)
    assert counting.rows() == []


def test_cookies_of_others_are_passed_over() -> None:
    """The verdict tables also hold an entry of the VIF itself, whose number may be that of a rule."""
    assert WEB in (1, 2)
    strange = {
        (OUT, 7): hits(1),
        (OUT, encode(CookieKind.VIF, WEB)): hits(1),
        (OUT, encode(CookieKind.RULE, WEB)): hits(1),
    }
    assert Counting().after(1, h1=strange) == []


def test_reading_goes_on_whatever_happens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.0)
    counting = Counting()
    counting.broken["h1"] = ZeroDivisionError("nobody thought of this")
    thread = eventlet.spawn(counting.counters.run)
    try:
        green_until(lambda: counting.reads > 2, "further reads")
    finally:
        thread.kill()
    assert "nobody thought of this" in caplog.text


def test_what_the_meters_of_a_rule_cut_counts_together_and_is_carried() -> None:
    counting = Counting()
    counting.meters, counting.cuts = {(OUT, ALLOWED): (65540, 65541)}, {65540: 100, 65541: 20, 7: 1}
    assert [row["cut_bytes"] for row in counting.after(1, h1={(OUT, ALLOWED): hits(1)})] == [120]
    counting.cuts = {65540: 30}  # a meter was written anew
    assert [row["cut_bytes"] for row in counting.after(1)] == [150]
    counting.cuts = {65540: 40, 65541: 5}
    assert [row["cut_bytes"] for row in counting.after(1)] == [165]


def test_a_rule_without_meters_cuts_nothing_that_could_be_told() -> None:
    assert [row["cut_bytes"] for row in Counting().after(1, h1={(OUT, ALLOWED): hits(1)})] == [None]
