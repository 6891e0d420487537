"""Creating VIFs: in force when these return, or not there at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from controller.intent.errors import NotInForce, Partly, Rejected
from controller.intent.interruption import Hold
from controller.intent.naming import vifs_named
from controller.intent.numbering import VIF
from controller.intent.promises import warnings
from controller.intent.vif_checks import VifRequest
from controller.intent.vif_drafting import Draft, Fault, draft, draft_each, said
from controller.intent.vif_undo import lines_of, take_away
from controller.intent.wait import Change, Progress, await_each, await_in_force
from controller.intent.way_out import check_way_out, uplinks_of, without_way_out
from controller.intent.writing import write
from ovsdb.rows import SYSTEM_ID, Snapshot, VirtualInterface
from ovsdb.session import DatabaseError
from ovsdb.weir_db import Command, WeirDb
from policies.model import PolicySet
from policies.parser import parse

DEADLINE_S = 30.0
EACH_S = 0.1  # more for each of several
LEAST_BATCH, MOST_BATCHES = 25, 10  # of many: each is one transaction, and the next begins when it is in force

Warn = Callable[[str], None]  # called with each line that is to be said of VIFs that may be
_Drafting = Callable[[Sequence[VifRequest], Snapshot, PolicySet, str], Draft]
_Item = TypeVar("_Item")


def create(
    db: WeirDb, request: VifRequest, deadline_s: float = DEADLINE_S, warn: Warn | None = None
) -> VirtualInterface:
    """Returns the VIF once it is in force; when it cannot be, nothing of it is left.

    Raises Rejected with everything that is wrong with the request, NotInForce when the host or the switch could not do
    it within `deadline_s` seconds, DatabaseError when nothing was written.
    """
    with Hold() as hold:
        change, _ = _inserted(db, [request], draft, hold, warn)
        end_s = time.monotonic() + deadline_s
        try:
            hold.end()
            await_in_force(db, change, deadline_s)
            if request.kind == "port":
                _await_flows(db, change, end_s)
            check_way_out(db.snapshot(), change.vifs)
        except (NotInForce, DatabaseError, KeyboardInterrupt) as fault:
            raise _given_up(db, change, deadline_s, fault) from fault
    return db.snapshot().interfaces[request.name]


def create_many(
    db: WeirDb,
    requests: Sequence[VifRequest],
    progress: Progress | None = None,
    deadline_s: float = DEADLINE_S,
    warn: Warn | None = None,
) -> list[VirtualInterface]:
    """Likewise many: one that cannot be does not keep the others from being.

    Returns those that nobody has deleted since they were in force. progress: called with how many are in force, of how
    many. deadline_s: without anything moving.
    Raises Partly when some are in force and the others, each named with its reason, are not there; Rejected and
    NotInForce when none is. A host that fails as a whole, and an interruption, end it: what is in force then stays.
    """
    made, rejected, failed, end = list[str](), list[Fault](), list[Fault](), list[str]()
    for _, batch in batches(requests):
        told = _further(progress, len(made), len(requests))
        try:
            with Hold() as hold:
                change, refused = _inserted(db, batch, draft_each, hold, warn)
                ready, broken = _await_batch(db, change, told, deadline_s, hold) if change.vifs else ([], [])
        except (NotInForce, DatabaseError, KeyboardInterrupt) as fault:
            if not made and not rejected and not failed:
                raise
            end = lines_of(fault)
            break
        made, rejected, failed = made + ready, rejected + refused, failed + broken
    lines = [*said([*rejected, *failed]), *end]
    if lines and not made:
        raise NotInForce(lines) if failed or end else Rejected(lines)
    if lines:
        rest = len(requests) - len(made)
        lines.append(f"{len(made)} of {len(requests)} VIFs were created; nothing is left of the other {rest}.")
        raise Partly(lines, made)
    snapshot = db.snapshot()
    return [snapshot.interfaces[name] for name in made if name in snapshot.interfaces]


def batches(items: Sequence[_Item]) -> Iterator[tuple[int, Sequence[_Item]]]:
    """Each with the place of its first: not too small to be worth the wait for each, and few enough."""
    size = max(LEAST_BATCH, -(-len(items) // MOST_BATCHES))
    for start in range(0, len(items), size):
        yield start, items[start : start + size]


def _further(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, of: progress(before + done, total)


def _await_batch(
    db: WeirDb, change: Change, progress: Progress | None, deadline_s: float, hold: Hold
) -> tuple[list[str], list[Fault]]:
    """Names of those that are in force, and what was wrong with the others, which are not there any more."""
    deadline_s += EACH_S * len(change.vifs)
    try:
        hold.end()
        failed = await_each(db, change, deadline_s, progress)
        ready = replace(change, vifs=[name for name in change.vifs if name not in failed])
        if any(db.snapshot().interfaces[name].kind == "port" for name in ready.vifs):
            _await_flows(db, ready, time.monotonic() + deadline_s)
        failed |= without_way_out(db.snapshot(), ready.vifs)
    except (NotInForce, DatabaseError, KeyboardInterrupt) as fault:
        raise _given_up(db, change, deadline_s, fault) from fault
    not_undone = take_away(db, change, list(failed), deadline_s) if failed else None
    faults = [(name, text if not_undone is None else f"{text} {not_undone}") for name, text in failed.items()]
    return [name for name in change.vifs if name not in failed], faults


def insert(db: WeirDb, requests: Sequence[VifRequest]) -> tuple[int, list[str]]:
    """Writes the VIFs into the Weir DB, all or none, without waiting. Returns sequence number and names.

    Raises Rejected, DatabaseError.
    """
    with Hold() as hold:
        written, _ = _inserted(db, requests, draft, hold)
    return written.cfg, list(written.vifs)


def _inserted(
    db: WeirDb, requests: Sequence[VifRequest], drafting: _Drafting, hold: Hold, warn: Warn | None = None
) -> tuple[Change, list[Fault]]:
    """What is written, and what stands against the others, as `drafting` finds and raises. Holds signals from then."""
    drafted, policies = Draft((), 0), PolicySet()

    def decide(base: Snapshot) -> Command:
        nonlocal drafted, policies
        system_id = base.other_config.get(SYSTEM_ID) or os.urandom(3).hex()
        policies = parse(base.files)
        drafted = drafting(requests, base, policies, system_id)
        if not drafted.vifs:
            return Command()
        hold.begin()
        return Command(
            create=drafted.vifs,
            next_number={**base.next_number, VIF: drafted.next_number},
            other_config={**base.other_config, SYSTEM_ID: system_id},
        )

    cfg, base = write(db, decide, f"weir vif create {vifs_named([request.name for request in requests])}")
    if warn is not None:
        for line in warnings(drafted.vifs, policies, base):
            warn(line)
    names = [vif.name for vif in drafted.vifs]
    return Change(cfg, base, vifs=names, uplinks=uplinks_of(policies, drafted.vifs)), list(drafted.faults)


def _await_flows(db: WeirDb, change: Change, end_s: float) -> None:
    """Returns when what the switches hold is younger than the VIFs' readiness.

    Somebody else's port may appear long after agent and controller have reported the change that asked for it: what
    they say of that one then proves nothing. An empty change does: the agent reports it after the VIF, and the
    controller from what it compiled with both.
    """
    cfg, _ = write(db, lambda base: Command(next_number=base.next_number), f"look again: {vifs_named([*change.vifs])}")
    await_in_force(db, replace(change, cfg=cfg), max(1.0, end_s - time.monotonic()))


def _given_up(db: WeirDb, change: Change, deadline_s: float, fault: BaseException) -> BaseException:
    """With all of the VIFs taken away again, what to raise."""
    not_undone = take_away(db, change, change.vifs, deadline_s)
    if isinstance(fault, KeyboardInterrupt) and not_undone is None:
        return fault
    return NotInForce([*lines_of(fault), not_undone or _undone(change.vifs)])


def _undone(names: Collection[str]) -> str:
    which = f"VIF '{next(iter(names))}' was" if len(names) == 1 else f"all {len(names)} VIFs were"
    return f"{which} not created: what had been done was undone."
