"""weir top and weir loop, without a system: what they show of what the controller says, and what they refuse."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from controller.api.client import ApiError
from controller.cli import loop_commands, loop_plot, loop_views, top_command, top_view
from controller.system.errors import SystemFault, WrongRequest
from tests.support.command_line import Weir

SVG = "{http://www.w3.org/2000/svg}"
NO_RATES = dict.fromkeys(("offered_kbps", "allocated_kbps", "passed_kbps", "dropped_kbps"))


def vif(
    name: str, offered: int | None = None, p99: float | None = None, slo: Any = None, **more: Any
) -> dict[str, Any]:
    return {
        "name": name, "policy": "acme/web", "chassis": "h1", "state": "ready",
        "egress": {**NO_RATES, "offered_kbps": offered}, "ingress": NO_RATES,
        "path": {"latency_ms": {"p50": None, "p99": p99}, "jitter_ms": None, "loss": None}, "slo": slo, **more,
    }  # fmt: skip


def names(vifs: Iterable[Any]) -> list[str]:
    return [one["name"] for one in vifs]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("name", ["a", "b", "c", "d"]),
        ("offered", ["c", "a", "b", "d"]),
        ("latency", ["b", "d", "a", "c"]),
        ("dropped", ["a", "b", "c", "d"]),  # nobody: by name
    ],
)
def test_the_busiest_come_first_and_what_is_not_known_last(order: str, expected: list[str]) -> None:
    vifs = [vif("d", None, 0.0), vif("c", 9), vif("b", 5, 7.0), vif("a", 5)]
    assert names(top_view.ordered(vifs, order)) == expected


def test_a_row_has_a_cell_for_each_column_and_says_what_is_not_known() -> None:
    shown = vif("a", 1500, 12.345, egress={**NO_RATES, "offered_kbps": 1500, "dropped_kbps": 0})
    row = top_view.row(shown)
    assert len(row) == len(top_view.COLUMNS)
    assert row[:6] == ["a", "acme/web", "1500", "-", "-", "0"] and row[-3:] == ["12.3", "-", "-"]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"latency": "violated", "loss": "held"}, "latency missed"),
        ({"latency": "held", "loss": "unknown"}, "kept"),
        ({"latency": "unknown"}, "unknown"),
    ],
)
def test_objectives_in_a_word(states: dict[str, str], said: str) -> None:
    slo = {name: {"state": state} for name, state in states.items()}
    assert top_view.row(vif("a", slo=slo))[-1] == said


def test_what_fits_on_the_terminal_is_shown_and_the_rest_counted() -> None:
    many = [vif(f"v{number}", number, egress={**NO_RATES, "passed_kbps": 1000}) for number in range(50)]
    page = top_command.page(many, 3)
    console = Console(file=io.StringIO(), width=200)
    console.print(page)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].startswith("50 VIFs, 3 shown: out 50.0, in 0.0, dropped 0.0 Mbit/s")
    assert len(lines) == 6 and "v2" in lines[-1]


def test_a_controller_that_is_started_anew_ends_nothing() -> None:
    silent = "run/api.sock: the controller does not answer: refused. See weir status."
    answers: list[Any] = [[vif("old")], ApiError(silent), ApiError(silent), [vif("new")]]

    def look() -> list[Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    found = [(names(vifs), fault) for vifs, fault in islice(top_command.looks(look), 4)]
    assert found == [(["old"], None), (["old"], silent), (["old"], silent), (["new"], None)]
    console = Console(file=io.StringIO(), width=200)
    console.print(top_command.page([vif("old")], 3, silent))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].rstrip() == silent and "old" in lines[-1]


def test_a_controller_that_never_answered_is_a_fault() -> None:
    def look() -> list[Any]:
        raise ApiError("run/api.sock: the controller does not answer: refused. See weir status.")

    with pytest.raises(ApiError):
        next(top_command.looks(look))


CHANGE = {
    "time": 1_000_000.0, "vif": "v1", "policy": "acme/web", "direction": "egress", "what": "rate", "before": None,
    "after": 31000, "why": "acme is full", "inputs": {"demand_kbps": None, "offered_kbps": 40000.0},
    "effect": {"offered_kbps": 40000.4, "passed_kbps": 30950.2, "dropped_kbps": 9000.0, "p99_ms": 4.0, "loss": None},
}  # fmt: skip


def test_a_change_is_told_with_reason_inputs_and_effect() -> None:
    first, *rest = loop_views.lines(CHANGE, names_vif=True)
    assert first.endswith("v1 (acme/web) egress rate: own limit -> 31000 kbit/s")
    assert rest == [
        "  why: acme is full",
        "  from: demand_kbps unbounded, offered_kbps 40000",
        "  then: offered 40000, passed 30950, dropped 9000 kbit/s, p99 4 ms",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"effect": None}, "  then: not known yet"),
        ({"effect": dict.fromkeys(CHANGE["effect"])}, "  then: no statistics"),  # type: ignore[call-overload]
    ],
)
def test_an_effect_that_nobody_knows_is_said(change: dict[str, Any], said: str) -> None:
    assert list(loop_views.lines({**CHANGE, **change}, names_vif=False))[-1] == said


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("guarantee", "as written -> 31000 kbit/s"),
        ("buffer", "as written -> 31000 bytes"),
        ("class bulk", "unbounded -> 31000 kbit/s"),
        ("queues", "as written -> 31000"),
    ],
)
def test_each_sort_of_change_has_its_unit(what: str, change: str) -> None:
    first, *_ = loop_views.lines({**CHANGE, "what": what}, names_vif=False)
    assert first.endswith(f"egress {what}: {change}")


def test_that_there_were_more_changes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for truncated in (False, True):
        loop_commands._say_truncated({"changes": [CHANGE], "truncated": truncated}, "shown")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("only the newest 1 changes are shown. Name a VIF")


def series(ticks: int) -> dict[str, Any]:
    rates = {name: [float(number) for number in range(ticks)] for name in loop_plot._RATES}
    path = {"p50_ms": [None] * ticks, "p99_ms": [5.0] * ticks, "jitter_ms": [None] * ticks, "loss": [None] * ticks}
    return {
        "vif": "v1", "policy": "acme/web", "time": [1_000_000.0 + number for number in range(ticks)],
        "egress": rates, "ingress": {**rates, "enforced_kbps": [None] * ticks}, "path": path,
    }  # fmt: skip


def test_a_picture_has_what_was_known_as_lines() -> None:
    drawn = ElementTree.fromstring(loop_plot.drawn(series(20), [CHANGE], "svg"))
    found = {group.get("id") for group in drawn.iter(f"{SVG}g")}
    lines = {
        f"{way}-{name}" for way in ("egress", "ingress") for name in ("offered", "allocated", "achieved", "dropped")
    }
    assert lines | {"egress-held-to", "path-p99"} <= found
    assert not {"ingress-held-to", "path-p50", "path-jitter"} & found


def test_a_png_is_one() -> None:
    drawn = loop_plot.drawn(series(2), [], "png")
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", drawn[16:24])
    assert width > 1000 and height > 800


def test_nothing_seen_is_no_picture() -> None:
    with pytest.raises(SystemFault, match="has seen nothing yet"):
        loop_plot.drawn(series(0), [], "png")


@pytest.mark.parametrize("file", ["x", "x.pdf", "svg", ".png"])
def test_a_picture_is_a_png_or_an_svg(file: str) -> None:
    with pytest.raises(WrongRequest, match=r"Write FILE\.png or FILE\.svg"):
        loop_plot.kind_of(Path(file))
    assert loop_plot.kind_of(Path("a.b/x.SVG")) == "svg"


@pytest.fixture
def weir(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Weir:
    monkeypatch.setenv("WEIR_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return Weir(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["top"], 1, "no system runs in"),
        (["top", "--json"], 1, "no system runs in"),
        (["top", "--sort", "ofered"], 2, "--sort: 'ofered' is no order. Write offered."),
        (["top", "--sort", "xyzzy"], 2, "Write one of: name, policy, offered"),
        (["top", "--interval", "0"], 2, "--interval: 0 s is too short. Write 0.2 or more."),
        (["top", "--interval", "nan"], 2, "--interval: nan s is too short"),
        (["loop", "history", "v1"], 1, "no system runs in"),
        (["loop", "history", "--since", "10"], 2, "--since: '10' has no unit"),
        (["loop", "plot", "-o", "x.png"], 2, "give the name of a VIF, or --all"),
        (["loop", "plot", "v1", "--all", "-o", "x.png"], 2, "give the name of a VIF, or --all"),
        (["loop", "plot", "v1", "-o", "x.gif"], 2, "--output: 'x.gif' is neither a PNG nor an SVG"),
        (["metrics"], 1, "the controller does not answer"),
        (["metrics", "--listen", "0.0.0.0:9"], 2, "--listen: 0.0.0.0 can be reached from other machines"),
        (["up", "--metrics", "192.0.2.1:9"], 2, "--metrics: 192.0.2.1 can be reached from other machines"),
    ],
)
def test_what_cannot_be_shown_is_one_line(weir: Weir, words: list[str], status: int, said: str) -> None:
    assert weir(*words) == status
    (line,) = weir.err.splitlines()
    assert said in line and weir.out == ""
