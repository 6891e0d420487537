"""weir identity bind, unbind, list."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.options import JsonOption, StateDirOption
from controller.cli.output import document, say, table

if TYPE_CHECKING:
    from controller.intent.identity import BindRequest, Presence

app = typer.Typer(help="Say which user is where.", no_args_is_help=True, rich_markup_mode=None)
VifOption = Annotated[str | None, typer.Option("--vif", metavar="NAME", help="At this VIF.")]
AddressOption = Annotated[str | None, typer.Option("--ip", metavar="A", help="At this address.")]
COLUMNS = ("user", "vif", "address", "bound at", "expires at", "expires in", "by")


@app.command()
def bind(
    user: Annotated[str | None, typer.Argument(metavar="USER", show_default=False)] = None,
    vif: VifOption = None,
    ip: AddressOption = None,
    ttl: Annotated[str | None, typer.Option(metavar="T", help="For this long, as in '8h' or '30 m'.")] = None,
    file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A YAML list of {user, vif or ip, ttl}: all of it or nothing.")
    ] = None,
    state_dir: StateDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that a user is at a VIF or an address. Returns when rules that name the user hold there."""
    from controller.cli.database import opened
    from controller.client.operator import name
    from controller.intent import identity

    given = (user, vif, ip, ttl)
    requests = [_request(*given)] if file is None else _requests(file, given)
    with opened(state_dir) as (_, database):
        bound = identity.bind(database, requests, name())
    if as_json:
        now_s = time.time()
        documents = [_document(one, now_s) for one in bound]
        document(documents[0] if file is None else documents)
    else:
        for one in bound:
            until = "" if one.expires_at_s is None else f" until {_local(one.expires_at_s)}"
            say(f"{one.user} is at {_place(one)}{until}")


@app.command()
def unbind(
    user: Annotated[str, typer.Argument(metavar="USER", show_default=False)],
    vif: VifOption = None,
    ip: AddressOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Take a user away from a VIF or an address, or from everywhere. Returns when no rule finds the user there."""
    from controller.cli.database import opened
    from controller.intent import identity

    with opened(state_dir) as (_, database):
        unbound = identity.unbind(database, user, vif, ip)
    for one in unbound:
        say(f"{one.user} is no longer at {_place(one)}")


@app.command("list")
def list_(state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """List who is where: what was bound and has not expired, and the users that VIFs are labelled with."""
    from controller.cli.database import opened
    from controller.intent import identity

    now_s = time.time()
    with opened(state_dir) as (_, database):
        listed = identity.listing(database.snapshot(), now_s)
    if as_json:
        document([_document(one, now_s) for one in listed])
    else:
        table(COLUMNS, [_row(one, now_s) for one in listed])


def _request(user: str | None, vif: str | None, ip: str | None, ttl: str | None) -> BindRequest:
    from controller.intent.identity import BindRequest
    from controller.system.errors import WrongRequest
    from policies.errors import BadValue
    from policies.units import time_s

    if user is None:
        raise WrongRequest("nobody is named", "Give USER and --vif NAME or --ip A, or --file FILE")
    if (vif is None) == (ip is None):
        what = "neither is given" if vif is None else "both are given"
        raise WrongRequest(f"--vif and --ip: {what}", "Say where the user is with one of them")
    try:
        return BindRequest(user, vif, ip, None if ttl is None else time_s(ttl))
    except BadValue as bad:
        raise WrongRequest(f"--ttl: {bad.problem}", bad.remedy) from bad


def _requests(file: str, others: tuple[str | None, ...]) -> list[BindRequest]:
    from controller.intent import identity_file
    from controller.system.errors import WrongRequest
    from policies import loader

    if any(other is not None for other in others):
        raise WrongRequest("--file: the file says who is where", "Leave out USER, --vif, --ip and --ttl")
    return identity_file.read(loader.load([file]))


def _place(one: Presence) -> str:
    return f"VIF {one.vif}" if one.vif is not None else f"{one.address}"


def _document(one: Presence, now_s: float) -> dict[str, Any]:
    from controller.cli.times import moment

    return {
        "user": one.user,
        "vif": one.vif,
        "address": one.address,
        "bound_at": None if one.bound_at_s is None else moment(one.bound_at_s),
        "expires_at": None if one.expires_at_s is None else moment(one.expires_at_s),
        "expires_in_s": None if one.expires_at_s is None else round(one.expires_at_s - now_s, 3),
        "by": one.by,
    }


def _row(one: Presence, now_s: float) -> list[str]:
    from controller.cli.times import span

    bound = "-" if one.bound_at_s is None else _local(one.bound_at_s)
    expiry = ["-", "-"] if one.expires_at_s is None else [_local(one.expires_at_s), span(one.expires_at_s - now_s)]
    return [one.user, one.vif or "-", one.address or "-", bound, *expiry, one.by]


def _local(since_1970_s: float) -> str:
    from controller.cli.times import local

    return local(since_1970_s)
