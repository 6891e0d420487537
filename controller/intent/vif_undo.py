"""Taking back what has not come into force."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from controller.intent.errors import NotInForce, Rejected
from controller.intent.vif_drafting import said
from controller.intent.vif_return import returning
from controller.intent.wait import Change, await_in_force
from controller.intent.writing import write
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.session import DatabaseError
from ovsdb.weir_db import Command, WeirDb


def take_away(db: WeirDb, change: Change, names: Collection[str], deadline_s: float) -> str | None:
    """Deletes those of the VIFs that are still the ones that were created, and waits for it, but does not insist.

    Returns why that could not be written; None: it was.
    """
    hosts: set[str] = set()

    def decide(base: Snapshot) -> Command:
        ours = [name for name in names if is_of(change, base.interfaces.get(name))]
        hosts.clear()
        hosts.update(hosts_of(base, ours))
        return Command(delete=tuple(ours))

    try:
        cfg, base = write(db, decide, f"roll back of change {change.cfg}")
        await_in_force(db, Change(cfg, base, chassis=hosts, uplinks=()), deadline_s)
    except NotInForce:
        return None  # the row is gone, so nothing comes into being; why the host does not answer is being said already
    except DatabaseError as fault:
        return f"undo failed: {fault} What is left of it goes with: weir vif delete {' '.join(names)}."
    return None


def put_back(db: WeirDb, change: Change, before: Sequence[VirtualInterface], deadline_s: float) -> str | None:
    """Makes those of the VIFs that are still as they were changed what they were `before`, unless others have taken
    that meanwhile; waits, but does not insist.

    Returns why that could not be done; None: it was.
    """
    hosts: set[str] = set()
    stays: list[str] = []

    def decide(base: Snapshot) -> Command:
        ours = [old for old in before if is_of(change, base.interfaces.get(old.name))]
        fitting, faults = returning(ours, change.base, base)
        stays[:] = said(faults)
        hosts.clear()
        hosts.update(hosts_of(base, [old.name for old in ours]))
        return Command(change=tuple(fitting))

    try:
        cfg, base = write(db, decide, f"roll back of change {change.cfg}")
        await_in_force(db, Change(cfg, base, chassis=hosts, uplinks=()), deadline_s)
    except NotInForce:
        pass  # it is written: the host acts on it when it answers again
    except DatabaseError as fault:
        return f"undo failed: {fault} See weir vif show for what it is now."
    if stays:
        return " ".join(f"undo failed for {line}" for line in stays) + " Set it again."
    return None


def is_of(change: Change, vif: VirtualInterface | None) -> bool:
    return vif is not None and vif.cfg == change.cfg


def hosts_of(snapshot: Snapshot, names: Collection[str]) -> set[str]:
    """Those that have a row."""
    hosts = {snapshot.interfaces[name].chassis for name in names}
    return {host for host in hosts if host is not None and host in snapshot.chassis}


def lines_of(fault: BaseException) -> list[str]:
    """What is told of what ended it."""
    if isinstance(fault, (NotInForce, Rejected)):
        return list(fault.lines)
    return [str(fault) or "interrupted before it was in force."]
