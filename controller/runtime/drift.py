"""What somebody else had done to a switch, as repairs in words that lead back to VIF and policy. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.compiler.explain import Context, explain
from controller.dataplane.cookies import decode
from controller.dataplane.diff import Changes
from controller.dataplane.entries import FlowBody, FlowKey, Meter, SwitchState
from controller.dataplane.meter_ids import VIF_METERS
from controller.dataplane.stages import Stages
from controller.dataplane.text import key_text
from controller.stream.messages import Repair
from controller.world.desired import World

FLOWS, METERS, SWITCH = "flow entries", "meters", "switch"
MOST_ALONE = 10  # of more entries or meters that differ in the same way one repair tells

_ADDED = "was missing", "added again"
_MODIFIED = "had been changed", "changed back"
_DELETED = "had been added by somebody else", "deleted"


@dataclass(frozen=True, slots=True)
class Drifted:
    """What of a change mended somebody else's edits. held: what the switch had held; is_new: in an earlier session.

    wanted: what it should hold now.
    """

    drift: Stages
    held: SwitchState
    wanted: SwitchState
    is_new: bool


def repairs(found: Drifted, world: World, time_s: float) -> list[Repair]:
    """A switch that has connected anew may have been restarted: that is one repair."""
    drift, held = found.drift, found.held
    if found.is_new and _has_lost_everything(found):
        counts = f"{len(drift.flows.add)} flow entries and {len(drift.meters.add)} meters"
        return [Repair(time_s, SWITCH, "the switch", "the switch had lost everything", f"{counts} made again")]
    names = {vif.number: vif.name for vif in world.snapshot.interfaces.values()}
    context = Context(world.policies, world.numbers, names)
    return [*_flows(drift.flows, context, time_s), *_meters(drift.meters, held, context, time_s)]


def _has_lost_everything(found: Drifted) -> bool:
    """What is wanted otherwise than before, or no more, is no drift and says nothing."""
    same = [key for key, body in found.held.flows.items() if found.wanted.flows.get(key) == body]
    return bool(same) and found.drift.flows.add.keys() >= set(same)


def _flows(changes: Changes[FlowKey, FlowBody], context: Context, time_s: float) -> Iterator[Repair]:
    for entries, (differed, done) in _kinds(changes):
        if len(entries) > MOST_ALONE:
            yield Repair(time_s, FLOWS, f"{len(entries)} flow entries", f"each {differed}", done)
            continue
        for key, body in entries.items():
            found, origin = explain(body.cookie, context), decode(body.cookie)
            number = origin.vif if origin is not None else None
            text = f" ({found.text})" if found is not None else ""
            yield Repair(time_s, FLOWS, f"flow entry {key_text(key)}{text}", differed, done, _some(number))


def _meters(changes: Changes[int, Meter], held: SwitchState, context: Context, time_s: float) -> Iterator[Repair]:
    for meters, (differed, done) in _kinds(changes):
        if len(meters) > MOST_ALONE:
            yield Repair(time_s, METERS, f"{len(meters)} meters", f"each {differed}", done)
            continue
        for number in meters:
            users = [body.cookie for body in held.flows.values() if body.instructions.meter_id == number]
            bound = {origin.vif for origin in map(decode, users) if origin is not None}
            vifs = (number,) if number in VIF_METERS else tuple(sorted(filter(None, bound)))
            found = explain(users[0], context) if users and len(vifs) < 2 else None
            text = f" ({found.text})" if found is not None else ""
            yield Repair(time_s, METERS, f"meter {number}{text}", differed, done, vifs)


def _kinds(changes: Changes[FlowKey, FlowBody] | Changes[int, Meter]) -> Iterator[tuple[Mapping, tuple[str, str]]]:  # type: ignore[type-arg]
    for part, words in ((changes.add, _ADDED), (changes.modify, _MODIFIED), (changes.delete, _DELETED)):
        if part:
            yield part, words


def _some(number: int | None) -> tuple[int, ...]:
    return (number,) if number else ()
