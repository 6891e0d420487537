"""weir policy check, apply, show."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say

app = typer.Typer(help="Check, apply and show policies.", no_args_is_help=True, rich_markup_mode=None)
FilesArgument = Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False)]


@app.command()
def check(files: FilesArgument, state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Say everything that is wrong with a policy set, one error a line. Needs no running system."""
    from controller.intent import policy
    from policies import loader
    from policies.summary import describe

    policies = policy.check(loader.load(files))
    if as_json:
        document(describe(policies))
    else:
        say(f"correct: {len(policies.segments)} segments, {len(policies.links)} links, {len(policies.nodes)} nodes")


@app.command()
def apply(files: FilesArgument, state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Replace the policy set. Returns when the new one is in force at every switch."""
    from controller.cli.database import opened
    from controller.cli.operator import name
    from controller.intent import policy
    from policies import loader

    texts = loader.load(files)
    policy.check(texts)
    with opened(state_dir) as (_, database):
        version = policy.apply(database, texts, name())
    document({"version": version}) if as_json else say(f"policy version {version} is in force")


@app.command()
def show(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Show the policy set in force, as it was written."""
    from controller.cli.database import opened
    from policies.parser import parse
    from policies.summary import describe

    with opened(state_dir) as (_, database):
        snapshot = database.snapshot()
    if as_json:
        body: dict[str, Any] = {"version": snapshot.policy_version, "files": dict(snapshot.files)}
        document(body | describe(parse(snapshot.files)))
        return
    say(f"policy version {snapshot.policy_version}" if snapshot.policy_version else "no policy was applied yet")
    for file, text in snapshot.files.items():
        print(f"# {file}\n{text.rstrip()}\n")
