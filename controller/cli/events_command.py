"""weir events."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, table

FollowOption = Annotated[bool, typer.Option("--follow", help="Go on, a line for each as it comes; end with Ctrl-C.")]


def events(state_dir: StateDirOption = None, as_json: JsonOption = False, follow: FollowOption = False) -> None:
    """List what Weir repaired lately because somebody else had changed it, the oldest first.

    With --json and --follow each line is a document.
    """
    from controller.cli import event_views
    from controller.client.weir import Weir

    with Weir(state_dir) as weir:
        if follow:
            for event in weir.watch_events():
                print(json.dumps(event, ensure_ascii=False) if as_json else event_views.line(event), flush=True)
            return
        found = weir.events()
    document(found) if as_json else table(event_views.COLUMNS, [event_views.row(one) for one in found])
