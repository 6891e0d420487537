"""weir vif create, set, list, show, delete, exec."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli import vif_options as options
from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, fields, say, table, warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.client.weir import Weir
    from ovsdb.rows import VirtualInterface

app = typer.Typer(help="Create, change, show and delete VIFs.", no_args_is_help=True, rich_markup_mode=None)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)]


@app.command()
@options.takes_kind_options
def create(
    name: NameArgument,
    policy: Annotated[str, typer.Option(metavar="PATH", help="The leaf of the policy tree that it follows.")],
    segment: options.SegmentOption = None,
    chassis: Annotated[str | None, typer.Option(help="The host to be on; needed where there are several.")] = None,
    kind: Annotated[
        str,
        typer.Option(
            metavar="veth|tap|vhost-user|vf|port", help="A link, a VM's device or socket, part of a card, or a port."
        ),
    ] = "veth",
    count: Annotated[
        int | None, typer.Option(metavar="N", help="Make NAME1 to NAMEN; {} in NAME is where the number goes.")
    ] = None,
    instance: options.InstanceOption = None,
    mac: Annotated[str | None, typer.Option(metavar="M")] = None,
    ip: options.IpOption = None,
    label: Annotated[list[str] | None, typer.Option(metavar="K=V")] = None,
    egress: options.EgressOption = None,
    ingress: options.IngressOption = None,
    ifname: Annotated[str, typer.Option(metavar="NAME", help="What it is called inside the instance.")] = "eth0",
    *,
    of_kind: options.KindOptions,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a VIF, or many. Returns when it is in force at the switch; otherwise nothing of it is left."""
    from controller.cli import vif_requests, vif_views
    from controller.cli.progress import progress
    from controller.client.weir import Weir
    from controller.intent.errors import Partly
    from ovsdb.session import DatabaseError

    own = vif_requests.numbers(egress, ingress)
    request = vif_requests.VifRequest(
        name=name,
        policy=policy,
        segment=segment,
        kind=kind,
        binding=vif_requests.binding(of_kind.place, of_kind.driver),
        instance=instance,
        ifname=ifname,
        mac=mac,
        addresses=vif_requests.addresses(ip) or (),
        labels=vif_requests.labels(label or []),
        chassis=chassis,
        egress=own[0],
        ingress=own[1],
        options=vif_requests.given(kind, vif_requests.options(of_kind.texts, of_kind.flags), of_kind.driver),
    )
    requests = [request] if count is None else vif_requests.many(request, count)
    with Weir(state_dir, warnings()) as weir:
        try:
            with progress(len(requests), "created") as told:
                made = weir.create(requests, told)
        except Partly as partly:
            if as_json:
                with suppress(DatabaseError):  # what stands against the others is to be said all the same
                    document(_described(weir, partly.done))
            raise
        if as_json:
            document(weir.describe(made[0]) if count is None else _described(weir, made))
        elif count is None:
            vif_views.print_attachment(weir.attachment(made[0]))


@app.command("set")
@options.takes_kind_options
def set_(
    names: NamesArgument,
    policy: Annotated[str | None, typer.Option(metavar="PATH", help="The leaf that it follows.")] = None,
    segment: options.SegmentOption = None,
    ip: Annotated[
        list[str] | None,
        typer.Option("--ip", metavar="A|auto", help="In place of all it has (repeatable); auto: one of each subnet."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="K=V", help="K= takes the label away.")] = None,
    egress: options.EgressOption = None,
    ingress: options.IngressOption = None,
    instance: options.InstanceOption = None,
    ifname: Annotated[str | None, typer.Option(metavar="NAME", help="What it is called inside the instance.")] = None,
    *,
    of_kind: options.KindOptions,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change running VIFs; what is not named stays. Returns when it is in force; otherwise they are as they were."""
    from controller.cli import vif_requests
    from controller.client.places import ITS_OWN, binding_of
    from controller.client.weir import Weir
    from controller.intent.vif_change import VifChange

    vif_requests.check_driver(of_kind.driver)
    change = VifChange(
        policy=policy,
        segment=segment,
        addresses=vif_requests.addresses(ip),
        labels=vif_requests.changed_labels(label or []),
        egress=vif_requests.own(egress, "--egress"),
        ingress=vif_requests.own(ingress, "--ingress"),
        binding=None if of_kind.place == ITS_OWN else binding_of(of_kind.place),
        driver=of_kind.driver,
        instance=instance,
        ifname=ifname,
        options=vif_requests.options(of_kind.texts, of_kind.flags),
    )
    if change == VifChange():
        raise vif_requests.WrongRequest("nothing is named that shall change", "See weir vif set --help")
    with Weir(state_dir, warnings()) as weir:
        vifs, is_changed = weir.change(names, change)
        if not is_changed:
            say(f"nothing to change: {', '.join(one.name for one in vifs)}: it is so already.")
        if as_json:
            document(weir.describe(names[0]) if len(names) == 1 else _described(weir, vifs))


def _described(weir: Weir, vifs: Sequence[str | VirtualInterface]) -> list[dict[str, Any]]:
    """But for those that somebody else has deleted meanwhile."""
    from controller.system.errors import WrongRequest

    found = []
    for one in vifs:
        with suppress(WrongRequest):
            found.append(weir.describe(one))
    return found


@app.command("list")
def list_(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """List the VIFs."""
    from controller.cli import vif_views
    from controller.client.weir import Weir

    with Weir(state_dir) as weir:
        listed = weir.describe_all()
    if as_json:
        document(listed)
    else:
        table(vif_views.COLUMNS, [vif_views.row(one) for one in listed])


@app.command()
def show(
    name: NameArgument,
    qemu: Annotated[bool, typer.Option("--qemu", help="Only the arguments that QEMU needs.")] = False,
    libvirt: Annotated[bool, typer.Option("--libvirt", help="Only the element that libvirt needs.")] = False,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a VIF is, what it may, and what it gets."""
    from controller.cli import vif_views
    from controller.client.weir import Weir

    with Weir(state_dir) as weir:
        shown = weir.describe(name)
        found = weir.attachment(name)
    if qemu or libvirt:
        print(vif_views.attachment_text(shown, found, qemu, libvirt))
    elif as_json:
        document(shown)
    else:
        fields(vif_views.in_words(shown))
        vif_views.print_attachment(found)


@app.command()
def delete(
    names: NamesArgument,
    count: Annotated[int | None, typer.Option(metavar="N", help="Delete NAME1 to NAMEN, as create made them.")] = None,
    state_dir: StateDirOption = None,
) -> None:
    """Delete VIFs. Returns when nothing of them is left on host and switch."""
    from controller.cli import vif_requests
    from controller.cli.progress import progress
    from controller.client.weir import Weir

    wanted = [one for name in names for one in vif_requests.names(name, count)]
    with Weir(state_dir) as weir, progress(len(wanted), "deleted") as told:
        weir.delete(wanted, told)


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

    from controller.cli import inside
    from controller.client.weir import Weir
    from controller.system.requirements import check_privilege

    with Weir(state_dir) as weir:
        place = inside.namespace_of(weir.virtual_interface(name), weir.directory)
    check_privilege("weir vif exec")
    raise typer.Exit(inside.run(place, command or [os.environ.get("SHELL") or "/bin/sh"]))
