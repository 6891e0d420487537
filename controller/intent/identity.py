"""Who is where: users bound to VIFs and to addresses, and taken away again; in force when these return."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from controller.intent.errors import NotInForce, Rejected
from controller.intent.wait import Change, await_in_force
from controller.intent.writing import write
from controller.world.identities import in_force
from ovsdb.rows import Snapshot, UserBinding
from ovsdb.weir_db import Command, WeirDb
from policies.identity import USER_LABEL
from policies.wording import nearest, quoted

DEADLINE_S = 30.0
LONGEST_USER = 255  # characters, as many as a rule can name
_SHOWN = 4  # places in a line
_BROADCAST = IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class BindRequest:
    """A user is to be at a VIF or at an address, one of them. ttl_s: seconds that it holds; None: until it is undone.

    where: the place in a file that asks for it, as error lines begin; "": a command does.
    """

    user: str
    vif: str | None = None
    address: str | None = None
    ttl_s: float | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Presence:
    """A user who is somewhere now. bound_at_s: None where a VIF's label says so. Seconds since 1970."""

    user: str
    vif: str | None
    address: str | None
    by: str
    bound_at_s: float | None = None
    expires_at_s: float | None = None


def bind(db: WeirDb, requests: Sequence[BindRequest], by: str, deadline_s: float = DEADLINE_S) -> list[Presence]:
    """Returns what was bound once it is in force on every chassis: all of it, or nothing.

    What is bound already is renewed. Raises Rejected with everything that is wrong (nothing is changed), NotInForce (it
    stands, and comes into force where it is not as soon as what is in the way has gone), DatabaseError.
    """
    bound: list[UserBinding] = []

    def decide(base: Snapshot) -> Command:
        now_s = time.time()
        bound[:] = drafted(requests, base, now_s, by)
        return Command(bind=tuple(bound), unbind=_expired(base, now_s))

    _carry_out(db, decide, f"weir identity bind by {by}", deadline_s)
    return [_presence(binding) for binding in bound]


def unbind(
    db: WeirDb, user: str, vif: str | None = None, address: str | None = None, deadline_s: float = DEADLINE_S
) -> list[Presence]:
    """Takes the user away from the VIF or the address; from everywhere if neither is given. Returns from where.

    Returns once no chassis knows of it any more. Raises as `bind` does.
    """
    unbound: list[UserBinding] = []

    def decide(base: Snapshot) -> Command:
        now_s = time.time()
        unbound[:] = found(base, now_s, user, vif, address)
        return Command(unbind=(*unbound, *_expired(base, now_s)))

    _carry_out(db, decide, f"weir identity unbind {quoted(user)}", deadline_s)
    return [_presence(binding) for binding in unbound]


def listing(snapshot: Snapshot, now_s: float) -> list[Presence]:
    """Who is where: what is bound and has not expired, and what VIFs are labelled with. By user."""
    labelled = [
        Presence(vif.labels[USER_LABEL], vif.name, None, "label")
        for vif in snapshot.interfaces.values()
        if vif.labels.get(USER_LABEL)
    ]
    bound = [_presence(binding) for binding in in_force(snapshot.bindings, now_s)]
    return sorted([*bound, *labelled], key=lambda one: (one.user, one.vif or "", one.address or "", one.by))


def drafted(requests: Sequence[BindRequest], snapshot: Snapshot, now_s: float, by: str) -> list[UserBinding]:
    """The bindings that are asked for. Raises Rejected with one line a fault, of all requests together."""
    lines, made = [], {}
    for request in requests:
        faults = list(_complaints(request, snapshot))
        if not faults:
            expires_at_s = None if request.ttl_s is None else now_s + request.ttl_s
            address = str(ip_address(request.address)) if request.address else ""
            binding = UserBinding(request.user, request.vif or "", address, now_s, expires_at_s, by)
            if binding.key in made:
                faults.append("the same is asked for twice. Remove one of them.")
            made[binding.key] = binding
        lines += [f"{request.where or f'user {quoted(request.user)}'}: {fault}" for fault in faults]
    if lines:
        raise Rejected(lines)
    return list(made.values())


def found(
    snapshot: Snapshot, now_s: float, user: str, vif: str | None = None, address: str | None = None
) -> list[UserBinding]:
    """The bindings of the user that hold now, there or anywhere. Raises Rejected when there is none."""
    faults = list(_faults_of_address(address)) if address is not None else []
    if vif is not None and address is not None:
        faults.append("it names a VIF and an address. Name one of them, or none for all of the user's.")
    if faults:
        raise Rejected(f"user {quoted(user)}: {fault}" for fault in faults)
    valid = in_force(snapshot.bindings, now_s)
    of_user = [binding for binding in valid if binding.user == user]
    wanted = (vif or "", str(ip_address(address)) if address is not None else "")
    matching = [binding for binding in of_user if wanted in (("", ""), (binding.vif, binding.address))]
    if not matching:
        where = f" to VIF {quoted(vif)}" if vif else f" to address {wanted[1]}" if address else ""
        remedy = _places(of_user, vif, wanted[1]) if of_user else _other_users(snapshot, valid, user)
        raise Rejected([f"user {quoted(user)} is not bound{where}. {remedy}"])
    return matching


def _carry_out(db: WeirDb, decide: Callable[[Snapshot], Command], comment: str, deadline_s: float) -> None:
    """What uplinks lack has nothing to do with who is where."""
    cfg, base = write(db, decide, comment)
    try:
        await_in_force(db, Change(cfg, base, uplinks=()), deadline_s)
    except NotInForce as fault:
        kept = "The change stands in the Weir DB: it comes into force there when agent and controller act on it."
        raise NotInForce([*fault.lines, kept]) from fault


def _complaints(request: BindRequest, snapshot: Snapshot) -> Iterator[str]:
    if not 0 < len(request.user) <= LONGEST_USER or not request.user.isprintable():
        yield f"{quoted(request.user)} is no name of a user. Use 1 to {LONGEST_USER} printable characters."
    if (request.vif is None) == (request.address is None):
        names = "neither a VIF nor an address" if request.vif is None else "a VIF and an address"
        yield f"it names {names}. Name one of them."
    if request.vif is not None and request.vif not in snapshot.interfaces:
        meant = nearest(request.vif, snapshot.interfaces)
        remedy = f"Did you mean '{meant}'?" if meant else "See weir vif list."
        yield f"there is no VIF {quoted(request.vif)}. {remedy}"
    if request.address is not None:
        yield from _faults_of_address(request.address)
    if request.ttl_s is not None and not (math.isfinite(request.ttl_s) and request.ttl_s > 0):
        yield f"a binding of {request.ttl_s:g} s never holds. Give it a time above 0, or none to let it stay."


def _faults_of_address(text: str) -> Iterator[str]:
    try:
        address = ip_address(text)
    except ValueError:
        short = text.partition("/")[0]
        yield f"{quoted(text)} is not an IP address. Write one without a prefix length, as in {_example(short)}."
        return
    mapped = address.ipv4_mapped if address.version == 6 else None
    if "%" in text or address.is_multicast or address.is_unspecified or _BROADCAST in (address, mapped):
        yield f"{quoted(text)} is not the address of one host. Write a unicast address without a zone."
    elif address.is_loopback or (mapped is not None and mapped.is_loopback):
        yield f"{quoted(text)} is a loopback address, which no packet carries. Write the address that others reach."
    elif mapped is not None:
        yield f"{quoted(text)} is an IPv4 address as IPv6 maps it, which no packet carries. Write {mapped}."


def _example(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return "10.0.0.5 or fd00::5"


def _places(bindings: Sequence[UserBinding], vif: str | None, address: str) -> str:
    """Where the user is instead."""
    meant = nearest(vif or address, [binding.vif or binding.address for binding in bindings])
    if meant is not None:
        return f"Did you mean '{meant}'?"
    places = [f"VIF '{binding.vif}'" if binding.vif else f"address {binding.address}" for binding in bindings]
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return f"It is bound to {', '.join(places[:_SHOWN])}{more}."


def _other_users(snapshot: Snapshot, bindings: Sequence[UserBinding], user: str) -> str:
    labelled = sorted(vif.name for vif in snapshot.interfaces.values() if vif.labels.get(USER_LABEL) == user)
    if labelled:
        return f"It is the label '{USER_LABEL}' of VIF '{labelled[0]}', and stays as long as the VIF has that."
    meant = nearest(user, {binding.user for binding in bindings})
    return f"Did you mean '{meant}'?" if meant else "See weir identity list."


def _expired(snapshot: Snapshot, now_s: float) -> tuple[UserBinding, ...]:
    valid = set(in_force(snapshot.bindings, now_s))
    return tuple(binding for binding in snapshot.bindings if binding not in valid)


def _presence(binding: UserBinding) -> Presence:
    where = (binding.vif or None, binding.address or None)
    return Presence(binding.user, *where, binding.bound_by, binding.bound_at_s, binding.expires_at_s)
