"""The table of a bursty day, and the guard against the loop keeping less than it must."""

from __future__ import annotations

from bench.loop import RAISED, SHARES, TCP, WEIR, Lived, faults, table
from lab.bursty import flows
from lab.bursty_figures import Record
from tests.support.bursty_days import record

ALL = frozenset(flow.vif for flow in flows())
GUARANTEED = frozenset(flow.vif for flow in flows() if flow.guarantee_kbps)
LAWFUL, STARVED = record(), record(0.6, GUARANTEED)


def lived(ours: Record, raised: Record = STARVED) -> list[Lived]:
    return [
        *(Lived(WEIR, ours), Lived(SHARES, LAWFUL), Lived(f"{RAISED} to 8 times that", raised)),
        *(Lived(WEIR + TCP, ours), Lived(f"{RAISED} to 9 times that{TCP}", raised)),
    ]


def test_each_contender_stands_beside_the_optimum() -> None:
    found = table(lived(LAWFUL))
    assert f"| {WEIR} | 100.0% | 100.0% | 100.0% | 100.0% | 0 s | 1.000 | 0.0 s, 0.0 s | 0.0 s, 0.0 s | 0 |" in found
    assert f"| {RAISED} to 8 times that | " in found and "never" in found


def test_the_optimum_is_no_fault() -> None:
    assert faults(lived(LAWFUL)) == []
    assert faults([]) == [] and table([]) == ""


def test_what_is_left_unused_is_one() -> None:
    wrong = faults(lived(record(0.9, ALL)))
    assert any(": 90.0% of the optimum is used" in one for one in wrong)
    assert any("by TCP 90.0% of the optimum is used" in one for one in wrong)


def test_guarantees_that_are_short_are_one() -> None:
    assert any("guarantees are short" in one for one in faults(lived(STARVED)))


def test_equals_that_fare_unlike_are_one() -> None:
    wrong = faults(lived(record(0.5, frozenset({"render1"}))))
    assert any("Jain's index among equals" in one for one in wrong)


def test_a_loop_that_follows_late_is_one() -> None:
    assert any("below inner limits half of all changes need inf s" in one for one in faults(lived(STARVED)))
