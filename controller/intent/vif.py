"""Changing and deleting VIFs: in force when these return, or as it was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from controller.intent.creation import DEADLINE_S, EACH_S, Warn, batches
from controller.intent.errors import NotInForce, Rejected
from controller.intent.interruption import Hold
from controller.intent.naming import vifs_named
from controller.intent.promises import warnings
from controller.intent.vif_change import VifChange, redraft, touches_device, unknown
from controller.intent.vif_undo import hosts_of, lines_of, put_back
from controller.intent.wait import Change, Progress, await_in_force
from controller.intent.way_out import check_way_out, uplinks_of
from controller.intent.writing import write
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.session import DatabaseError
from ovsdb.weir_db import Command, WeirDb
from policies.model import PolicySet
from policies.parser import parse


def change(
    db: WeirDb, names: Collection[str], wanted: VifChange, deadline_s: float = DEADLINE_S, warn: Warn | None = None
) -> tuple[list[VirtualInterface], bool]:
    """Returns the VIFs as they are, and whether anything was changed, once the change is in force.

    Raises Rejected when it cannot be (nothing is changed), NotInForce when host or switch could not do it (they are put
    back to what they were), DatabaseError.
    """
    after: list[VirtualInterface] = []
    policies = PolicySet()

    def decide(base: Snapshot) -> Command:
        nonlocal after, policies
        policies = parse(base.files)
        after = redraft(names, wanted, base, policies)
        hold.begin()
        return Command(change=tuple(after))

    with Hold() as hold:
        cfg, base = write(db, decide, f"weir vif set {' '.join(sorted(names)[:8])}")
        if warn is not None:
            for line in warnings(after, policies, base):
                warn(line)
        if after:
            before = [base.interfaces[vif.name] for vif in after]
            concerned = Change(cfg, base, chassis=hosts_of(base, [*names]), uplinks=uplinks_of(policies, after))
            _await_change(db, concerned, list(zip(before, after, strict=True)), deadline_s, hold)
    snapshot = db.snapshot()
    return [snapshot.interfaces[name] for name in sorted(set(names)) if name in snapshot.interfaces], bool(after)


def _await_change(
    db: WeirDb,
    concerned: Change,
    vifs: Sequence[tuple[VirtualInterface, VirtualInterface]],
    deadline_s: float,
    hold: Hold,
) -> None:
    """vifs: before and after. One that was not ready, and of which nothing is to be made, need not become so."""
    ready = [new.name for old, new in vifs if old.state == "ready" or touches_device(old, new)]
    waited = replace(concerned, vifs=ready)
    try:
        hold.end()
        await_in_force(db, waited, deadline_s)
        check_way_out(db.snapshot(), [new.name for old, new in vifs if old.segment != new.segment])
    except (NotInForce, DatabaseError, KeyboardInterrupt) as fault:
        not_undone = put_back(db, waited, [old for old, _ in vifs], deadline_s)
        if isinstance(fault, KeyboardInterrupt) and not_undone is None:
            raise
        words = f"{vifs_named([old.name for old, _ in vifs])} {'were' if len(vifs) > 1 else 'was'}"
        raise NotInForce([*lines_of(fault), not_undone or f"{words} put back to what it was before."]) from fault


def delete(
    db: WeirDb, names: Collection[str], progress: Progress | None = None, deadline_s: float = DEADLINE_S
) -> None:
    """Returns when nothing of the VIFs is left on their hosts and switches.

    progress: called with how many are gone, of how many. Raises Rejected when one of them does not exist (then none is
    deleted), NotInForce, DatabaseError. What was wrong with their hosts before does not matter, nor what is with an
    uplink.
    """
    every = sorted(set(names))
    for start, batch in batches(every):
        _delete_batch(db, batch, every[start:], deadline_s)
        if progress is not None:
            progress(start + len(batch), len(every))


def _delete_batch(db: WeirDb, names: Sequence[str], remaining: Sequence[str], deadline_s: float) -> None:
    hosts: set[str] = set()

    def decide(base: Snapshot) -> Command:
        lines = [unknown(name, base) for name in remaining if name not in base.interfaces]
        if lines:
            raise Rejected(lines)
        hosts.clear()
        hosts.update(hosts_of(base, names))
        return Command(delete=tuple(names))

    cfg, base = write(db, decide, f"weir vif delete {' '.join(names)}")
    try:
        await_in_force(db, Change(cfg, base, chassis=hosts, uplinks=()), deadline_s + EACH_S * (len(names) - 1))
    except NotInForce as fault:
        kept = "The deletion stands in the Weir DB: what is left goes when agent and controller act on it."
        rest = [f"{len(remaining) - len(names)} more were left as they are."] if len(remaining) > len(names) else []
        raise NotInForce([*fault.lines, kept, *rest]) from fault
