"""Waiting until what was asked for is in force at the switches, or knowing why it is not."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from controller.intent.errors import NotInForce
from controller.intent.uplinks import agent_faults, uplink_of
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from ovsdb.weir_db import WeirDb


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
        failed = list(_failures(snapshot, change))
        if failed:
            raise NotInForce(failed)
        missing = list(_missing(snapshot, change))
        if not missing:
            return
        remaining_s = end_s - time.monotonic()
        if remaining_s <= 0:
            lost = [] if db.connected else [f"{db.remote}: the Weir DB does not answer any more. See weir status."]
            raise NotInForce(lost or [f"not in force after {deadline_s:g} s: {line}" for line in missing])
        db.wait(remaining_s)


def _failures(snapshot: Snapshot, change: Change) -> Iterator[str]:
    """Errors that were reported with this change in view; an older one may be about to go."""
    for name in change.vifs:
        vif = snapshot.interfaces.get(name)
        if vif is None:
            yield f"VIF '{name}': it was deleted meanwhile. Create it again if it is still wanted."
        elif vif.state == "error" and _agent_has_seen(snapshot, vif, change.cfg):
            yield f"VIF '{name}': {vif.error}"
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


def _missing(snapshot: Snapshot, change: Change) -> Iterator[str]:
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
    silent = {host.name for host in hosts if host.agent_cfg < cfg}
    for name in change.vifs:
        vif = snapshot.interfaces[name]
        if vif.state != "ready" and vif.chassis not in silent:
            yield f"VIF '{name}': {_what_a_vif_waits_for(snapshot, vif)}"


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
