"""weir loop history, plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say

app = typer.Typer(help="Show what the loop did, why, and what came of it.", no_args_is_help=True, rich_markup_mode=None)
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="T", help="Only the last of it, as in '10m' or '30 s'.")
]


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)] = None,
    since: SinceOption = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the loop changed of a VIF, or of all: when, why, from which figures, and what came of it."""
    from controller.cli import loop_views
    from controller.client import loop
    from controller.client.weir import Weir

    since_s = _since_s(since)
    with Weir(state_dir) as weir:
        found = loop.history(weir.directory.api_socket, name, since_s)
    if as_json:
        document(found)
        return
    for change in found["changes"]:
        print("\n".join(loop_views.lines(change, names_vif=name is None)))
    _say_truncated(found, "shown")
    if not found["changes"]:
        say(f"the loop has changed nothing{f' of {name}' if name else ''}{f' in the last {since}' if since else ''}")


@app.command()
def plot(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to draw it: FILE.png or FILE.svg.")
    ],
    name: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False)] = None,
    all_vifs: Annotated[bool, typer.Option("--all", help="Of all VIFs together.")] = False,
    since: SinceOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Draw what a VIF offered, was allocated and achieved, tick by tick, its latency, and what the loop changed."""
    from controller.cli import loop_plot
    from controller.client import loop
    from controller.client.weir import Weir
    from controller.system.errors import WrongRequest

    if (name is None) == (not all_vifs):
        raise WrongRequest("give the name of a VIF, or --all", "See weir vif list")
    kind = loop_plot.kind_of(output)
    since_s = _since_s(since)
    with Weir(state_dir) as weir:
        series, found = weir.loop_series(name, since_s), loop.history(weir.directory.api_socket, name, since_s)
    output.write_bytes(loop_plot.drawn(series, found["changes"], kind))
    _say_truncated(found, "marked")


def _say_truncated(found: Mapping[str, Any], done: str) -> None:
    if found["truncated"]:
        count = len(found["changes"])
        say(f"only the newest {count} changes are {done}. Name a VIF, or give a shorter --since, for the others.")


def _since_s(text: str | None) -> float | None:
    from controller.system.errors import WrongRequest
    from policies.errors import BadValue
    from policies.units import time_s

    try:
        return None if text is None else time_s(text)
    except BadValue as bad:
        raise WrongRequest(f"--since: {bad.problem}", bad.remedy) from bad
