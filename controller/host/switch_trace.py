"""Asks the Open vSwitch of this host what it would do with a packet (`ovs-appctl ofproto/trace`)."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from controller import config
from controller.config import ConfigError, StateDir
from controller.dataplane.trace_output import Trace, TraceError, parse_trace
from controller.dataplane.trace_packet import flow_of
from ovsdb.rows import Chassis

_LOOK_UPS = 16  # that a packet may come through; any after these finds a new connection
_DEADLINE_S = 20
_DEFAULT_RUNDIR = "/var/run/openvswitch"


class SwitchSilent(Exception):
    """The switch cannot be asked; says why."""


def ask(
    directory: StateDir, chassis: Chassis, in_port: int, fields: Mapping[str, int], connection: str
) -> tuple[str, Trace]:
    """The packet as it was asked about, and what becomes of it in the bridge of the chassis.

    connection: the ct_state that connection tracking is to find. Raises SwitchSilent.
    """
    control = _control_socket(_rundir(directory, chassis))
    flow = flow_of(in_port, fields)
    options = ["--ct-next", connection] * _LOOK_UPS
    argv = ["ovs-appctl", f"--timeout={_DEADLINE_S}", f"--target={control}", "ofproto/trace", chassis.bridge, flow]
    try:
        done = subprocess.run([*argv, *options], capture_output=True, text=True, timeout=2 * _DEADLINE_S)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise SwitchSilent(f"ovs-appctl: {fault}") from fault
    if done.returncode != 0:
        words = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise SwitchSilent(f"ovs-appctl: {words}")
    try:
        return flow, parse_trace(done.stdout)
    except TraceError as fault:
        raise SwitchSilent(str(fault)) from fault


def _rundir(directory: StateDir, chassis: Chassis) -> Path:
    """Of the Open vSwitch of the system here; of one that an agent alone drives, where its programs look for it."""
    try:
        has_system = directory.system_file.exists()
        system = config.load(directory) if has_system else None
    except (ConfigError, OSError) as fault:
        raise SwitchSilent(str(fault)) from fault
    if system is not None:
        if system.chassis != chassis.name:
            raise SwitchSilent(f"{chassis.name} is another host: run weir trace there")
        return Path(system.ovs_rundir)
    if chassis.hostname != socket.gethostname():
        raise SwitchSilent(f"{chassis.name} is on host {chassis.hostname or '(unknown)'}: run weir trace there")
    return Path(os.environ.get("OVS_RUNDIR") or _DEFAULT_RUNDIR)


def _control_socket(rundir: Path) -> Path:
    """Named after the daemon, one built with DPDK too, and its pid. Raises SwitchSilent."""
    try:
        for pid_file in sorted(rundir.glob("ovs-vswitchd*.pid")):
            control = rundir / f"{pid_file.stem}.{pid_file.read_text().strip()}.ctl"
            if control.exists():
                if not os.access(control, os.W_OK):
                    raise SwitchSilent(f"{control}: no permission. Run the command with sudo.")
                return control
    except OSError as fault:
        raise SwitchSilent(f"{rundir}: {fault.strerror}. Run the command with sudo.") from fault
    raise SwitchSilent(f"no ovs-vswitchd runs with its files in {rundir}")
