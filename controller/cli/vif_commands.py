"""weir vif create, list, show, delete, exec."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, fields, table

app = typer.Typer(help="Create, show and delete virtual interfaces.", no_args_is_help=True, rich_markup_mode=None)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@app.command()
def create(
    name: NameArgument,
    policy: Annotated[str, typer.Option(metavar="PATH", help="The leaf of the policy tree that it follows.")],
    segment: Annotated[str | None, typer.Option(help="The segment to join; needed where there are several.")] = None,
    chassis: Annotated[str | None, typer.Option(help="The host to be on; needed where there are several.")] = None,
    kind: Annotated[str, typer.Option(metavar="veth|port", help="A link to make, or a port to adopt.")] = "veth",
    instance: Annotated[str | None, typer.Option(metavar="ID", help="Whose interface it is, in your words.")] = None,
    netns: Annotated[str | None, typer.Option(metavar="N", help="Put it into this network namespace.")] = None,
    pid: Annotated[int | None, typer.Option(metavar="P", help="Put it into the namespace of this process.")] = None,
    mac: Annotated[str | None, typer.Option(metavar="M")] = None,
    ip: Annotated[list[str] | None, typer.Option(metavar="A", help="An address; else one of each subnet.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="K=V")] = None,
    ifname: Annotated[str, typer.Option(metavar="NAME", help="What it is called inside the instance.")] = "eth0",
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a VIF. Returns when it is in force at the switch; otherwise nothing of it is left."""
    from controller.cli import vif_requests
    from controller.cli.database import opened
    from controller.intent import vif

    request = vif_requests.VifRequest(
        name=name,
        policy=policy,
        segment=segment,
        kind=vif_requests.kind(kind),
        binding=vif_requests.binding(netns, pid),
        instance=instance,
        ifname=ifname,
        mac=mac,
        addresses=tuple(ip or ()),
        labels=vif_requests.labels(label or []),
        chassis=chassis,
    )
    with opened(state_dir) as (directory, database):
        vif.create(database, [request])
        if as_json:
            from controller.cli.vif_views import described

            document(described(name, database, directory))


@app.command("list")
def list_(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """List the VIFs."""
    from controller.cli import vif_views
    from controller.cli.database import opened

    with opened(state_dir) as (directory, database):
        listed = vif_views.listed(database, directory)
    if as_json:
        document(listed)
    else:
        table(vif_views.COLUMNS, [vif_views.row(one) for one in listed])


@app.command()
def show(name: NameArgument, state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Show what a VIF is, what it may, and what it gets."""
    from controller.cli import vif_views
    from controller.cli.database import opened

    with opened(state_dir) as (directory, database):
        shown = vif_views.described(name, database, directory)
    document(shown) if as_json else fields(shown)


@app.command()
def delete(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)],
    state_dir: StateDirOption = None,
) -> None:
    """Delete VIFs. Returns when nothing of them is left on host and switch."""
    from controller.cli.database import opened
    from controller.intent import vif

    with opened(state_dir) as (_, database):
        vif.delete(database, names)


@app.command("exec")
def exec_(
    name: NameArgument,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD...", show_default=False, help="[default: $SHELL]")
    ] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Run a command inside the namespace of a VIF; its exit status is this command's."""
    import os

    from controller.cli import inside, vif_views
    from controller.cli.database import opened
    from controller.system.requirements import check_privilege

    with opened(state_dir) as (directory, database):
        place = inside.namespace_of(vif_views.interface(name, database), directory)
    check_privilege("weir vif exec")
    raise typer.Exit(inside.run(place, command or [os.environ.get("SHELL") or "/bin/sh"]))
