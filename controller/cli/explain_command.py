"""weir explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.intent.explain_target import Subject
    from controller.intent.on_paper import Compiled
    from controller.intent.queues import QueueKey
    from controller.world.desired import World
    from ovsdb.rows import Snapshot


def explain(
    target: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET",
            show_default=False,
            help="A VIF, a rule (acme/web:staff or 'acme/web[2]'), a node, a cookie, a line of dump-flows or "
            "dump-meters, 'meter N', a queue (7fff:2a, 'queue UPLINK:7fff:2a').",
        ),
    ],
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what belongs to what: policy lines, VIFs, flow entries, meters, queues and counters, from any one of them."""
    from controller.cli import counter_views, explain_views
    from controller.cli.database import opened
    from controller.intent import explanation

    with opened(state_dir) as (directory, database):
        subject, body = _explained(" ".join(target), database.snapshot())  # a dumped line need not be quoted
        counters = counter_views.read(directory)
    body["counters"] = None if counters is None else explanation.counted(subject, counters)
    for name, fault in body["faults"].items():
        say(f"warning: chassis {name}: {fault}")
    if as_json:
        document(body)
        return
    explain_views.show(body)
    if counters is None:
        say(counter_views.UNREACHABLE)


def _explained(text: str, snapshot: Snapshot) -> tuple[Subject, dict[str, Any]]:
    """The document lacks `counters`. Raises Rejected, SystemFault."""
    import time

    from controller.cli import queue_classes
    from controller.intent import explanation
    from controller.intent.on_paper import compiled, world_of

    world = world_of(snapshot, time.time())
    bridges = {name: compiled(world, name) for name in sorted(snapshot.chassis)}
    subject, keys = _found(text, world, bridges)
    ids = queue_classes.class_ids(world)
    return subject, explanation.document(subject, world, bridges, {key: ids[key] for key in keys})


def _found(text: str, world: World, bridges: Mapping[str, Compiled]) -> tuple[Subject, Sequence[QueueKey]]:
    """What is meant, and the queues that go with it. Raises Rejected, SystemFault."""
    from controller.cli import queue_classes
    from controller.intent import explanation
    from controller.intent.explain_target import Foreign, subject_of
    from controller.system.errors import SystemFault

    is_name = text in world.snapshot.interfaces or ("rule", text) in world.numbers
    if queue_classes.is_queue(text) and not is_name:
        return queue_classes.subject_of(text, world)
    try:
        subject = subject_of(text, world, bridges)
    except Foreign as foreign:
        raise SystemFault(str(foreign), "Somebody else made the entry") from None
    return subject, explanation.concerned_queues(subject, world)
