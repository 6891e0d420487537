"""weir policy check, plan, apply, show, list, history, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.findings import Finding
    from policies.model import PolicySet

app = typer.Typer(help="Check, apply and show policies.", no_args_is_help=True, rich_markup_mode=None)
FilesArgument = Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False)]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why, for weir policy history.", show_default=False)]


@app.command()
def check(files: FilesArgument, state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Say everything that is wrong with a policy set, one error a line. Needs no running system."""
    from controller.intent import policy
    from policies import loader
    from policies.summary import describe

    policies = policy.check(loader.load(files))
    found = _remarks(policies)
    _say_warnings(found)
    if as_json:
        body = {"findings": [finding.as_values() for finding in found]}
        document(describe(policies) | body)
    else:
        say(f"correct: {len(policies.segments)} segments, {len(policies.links)} links, {len(policies.nodes)} nodes")


@app.command()
def plan(
    files: FilesArgument,
    entries: Annotated[bool, typer.Option("--entries", help="Also each flow entry, meter and queue.")] = False,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what an apply would change, and change nothing. Exit status: 3 there is a change; 2 it would be refused."""
    import time

    from controller.cli.database import opened
    from controller.intent import plan_views
    from controller.intent.plan import plan as planned
    from policies import loader

    texts = loader.load(files)
    with opened(state_dir) as (_, database):
        found = planned(texts, database.snapshot(), time.time())
    for finding in found.findings:
        say(f"{'refused' if finding.is_refusal else 'warning'}: {finding}")
    _say_warnings(found.warnings)
    for name, one in found.chassis.items():
        if one.fault is not None:
            say(f"warning: chassis {name}: it would not come into force: {one.fault}")
    if as_json:
        document(plan_views.document(found))
    else:
        for line in plan_views.lines(found, entries):
            print(line)
    if found.refusals or found.is_change:
        raise typer.Exit(2 if found.refusals else 3)


@app.command()
def apply(
    files: FilesArgument,
    reason: ReasonOption = "",
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace the policy set. Returns when the new one is in force at every switch."""
    from controller.cli.database import opened
    from controller.client.operator import name
    from controller.intent import policy
    from policies import loader

    texts = loader.load(files)
    policies = policy.check(texts)
    _say_warnings(policy.shortfall(policies))
    with opened(state_dir) as (_, database):
        _say_warnings(policy.knowingly(policies, database.snapshot()))
        version = policy.apply(database, texts, name(), reason)
        newer = policy.replaced(version, database.snapshot())
    if as_json:
        document({"version": version})
    _say_in_force(version, "", newer, as_json)


@app.command()
def show(
    all_counters: Annotated[bool, typer.Option("--all", help="Also counters that have counted nothing.")] = False,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the policy set in force, as it was written, and what its rules have matched."""
    from controller.cli import counter_views
    from controller.cli.database import opened
    from policies.parser import parse
    from policies.summary import describe

    with opened(state_dir) as (directory, database):
        snapshot = database.snapshot()
        counters = counter_views.read(directory)
    if as_json:
        body: dict[str, Any] = {"version": snapshot.policy_version, "files": dict(snapshot.files)}
        document(body | describe(parse(snapshot.files)) | {"counters": counters})
        return
    say(f"policy version {snapshot.policy_version}" if snapshot.policy_version else "no policy was applied yet")
    for file, text in snapshot.files.items():
        print(f"# {file}\n{text.rstrip()}\n")
    if counters is None:
        say(counter_views.UNREACHABLE)
    else:
        table(counter_views.COLUMNS, [counter_views.row(one) for one in counter_views.shown(counters, all_counters)])


@app.command("list")
def list_(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """List the nodes of the policy set in force: where each is written, and how many VIFs are at or below it."""
    from controller.cli import policy_views
    from controller.cli.database import opened

    with opened(state_dir) as (_, database):
        nodes = policy_views.nodes(database.snapshot())
    if as_json:
        document(nodes)
    else:
        table(policy_views.NODE_COLUMNS, [policy_views.node_row(node) for node in nodes])


@app.command("history")
def history_(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """List every version that was applied, the oldest first: when, by whom, why, and of which files."""
    from controller.cli import policy_views
    from controller.cli.database import opened
    from controller.intent.history import versions

    with opened(state_dir) as (_, database):
        listed = versions(database)
        in_force = database.snapshot().policy_version
    if as_json:
        document([policy_views.version(one, in_force) for one in listed])
    else:
        table(policy_views.VERSION_COLUMNS, [policy_views.version_row(one, in_force) for one in listed])


@app.command()
def rollback(
    version: Annotated[
        int | None, typer.Argument(metavar="VERSION", show_default=False, help="[default: the one before]")
    ] = None,
    reason: ReasonOption = "",
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Apply the texts of an earlier version again, as a new version. Returns when that is in force at every switch."""
    from controller.cli.database import opened
    from controller.client.operator import name
    from controller.intent import history, policy

    with opened(state_dir) as (_, database):
        target = history.recall(database, version)
        policies = policy.check(target.files)
        _say_warnings([*policy.shortfall(policies), *policy.knowingly(policies, database.snapshot())])
        now = history.rollback(database, target, name(), reason)
        newer = policy.replaced(now, database.snapshot())
    if as_json:
        document({"version": now, "rollback_to": target.version})
    _say_in_force(now, f", with the texts of version {target.version}", newer, as_json)


def _remarks(policies: PolicySet) -> list[Finding]:
    """All that there is to say of a policy set that is correct, by position."""
    from policies.capability import unenforced
    from policies.kept_otherwise import kept_otherwise
    from policies.lint import lint

    return sorted([*unenforced(policies), *kept_otherwise(policies), *lint(policies)])


def _say_in_force(version: int, of_it: str, newer: str | None, as_json: bool) -> None:
    if newer is not None:
        say(f"warning: {newer}")
    elif not as_json:
        say(f"policy version {version} is in force{of_it}")


def _say_warnings(found: Iterable[Finding | str]) -> None:
    for one in found:
        say(f"warning: {one}")
