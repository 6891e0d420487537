"""Creating and deleting VIFs: in force when these return, or not there at all."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from controller.intent.errors import NotInForce, Rejected
from controller.intent.numbering import VIF
from controller.intent.uplinks import way_out_fault
from controller.intent.vif_checks import VifRequest, segment_of
from controller.intent.vif_drafting import draft
from controller.intent.wait import Change, await_in_force
from controller.intent.writing import write
from ovsdb.rows import Snapshot, VirtualInterface
from ovsdb.session import DatabaseError
from ovsdb.weir_db import Command, WeirDb
from policies.parser import parse
from policies.wording import nearest, quoted

SYSTEM_ID = "system-id"  # in Weir.other_config: 6 hex digits, the middle of the MACs that this system makes
DEADLINE_S = 30.0


def create(db: WeirDb, requests: Sequence[VifRequest], deadline_s: float = DEADLINE_S) -> list[VirtualInterface]:
    """Returns the VIFs once they all are in force; when one is not, none of them is left.

    Raises Rejected with everything that is wrong with the requests, NotInForce when the host or the switch could not
    do it within `deadline_s` seconds, DatabaseError when nothing was written.
    """
    change = _inserted(db, requests)
    end_s = time.monotonic() + deadline_s
    try:
        await_in_force(db, change, deadline_s)
        if any(request.kind == "port" for request in requests):
            _await_flows(db, change, end_s)
        _check_way_out(db.snapshot(), change.vifs)
    except (NotInForce, DatabaseError, KeyboardInterrupt) as fault:
        not_undone = _roll_back(db, change, deadline_s)
        if isinstance(fault, KeyboardInterrupt) and not_undone is None:
            raise
        raise NotInForce([*_lines(fault), not_undone or _undone(change.vifs)]) from fault
    snapshot = db.snapshot()
    return [snapshot.interfaces[name] for name in change.vifs]


def _await_flows(db: WeirDb, change: Change, end_s: float) -> None:
    """Returns when what the switches hold is younger than the VIFs' readiness.

    Somebody else's port may appear long after agent and controller have reported the change that asked for it: what
    they say of that one then proves nothing. An empty change does: the agent reports it after the VIF, and the
    controller from what it compiled with both.
    """
    names = ", ".join(change.vifs)
    cfg, _ = write(db, lambda base: Command(next_number=base.next_number), f"look again: {names}")
    await_in_force(db, replace(change, cfg=cfg), max(1.0, end_s - time.monotonic()))


def _check_way_out(snapshot: Snapshot, names: Collection[str]) -> None:
    """What the request could not be held against: on which host a port would be, and a host that had not said."""
    segments, lines = parse(snapshot.files).segments, []
    for vif in (snapshot.interfaces[name] for name in names if name in snapshot.interfaces):
        segment, host = segments.get(vif.segment), snapshot.chassis.get(vif.chassis or "")
        fault = way_out_fault(segment, host) if segment is not None and host is not None else None
        if fault is not None:
            lines.append(f"VIF '{vif.name}': {fault}")
    if lines:
        raise NotInForce(lines)


def insert(db: WeirDb, requests: Sequence[VifRequest]) -> tuple[int, list[str]]:
    """Writes the VIFs into the Weir DB, all or none, without waiting. Returns sequence number and names.

    Raises Rejected, DatabaseError.
    """
    change = _inserted(db, requests)
    return change.cfg, list(change.vifs)


def _inserted(db: WeirDb, requests: Sequence[VifRequest]) -> Change:
    cfg, base = write(db, lambda base: _insertion(base, requests), f"weir vif create {_names(requests)}")
    policies = parse(base.files)
    used = {segment_of(request, policies) for request in requests}
    uplinks = [segment.uplink for segment in used if segment is not None and segment.uplink is not None]
    return Change(cfg, base, vifs=[request.name for request in requests], uplinks=uplinks)


def delete(db: WeirDb, names: Collection[str], deadline_s: float = DEADLINE_S) -> None:
    """Returns when nothing of the VIFs is left on their hosts and switches.

    Raises Rejected when one of them does not exist (then none is deleted), NotInForce, DatabaseError. What was wrong
    with their hosts before does not matter, nor what is with an uplink.
    """
    hosts: set[str] = set()

    def decide(base: Snapshot) -> Command:
        lines = [_unknown(name, base) for name in sorted(set(names)) if name not in base.interfaces]
        if lines:
            raise Rejected(lines)
        hosts.clear()
        hosts.update(_hosts(base, names))
        return Command(delete=tuple(sorted(set(names))))

    cfg, base = write(db, decide, f"weir vif delete {' '.join(sorted(names))}")
    try:
        await_in_force(db, Change(cfg, base, chassis=hosts, uplinks=()), deadline_s)
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


def _roll_back(db: WeirDb, change: Change, deadline_s: float) -> str | None:
    """Deletes those of the VIFs that are still the ones that were created, and waits for it, but does not insist.

    Returns why that could not be written; None: it was.
    """
    hosts: set[str] = set()

    def decide(base: Snapshot) -> Command:
        ours = [name for name in change.vifs if _is_of(change, base.interfaces.get(name))]
        hosts.clear()
        hosts.update(_hosts(base, ours))
        return Command(delete=tuple(ours))

    try:
        cfg, base = write(db, decide, f"roll back of change {change.cfg}")
        await_in_force(db, Change(cfg, base, chassis=hosts, uplinks=()), deadline_s)
    except NotInForce:
        return None  # the row is gone, so nothing comes into being; why the host does not answer is being said already
    except DatabaseError as fault:
        return f"undo failed: {fault} What is left of it goes with: weir vif delete {' '.join(change.vifs)}."
    return None


def _is_of(change: Change, vif: VirtualInterface | None) -> bool:
    return vif is not None and vif.cfg == change.cfg


def _lines(fault: BaseException) -> Sequence[str]:
    if isinstance(fault, NotInForce):
        return fault.lines
    return [str(fault) or "interrupted before it was in force."]


def _hosts(snapshot: Snapshot, names: Collection[str]) -> set[str]:
    hosts = {snapshot.interfaces[name].chassis for name in names}
    return {host for host in hosts if host is not None and host in snapshot.chassis}


def _unknown(name: str, snapshot: Snapshot) -> str:
    meant = nearest(name, snapshot.interfaces)
    remedy = f"Did you mean '{meant}'?" if meant else "See weir vif list."
    return f"VIF {quoted(name)}: there is none of this name. {remedy}"


def _undone(names: Collection[str]) -> str:
    which = f"VIF '{next(iter(names))}' was" if len(names) == 1 else f"all {len(names)} VIFs were"
    return f"{which} not created: what had been done was undone."


def _names(requests: Sequence[VifRequest]) -> str:
    return ", ".join(quoted(request.name) for request in requests[:3]) + (" ..." if len(requests) > 3 else "")
