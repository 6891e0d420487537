"""The bridge on the machine's own Open vSwitch: the agent makes it; here is what comes before and after that."""

from __future__ import annotations

import os
from pathlib import Path

from controller.config import SOCKET_PATH_BYTES, StateDir, System
from controller.host import agent
from controller.host.settings import AgentConfig
from controller.system import programs
from controller.system.errors import SystemFault
from ovsdb.open_vswitch import OpenVSwitch


def agent_config(system: System, directory: StateDir) -> AgentConfig:
    """What the agent of this system is told."""
    return AgentConfig(
        chassis=system.chassis,
        bridge=system.bridge,
        state=directory,
        ovs_rundir=Path(system.ovs_rundir),
        system=directory.namespace,
        uplinks={uplink.name: programs.port_device(system, uplink) for uplink in system.uplinks},
        controller=programs.openflow_target(system, directory),
        datapath_type=system.datapath_type,
    )


def check_free(system: System, directory: StateDir) -> None:
    """Raises SystemFault when the machine's own OVS cannot be used, or has a bridge of that name that is not ours."""
    if system.ovs == "embedded":
        return
    _check_rundir(system, directory)
    with OpenVSwitch(f"unix:{system.ovs_rundir}/db.sock") as switch:
        switch.connect()
        found = switch.bridge(system.bridge)
        if system.datapath == "dpdk" and "dpdk" not in switch.port_types():
            raise SystemFault(
                "--datapath dpdk: the machine's own Open vSwitch runs without DPDK",
                "Install openvswitch-switch-dpdk, choose it (update-alternatives --config ovs-vswitchd), run ovs-vsctl "
                "set Open_vSwitch . other_config:dpdk-init=true, and restart it; or leave --ovs system out",
            )
    if found is not None and found.owner != agent_config(system, directory).owner:
        whose = f"the system {found.owner}" if found.owner else "somebody else"
        raise SystemFault(
            f"the bridge {system.bridge} exists in this Open vSwitch and belongs to {whose}",
            f"Stop that one (weir down), or remove the bridge: ovs-vsctl del-br {system.bridge}",
        )


def _check_rundir(system: System, directory: StateDir) -> None:
    """The controller, without privilege, makes its socket there, and a switch of another user could not open it."""
    rundir = Path(system.ovs_rundir)
    if rundir.stat().st_uid != os.geteuid():
        raise SystemFault(
            f"{rundir} belongs to another user, so the controller and Open vSwitch could not meet at a socket in it",
            "Run Open vSwitch as root, or leave --ovs system out",
        )
    excess = len(os.fsencode(programs.openflow_socket(system, directory))) - SOCKET_PATH_BYTES
    if excess > 0:
        raise SystemFault(
            f"{rundir}: too long for the controller's Unix socket in it",
            f"Give Open vSwitch a run directory (OVS_RUNDIR) that is {excess} bytes shorter",
        )


def take_away(system: System, directory: StateDir) -> None:
    """Removes from the machine's own OVS and network what the agent made. No agent may be running.

    Raises HostError, DatabaseError.
    """
    if system.ovs == "system":
        agent.teardown(agent_config(system, directory))
        programs.openflow_socket(system, directory).unlink(missing_ok=True)
