"""weir trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say

if TYPE_CHECKING:
    from controller.config import StateDir
    from controller.intent.trace_question import Question
    from ovsdb.rows import Snapshot

_EXAMPLE = "'web1 egress tcp 10.0.0.2:40000 > 192.0.2.7:443'"


def trace(
    packet: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKET",
            show_default=False,
            help=f"The first packet of a connection, as in {_EXAMPLE}; also udp, sctp, [fd00::2]:80, "
            "'web1 ingress icmp SRC > DST 8/0', icmp6, 'ip/47 SRC > DST'. Its TTL may follow: 'ttl 1'.",
        ),
    ],
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what becomes of a packet, and why: by the policy, and by the switch. Exit status 1 when they disagree."""
    from controller.cli import trace_views
    from controller.cli.database import opened
    from controller.intent.trace_question import parse_question

    question = parse_question(" ".join(packet))
    with opened(state_dir) as (directory, database):
        snapshot = database.snapshot()
        body = _traced(question, snapshot, directory)
        database.run()
        if body["agrees"] is False and database.snapshot() != snapshot:  # it was changed between the two answers
            body = _traced(question, database.snapshot(), directory)
    for note in body["notes"]:
        say(f"note: {note}")
    document(body) if as_json else trace_views.show(body)
    for line in body["disagreements"]:
        say(f"DISAGREE: {line}")
    if body["disagreements"]:
        raise typer.Exit(1)


def _traced(question: Question, snapshot: Snapshot, directory: StateDir) -> dict[str, Any]:
    """agrees: None where no switch was asked; switch: None then, with the reason."""
    import functools
    import time

    from controller.host import switch_trace
    from controller.intent import trace as model
    from controller.intent import trace_views
    from controller.intent.on_paper import compiled, world_of
    from controller.intent.trace_switch import CannotAsk, disagreements, probe_of

    world = world_of(snapshot, time.time())
    answer = model.answer(question, world, functools.cache(functools.partial(compiled, world)))
    body = trace_views.model_values(answer, world)
    unasked: dict[str, Any] = {"switch": None, "agrees": None, "disagreements": []}
    try:
        probe = probe_of(answer, world)
        host = snapshot.chassis[probe.chassis]
        flow, traced = switch_trace.ask(directory, host, probe.in_port, probe.fields, probe.connection)
    except (CannotAsk, switch_trace.SwitchSilent) as reason:
        return {**body, **unasked, "reason": str(reason)}
    found = disagreements(answer, traced, probe, world)
    said = trace_views.switch_values(flow, traced, probe, world)
    return {**body, "switch": said, "reason": None, "agrees": not found, "disagreements": found}
