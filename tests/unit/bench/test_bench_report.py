"""The table, and the guard against what must not be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import __main__ as program
from bench import figures
from bench.cases import CASES, SUM, VIF
from bench.figures import Live, LiveChange, Paper, PaperChange
from bench.report import Result, faults, table
from bench.switch import Limit

PAPER = Paper(7000, 6900, 0.1, 0.5, 2.0, 100.0, [PaperChange(VIF, 40, 0.1, 0.2, 0.05)] * 3)
LIVE = Live(4.0, 300.0, 0.2, 0.05, [LiveChange(VIF, 0.01, 0.02, seconds) for seconds in (9.0, 0.3, 0.4)])
RESULT = Result(CASES["one-rule"], PAPER, Limit(1.0, 50.0, [0.02, 0.04, 0.03]), LIVE)


def test_each_figure_stands_beside_its_limit() -> None:
    found = table([RESULT])
    assert "| into an empty switch, read back | 4.000 s | 1.000 s | 4.0 |" in found
    assert "| one VIF more | 0.500 s | 0.030 s | 16.7 |" in found  # medians, the parsing with them
    assert "| peak memory, the controller | 300 MiB | 50 MiB | 6.0 |" in found
    assert f"| entries of the rule | 6,900 | {SUM.law:,} |" in found and "10,000,000" in found


def test_what_is_as_it_should_be_is_no_fault() -> None:
    assert list(faults(RESULT)) == []


def test_a_rule_that_multiplies_is_one() -> None:
    [fault] = faults(replace(RESULT, paper=replace(PAPER, of_rule=round(1.3 * SUM.law))))
    assert "law of the sum" in fault


def test_a_change_that_takes_longer_than_everything_is_one() -> None:
    [fault] = faults(replace(RESULT, live=replace(LIVE, load_s=0.35)))
    assert "one VIF more takes 0.40 s, longer than the whole load" in fault


def test_figures_are_handed_over(tmp_path: Path) -> None:
    figures.write(tmp_path / "paper", PAPER)
    figures.write(tmp_path / "live", LIVE)
    assert (figures.read_paper(tmp_path / "paper"), figures.read_live(tmp_path / "live")) == (PAPER, LIVE)


def test_only_the_table_of_the_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "bench.md"
    page.write_text(f"before\n{program.BEGIN}old\n{program.END}after\n")
    monkeypatch.setattr(program, "PAGE", page)
    program.write("new\n")
    assert page.read_text() == f"before\n{program.BEGIN}new\n{program.END}after\n"
    assert all(mark in (program.ROOT / "docs" / "bench.md").read_text() for mark in (program.BEGIN, program.END))


@pytest.mark.parametrize("argv", [["nonsense"], ["--write", "one-rule"]])
def test_what_is_not_understood_is_refused(argv: list[str]) -> None:
    assert program.main(argv) == 2


@pytest.mark.parametrize("name", ["one-rule"])
def test_a_case_can_be_built_and_changes(name: str) -> None:
    first, changes = CASES[name].build()
    states = [first, *(change.after for change in changes)]
    assert [state.cfg for state in states] == list(range(1, len(states) + 1))
    assert len({state.bindings for state in states}) == len(states)
