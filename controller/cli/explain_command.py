"""weir explain."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document


def explain(
    target: Annotated[
        list[str], typer.Argument(metavar="TARGET", show_default=False, help="A cookie, or a line of dump-flows.")
    ],
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what asked for a flow entry: the rule with its file and line, the VIF, the segment."""
    from controller.cli.database import opened
    from controller.compiler.explain import Context, cookie_in
    from controller.compiler.explain import explain as explained
    from controller.system.errors import SystemFault, WrongRequest
    from policies.parser import parse

    text = " ".join(target)  # a dumped line need not be quoted
    cookie = cookie_in(text)
    if cookie is None:
        raise WrongRequest(f"'{text}' is neither a cookie nor a dumped flow line", "Give one as in 0x5ee1030000000001")
    with opened(state_dir) as (_, database):
        snapshot = database.snapshot()
    vifs = {vif.number: name for name, vif in snapshot.interfaces.items()}
    found = explained(cookie, Context(parse(snapshot.files), snapshot.numbers, vifs))
    if found is None:
        raise SystemFault(f"cookie {cookie:#x} is none of Weir's", "Somebody else made the entry")
    if as_json:
        at = None if found.at is None else str(found.at)
        kind = found.origin.kind.name.lower()
        body = {"cookie": f"{cookie:#x}", "kind": kind, "number": found.origin.number, "name": found.name, "at": at}
        document({**body, "text": found.text})
    else:
        print(found.text)
