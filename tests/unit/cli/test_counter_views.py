"""Counters of rules as the commands show them."""

from __future__ import annotations

from pathlib import Path

from controller.cli import counter_views
from controller.config import StateDir


def count(rule: str | None, packets: int, node: str | None = None) -> dict[str, object]:
    return {
        "rule": rule, "node": node, "vif": "a", "chassis": "h1", "judged": "egress", "kind": "verdict",
        "packets": packets, "bytes": packets * 60, "last_hit": None,
    }  # fmt: skip


def test_only_what_has_counted_is_shown_unless_all_is_asked_for() -> None:
    counters = [count("z", 1), count("b", 0), count(None, 2, "acme/web")]
    assert [counter_views.row(one)[0] for one in counter_views.shown(counters, False)] == ["acme/web unmatched", "z"]
    assert len(counter_views.shown(counters, True)) == 3
    assert counter_views.row(counters[0]) == ["z", "a", "egress", "verdict", "1", "60", "-", "-"]


def test_what_the_rates_of_a_rule_cut_is_in_bytes() -> None:
    cut = {cut: counter_views.row({**count("z", 1), "cut_bytes": cut}) for cut in (None, 0, 90)}
    at = counter_views.COLUMNS.index("CUT")
    assert [row[at] for row in cut.values()] == ["-", "0", "90"]
    assert all(len(row) == len(counter_views.COLUMNS) for row in cut.values())


def test_without_a_controller_there_are_none(tmp_path: Path) -> None:
    assert counter_views.read(StateDir(tmp_path)) is None
