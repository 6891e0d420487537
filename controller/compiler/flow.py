"""One flow entry in the words of the pipeline: tables by declaration, origin by kind and number."""

from __future__ import annotations

from controller.dataplane.actions import Action, Instructions
from controller.dataplane.cookies import CookieKind, encode
from controller.dataplane.entries import FlowBody, FlowKey
from controller.dataplane.match import FieldValue, match
from controller.dataplane.pipeline import Table

Flow = tuple[FlowKey, FlowBody]
Origin = tuple[CookieKind, int]


def flow(
    table: Table, priority: int, fields: dict[str, FieldValue], origin: Origin, instructions: Instructions
) -> Flow:
    return FlowKey(table.id, priority, match(**fields)), FlowBody(encode(*origin), instructions)


def of_table(table: Table) -> Origin:
    """The origin of an entry that is there whatever the policies say."""
    return CookieKind.PIPELINE, table.id


def goto(table: Table, *actions: Action, meter_id: int | None = None) -> Instructions:
    return Instructions(meter_id=meter_id, apply=actions, goto=table.id)
