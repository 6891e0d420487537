"""Waiting until what was asked for is in force at the switches, or knowing why it is not."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from controller.intent.errors import NotInForce
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from ovsdb.weir_db import WeirDb


def await_in_force(
    db: WeirDb, cfg: int, deadline_s: float, vifs: Collection[str] = (), chassis: Collection[str] | None = None
) -> None:
    """Returns when change `cfg` is in force on every chassis concerned, and every one of `vifs` is ready there.

    chassis: by name; None: those of the VIFs, or all when no VIFs are named. Raises NotInForce as soon as a VIF or a
    chassis reports an error for this change, and after `deadline_s` seconds with who has not answered.
    """
    end_s = time.monotonic() + deadline_s
    while True:
        db.run()
        snapshot = db.snapshot()
        failed = list(_failures(snapshot, cfg, vifs, chassis))
        if failed:
            raise NotInForce(failed)
        missing = list(_missing(snapshot, cfg, vifs, chassis))
        if not missing:
            return
        remaining_s = end_s - time.monotonic()
        if remaining_s <= 0:
            lost = [] if db.connected else [f"{db.remote}: the Weir DB does not answer any more. See weir status."]
            raise NotInForce(lost or [f"not in force after {deadline_s:g} s: {line}" for line in missing])
        db.wait(remaining_s)


def _failures(snapshot: Snapshot, cfg: int, vifs: Collection[str], chassis: Collection[str] | None) -> Iterator[str]:
    """Errors that were reported with this change in view; an older one may be about to go."""
    for name in vifs:
        vif = snapshot.interfaces.get(name)
        if vif is None:
            yield f"VIF '{name}': it was deleted meanwhile. Create it again if it is still wanted."
        elif vif.state == "error" and _agent_has_seen(snapshot, vif, cfg):
            yield f"VIF '{name}': {vif.error}"
    for host in _concerned(snapshot, vifs, chassis):
        if host.agent_error is not None and host.agent_cfg >= cfg:
            yield f"host '{host.name}': {host.agent_error}"
        if host.flow_error is not None and host.flow_cfg >= cfg and host.connected:
            yield f"switch of host '{host.name}': {host.flow_error}"


def _missing(snapshot: Snapshot, cfg: int, vifs: Collection[str], chassis: Collection[str] | None) -> Iterator[str]:
    hosts = _concerned(snapshot, vifs, chassis)
    for name in chassis or ():
        if name not in snapshot.chassis:
            yield f"host '{name}' has never reported. See whether its agent runs: weir status."
    for host in hosts:
        if host.agent_cfg < cfg:
            yield f"the agent of host '{host.name}' has not reported. See whether it runs: weir status."
        elif host.flow_cfg < cfg and not host.connected:
            yield f"the switch of host '{host.name}' is not connected to the controller. See weir status."
        elif host.flow_cfg < cfg:
            detail = f" ({host.flow_error})" if host.flow_error else ""
            yield (
                f"the controller has not brought the flows of host '{host.name}' up to date{detail}. "
                "See whether it runs: weir status."
            )
    silent = {host.name for host in hosts if host.agent_cfg < cfg}
    for name in vifs:
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


def _concerned(snapshot: Snapshot, vifs: Collection[str], chassis: Collection[str] | None) -> list[Chassis]:
    if chassis is not None:
        names = set(chassis)
    elif vifs:
        names = {snapshot.interfaces[name].chassis or "" for name in vifs if name in snapshot.interfaces}
    else:
        names = set(snapshot.chassis)
    return [host for name, host in snapshot.chassis.items() if name in names]


def _agent_has_seen(snapshot: Snapshot, vif: VirtualInterface, cfg: int) -> bool:
    host = snapshot.chassis.get(vif.chassis or "")
    return host is not None and host.agent_cfg >= cfg
