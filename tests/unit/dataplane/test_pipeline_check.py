"""The declaration of the pipeline, its check, and the page that is printed from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.dataplane.actions import Clone, Conntrack, Controller, Instructions, Resubmit
from controller.dataplane.document import page
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.fields import FIELDS
from controller.dataplane.match import Match, match
from controller.dataplane.pipeline import BY_NAME, EGRESS_METER, FORWARD, PIPELINE, ROUTER, check

ROOT = Path(__file__).resolve().parents[3]


def state(table: int, entry: Match, instructions: Instructions) -> SwitchState:
    return SwitchState({FlowKey(table, 1, entry): FlowBody(0, instructions)}, {7: MeterBody(1, 1)})


def test_tables_are_in_order_and_know_each_other() -> None:
    numbers = [table.id for table in PIPELINE]
    assert numbers == sorted(set(numbers)) and max(numbers) < 254
    for table in PIPELINE:
        assert table.matches <= FIELDS.keys()
        assert set(table.goes_to) <= BY_NAME.keys()


def test_what_is_declared_passes() -> None:
    assert check(state(40, match(reg0=1), Instructions(meter_id=7, goto=ROUTER.id))) == []


@pytest.mark.parametrize(
    ("table", "entry", "instructions", "words"),
    [
        (41, match(), Instructions(), "no table has the number 41"),
        (40, match(reg1=1), Instructions(), "matches reg1, which is not declared"),
        (40, match(), Instructions(goto=100), "continues in output, which is not declared"),
        (40, match(), Instructions(goto=41), "continues in 41, which is not declared"),
        (60, match(), Instructions(goto=EGRESS_METER.id), "goes back to table 40"),
        (60, match(), Instructions(goto=FORWARD.id), "goes back to table 60"),
        (60, match(), Instructions(apply=(Resubmit(0),)), "continues in classify"),
        (20, match(), Instructions(apply=(Conntrack("reg0", 80),)), "continues in ingress_policy"),
        (40, match(), Instructions(meter_id=8), "uses meter 8, which is missing"),
        (40, match(), Instructions(apply=(Clone((Controller(128, 8),)),)), "uses meter 8, which is missing"),
        (40, match(), Instructions(apply=(Clone((Resubmit(0),)),)), "continues in classify"),
    ],
)
def test_what_is_not_declared_is_named(table: int, entry: Match, instructions: Instructions, words: str) -> None:
    assert any(words in fault for fault in check(state(table, entry, instructions)))


def test_the_printed_page_is_current() -> None:
    assert (ROOT / "docs" / "pipeline.md").read_text() == page(), "print docs/pipeline.md again: see document.py"
