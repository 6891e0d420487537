"""How a system is, as one document: its processes, its chassis, its VIFs by state, and everything that is wrong."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

from controller import config
from controller.api import client
from controller.cli import event_views
from controller.cli.output import fields
from controller.config import ConfigError, StateDir
from controller.system import ledger, processes, programs
from controller.system.ledger import Record
from ovsdb.rows import Chassis
from ovsdb.session import DatabaseError
from ovsdb.weir_db import WeirDb


def look(directory: StateDir) -> dict[str, Any]:
    """problems, warnings: one line each, [] when all is well.

    cfg: the number that agent and controller shall have reached.
    """
    try:
        system = config.load(directory)
    except ConfigError as fault:
        return {"state_dir": str(directory.path), "running": False, "problems": [str(fault)]}
    report: dict[str, Any] = {
        "state_dir": str(directory.path),
        "running": True,
        "ovs": system.ovs,
        "datapath": system.datapath,
        "namespace": system.namespace,
        "bridge": system.bridge,
        "uplinks": {uplink.name: programs.port_device(system, uplink) for uplink in system.uplinks},
    }
    problems: list[str] = []
    report["processes"] = _processes(system, directory, problems)
    controller = _controller(directory, problems)
    report |= _database(directory, controller["chassis"] if controller else [], problems)
    if controller and "warnings" in report:
        report["warnings"] += controller["objectives"]
    report["loop"] = controller["loop"] if controller else None
    report["drift"] = controller["drift"] if controller else None
    problems += report["drift"]["fights"] if report["drift"] else []
    report["problems"] = problems
    return report


def show(report: dict[str, Any]) -> None:
    fields({name: value for name, value in report.items() if name not in ("problems", "warnings", "drift")})
    if report.get("drift"):
        fields({"repaired": report["drift"]["counts"]})
        for event in report["drift"]["last"]:
            print(f"  {event_views.line(event)}")


def _processes(system: config.System, directory: StateDir, problems: list[str]) -> dict[str, Any]:
    records = ledger.read(directory)
    names = [program.name for program in programs.of_system(system, directory)]
    shown = {}
    for name in (processes.SUPERVISOR, *names):
        record = records.get(name, Record(name))
        since = processes.started_at(record.started_ticks) if record.runs and record.started_ticks else None
        if since is None:
            ended = f", last: {record.last_end}" if record.last_end else ""
            cure = "Run weir up again." if name == processes.SUPERVISOR else f"See {directory.log}/{name}.log."
            problems.append(f"{name} does not run{ended}. {cure}")
        up_since = since and time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(since))
        shown[name] = {"pid": record.pid if since else None, "up_since": up_since, "restarts": record.restarts}
    return shown


def _database(directory: StateDir, connected: list[str], problems: list[str]) -> dict[str, Any]:
    """connected: the chassis that the controller says it has; one that was killed could not take back in the Weir DB
    that switches are connected to it."""
    try:
        with WeirDb(f"unix:{directory.weir_db_socket}") as database:
            database.connect()
            snapshot = database.snapshot()
            known = [
                replace(one, connected=one.connected and one.name in connected) for one in snapshot.chassis.values()
            ]
    except DatabaseError as fault:
        problems.append(str(fault))
        return {}
    problems += [line for chassis in known for line in _complaints(chassis, snapshot.cfg)]
    vifs = snapshot.interfaces.values()
    problems += [f"VIF {vif.name}: {vif.error or 'error'}" for vif in vifs if vif.state == "error"]
    return {
        "cfg": snapshot.cfg,
        "policy_version": snapshot.policy_version,
        "chassis": {chassis.name: _chassis(chassis) for chassis in known},
        "vifs": dict(Counter(vif.state for vif in vifs)),
        "warnings": [f"chassis {chassis.name}: {chassis.agent_note}" for chassis in known if chassis.agent_note],
    }


def _controller(directory: StateDir, problems: list[str]) -> dict[str, Any] | None:
    """None: the controller does not answer, which is one of the problems then."""
    try:
        controller: dict[str, Any] = client.get(directory.api_socket, "/v1/status")
    except client.ApiError as fault:
        problems.append(str(fault))
        return None
    if controller["fault"]:
        problems.append(f"controller: {controller['fault']}")
    return controller


def _chassis(chassis: Chassis) -> dict[str, Any]:
    shown = ("bridge", "datapath_id", "connected", "agent_cfg", "flow_cfg", "agent_error", "agent_note", "flow_error")
    return {name: getattr(chassis, name) for name in shown}


def _complaints(chassis: Chassis, cfg: int) -> list[str]:
    found = []
    if not chassis.connected:
        found.append("its switch is not connected to the controller")
    if chassis.agent_cfg < cfg:
        found.append(f"its agent has reached change {chassis.agent_cfg} of {cfg}")
    if chassis.flow_cfg < cfg:
        found.append(f"its flows have reached change {chassis.flow_cfg} of {cfg}")
    found += [error for error in (chassis.agent_error, chassis.flow_error) if error]
    return [f"chassis {chassis.name}: {what}" for what in dict.fromkeys(found)]
