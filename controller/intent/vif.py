"""Creating and deleting VIFs: in force when these return, or not there at all."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Sequence

from controller.intent.errors import NotInForce, Rejected
from controller.intent.numbering import VIF
from controller.intent.vif_checks import VifRequest
from controller.intent.vif_drafting import draft
from controller.intent.wait import await_in_force
from controller.intent.writing import write
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.weir_db import Command, WeirDb
from policies.parser import parse
from policies.wording import nearest, quoted

SYSTEM_ID = "system-id"  # in Weir.other_config: 6 hex digits, the middle of the MACs that this system makes
DEADLINE_S = 30.0


def create(db: WeirDb, requests: Sequence[VifRequest], deadline_s: float = DEADLINE_S) -> list[VirtualInterface]:
    """Returns the VIFs once they all are in force; when one is not, none of them is left.

    Raises Rejected with everything that is wrong with the requests, NotInForce when the host or the switch could not
    do it within `deadline_s` seconds, DatabaseError.
    """
    cfg, names = insert(db, requests)
    end_s = time.monotonic() + deadline_s
    try:
        await_in_force(db, cfg, deadline_s, vifs=names)
        if any(request.kind == "port" for request in requests):
            _await_flows(db, names, end_s)
    except (NotInForce, KeyboardInterrupt) as fault:
        _roll_back(db, names, cfg, deadline_s)
        if isinstance(fault, NotInForce):
            raise NotInForce([*fault.lines, _undone(names)]) from fault
        raise
    snapshot = db.snapshot()
    return [snapshot.interfaces[name] for name in names]


def _await_flows(db: WeirDb, names: Collection[str], end_s: float) -> None:
    """Returns when what the switches hold is younger than the VIFs' readiness.

    Somebody else's port may appear long after agent and controller have reported the change that asked for it: what
    they say of that one then proves nothing. An empty change does: the agent reports it after the VIF, and the
    controller from what it compiled with both.
    """
    cfg = write(db, lambda base: Command(next_number=base.next_number), f"look again: {', '.join(names)}")
    await_in_force(db, cfg, max(1.0, end_s - time.monotonic()), vifs=names)


def insert(db: WeirDb, requests: Sequence[VifRequest]) -> tuple[int, list[str]]:
    """Writes the VIFs into the Weir DB, all or none, without waiting. Returns sequence number and names.

    Raises Rejected, DatabaseError.
    """
    cfg = write(db, lambda base: _insertion(base, requests), f"weir vif create {_names(requests)}")
    return cfg, [request.name for request in requests]


def delete(db: WeirDb, names: Collection[str], deadline_s: float = DEADLINE_S) -> None:
    """Returns when nothing of the VIFs is left on their hosts and switches.

    Raises Rejected when one of them does not exist (then none is deleted), NotInForce, DatabaseError.
    """
    hosts: set[str] = set()

    def decide(base: Snapshot) -> Command:
        lines = [_unknown(name, base) for name in sorted(set(names)) if name not in base.interfaces]
        if lines:
            raise Rejected(lines)
        hosts.clear()
        hosts.update(_hosts(base, names))
        return Command(delete=tuple(sorted(set(names))))

    cfg = write(db, decide, f"weir vif delete {' '.join(sorted(names))}")
    try:
        await_in_force(db, cfg, deadline_s, chassis=hosts)
    except NotInForce as fault:
        kept = "The deletion stands in the Weir DB: what is left goes when agent and controller act on it."
        raise NotInForce([*fault.lines, kept]) from fault


def _insertion(base: Snapshot, requests: Sequence[VifRequest]) -> Command:
    system_id = base.other_config.get(SYSTEM_ID) or secrets.token_hex(3)
    drafted = draft(requests, base, parse(base.files), system_id)
    return Command(
        create=drafted.vifs,
        next_number={**base.next_number, VIF: drafted.next_number},
        other_config={**base.other_config, SYSTEM_ID: system_id},
    )


def _roll_back(db: WeirDb, names: Collection[str], cfg: int, deadline_s: float) -> None:
    """Deletes those of the VIFs that are still the ones that were created, and waits for it, but does not insist."""
    hosts: set[str] = set()

    def decide(base: Snapshot) -> Command:
        ours = [name for name in names if name in base.interfaces and base.interfaces[name].cfg == cfg]
        hosts.clear()
        hosts.update(_hosts(base, ours))
        return Command(delete=tuple(ours))

    try:
        await_in_force(db, write(db, decide, f"roll back of change {cfg}"), deadline_s, chassis=hosts)
    except NotInForce:
        return  # the row is gone, so nothing comes into being; why the host does not answer is being said already


def _hosts(snapshot: Snapshot, names: Collection[str]) -> set[str]:
    hosts = {snapshot.interfaces[name].chassis for name in names}
    return {host for host in hosts if host is not None and host in snapshot.chassis}


def _unknown(name: str, snapshot: Snapshot) -> str:
    meant = nearest(name, snapshot.interfaces)
    remedy = f"Did you mean '{meant}'?" if meant else "See weir vif list."
    return f"VIF {quoted(name)}: there is none of this name. {remedy}"


def _undone(names: Sequence[str]) -> str:
    which = f"VIF '{names[0]}' was" if len(names) == 1 else f"all {len(names)} VIFs were"
    return f"{which} not created: what had been done was undone."


def _names(requests: Sequence[VifRequest]) -> str:
    return ", ".join(quoted(request.name) for request in requests[:3]) + (" ..." if len(requests) > 3 else "")
