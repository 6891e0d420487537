"""Waiting until what was asked for is in force at the switches, or knowing why it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from controller.intent.errors import NotInForce
from controller.intent.uplinks import agent_faults, uplink_of
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from ovsdb.weir_db import WeirDb

Progress = Callable[[int, int], None]  # so many are done, of so many


@dataclass(frozen=True, slots=True)
class Change:
    """What is waited for.

    base: the database as the change found it: what agents complain of there is not this change's doing.
    vifs: by name, to be ready. chassis: by name; None: those of the VIFs, or all when no VIFs are named.
    uplinks: those whose faults are this change's, however old; None: new ones of any.
    """

    cfg: int
    base: Snapshot
    vifs: Collection[str] = ()
    chassis: Collection[str] | None = None
    uplinks: Collection[str] | None = None


def await_in_force(db: WeirDb, change: Change, deadline_s: float) -> None:
    """Returns when the change is in force on every chassis concerned, and every one of its VIFs is ready there.

    Raises NotInForce as soon as a VIF or a chassis reports an error for this change, and after `deadline_s` seconds
    with who has not answered.
    """
    end_s = time.monotonic() + deadline_s
    while True:
        db.run()
        snapshot = db.snapshot()
        failed = [f"VIF '{name}': {fault}" for name, fault in failures(snapshot, change).items()]
        failed += host_failures(snapshot, change)
        if failed:
            raise NotInForce(failed)
        missing = [*hosts_missing(snapshot, change)]
        missing += [f"VIF '{name}': {what}" for name, what in vifs_missing(snapshot, change).items()]
        if not missing:
            return
        remaining_s = end_s - time.monotonic()
        if remaining_s <= 0:
            raise too_late(db, missing, deadline_s)
        db.wait(remaining_s)


def await_each(db: WeirDb, change: Change, stall_s: float, progress: Progress | None = None) -> dict[str, str]:
    """Returns when the change is in force on every chassis concerned, and each VIF is ready there or has failed.

    progress: told whenever more of the VIFs are ready. Returns why those that failed did, by name; one that
    waits for somebody else has failed when nothing has moved for `stall_s` seconds. Raises NotInForce when a host or
    switch reports an error of its own, or has not answered then.
    """
    seen: object = None
    end_s, done = 0.0, -1
    while True:
        db.run()
        snapshot = db.snapshot()
        if lines := list(host_failures(snapshot, change)):
            raise NotInForce(lines)
        failed = failures(snapshot, change)
        states = [snapshot.interfaces[name].state for name in change.vifs if name in snapshot.interfaces]
        if done != (done := states.count("ready")) and progress is not None:
            progress(done, len(change.vifs))
        missing, waiting = [*hosts_missing(snapshot, change)], vifs_missing(snapshot, change)
        waiting = {name: what for name, what in waiting.items() if name not in failed}
        if not missing and not waiting:
            return failed
        now = (states, [(host.agent_cfg, host.flow_cfg) for host in snapshot.chassis.values()])
        if now != seen:
            seen, end_s = now, time.monotonic() + stall_s
        remaining_s = end_s - time.monotonic()
        if remaining_s <= 0 and missing:
            raise too_late(db, missing, stall_s)
        if remaining_s <= 0:
            return failed | waiting
        db.wait(remaining_s)


def too_late(db: WeirDb, missing: Collection[str], deadline_s: float) -> NotInForce:
    lost = [] if db.connected else [f"{db.remote}: the Weir DB does not answer any more. See weir status."]
    return NotInForce(lost or [f"not in force after {deadline_s:g} s: {line}" for line in missing])


def failures(snapshot: Snapshot, change: Change) -> dict[str, str]:
    """Of VIFs, by name: errors that were reported with this change in view; an older one may be about to go."""
    found = {}
    for name in change.vifs:
        vif = snapshot.interfaces.get(name)
        if vif is None:
            found[name] = "it was deleted meanwhile. Create it again if it is still wanted."
        elif vif.state == "error" and _agent_has_seen(snapshot, vif, change.cfg):
            found[name] = vif.error or ""
    return found


def host_failures(snapshot: Snapshot, change: Change) -> Iterator[str]:
    """Likewise, of hosts and switches."""
    for host in _concerned(snapshot, change):
        if host.agent_error is not None and host.agent_cfg >= change.cfg and _is_its_fault(host, change):
            yield f"host '{host.name}': {host.agent_error}"
        if host.flow_error is not None and host.flow_cfg >= change.cfg and host.connected:
            yield f"switch of host '{host.name}': {host.flow_error}"


def _is_its_fault(host: Chassis, change: Change) -> bool:
    """Whether the agent says something that it did not say before, or something of an uplink that the change needs."""
    before = change.base.chassis.get(host.name)
    known = set(agent_faults(before.agent_error or "")) if before is not None else set()
    for fault in agent_faults(host.agent_error or ""):
        uplink = uplink_of(fault)
        matters = fault not in known if uplink is None or change.uplinks is None else uplink in change.uplinks
        if matters:
            return True
    return False


def hosts_missing(snapshot: Snapshot, change: Change) -> Iterator[str]:
    """Who has not done its part yet."""
    hosts, cfg = _concerned(snapshot, change), change.cfg
    for name in change.chassis or ():
        if name not in snapshot.chassis:
            yield f"host '{name}' has never reported. See whether its agent runs: weir status."
    for host in hosts:
        if host.agent_cfg < cfg:
            said = f" It says: {host.agent_error}" if host.agent_error else ""
            yield f"the agent of host '{host.name}' has not reported. See whether it runs: weir status.{said}"
        elif host.flow_cfg < cfg and not host.connected:
            yield f"the switch of host '{host.name}' is not connected to the controller. See weir status."
        elif host.flow_cfg < cfg:
            detail = f" ({host.flow_error})" if host.flow_error else ""
            yield (
                f"the controller has not brought the flows of host '{host.name}' up to date{detail}. "
                "See whether it runs: weir status."
            )


def vifs_missing(snapshot: Snapshot, change: Change) -> dict[str, str]:
    """What VIFs of hosts whose agents have done their part wait for, by name."""
    silent = {host.name for host in _concerned(snapshot, change) if host.agent_cfg < change.cfg}
    present = [vif for name in change.vifs if (vif := snapshot.interfaces.get(name)) is not None]
    return {
        vif.name: _what_a_vif_waits_for(snapshot, vif)
        for vif in present
        if vif.state != "ready" and vif.chassis not in silent
    }


def _what_a_vif_waits_for(snapshot: Snapshot, vif: VirtualInterface) -> str:
    if vif.error is not None:
        return vif.error
    if vif.kind == "port":
        where = "any bridge" if vif.chassis is None else f"bridge {_bridge(snapshot, vif)}"
        return (
            f"there is no port for it on {where}. Mark it: "
            f"ovs-vsctl set Interface PORT external_ids:iface-id={vif.name}."
        )
    return f"host '{vif.chassis}' has not made it. See the log of its agent."


def _bridge(snapshot: Snapshot, vif: VirtualInterface) -> str:
    host = snapshot.chassis.get(vif.chassis or "")
    return host.bridge if host is not None else "?"


def _concerned(snapshot: Snapshot, change: Change) -> list[Chassis]:
    if change.chassis is not None:
        names = set(change.chassis)
    elif change.vifs:
        names = {snapshot.interfaces[name].chassis or "" for name in change.vifs if name in snapshot.interfaces}
    else:
        names = set(snapshot.chassis)
    return [host for name, host in snapshot.chassis.items() if name in names]


def _agent_has_seen(snapshot: Snapshot, vif: VirtualInterface, cfg: int) -> bool:
    host = snapshot.chassis.get(vif.chassis or "")
    return host is not None and host.agent_cfg >= cfg
