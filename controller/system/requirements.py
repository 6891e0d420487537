"""What a system needs of the machine, checked before anything is made."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.config import Uplink
from controller.system import network, programs
from controller.system.errors import SystemFault, WrongRequest

_PACKAGES = {
    "ovsdb-server": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-switch",
    "ovs-vsctl": "openvswitch-switch",
    "ovs-vswitchd": "openvswitch-switch",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
_CHASSIS_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")  # it is written into marks whose parts a colon divides
_MODES = ("embedded", "system")
_DATAPATHS = ("userspace", "kernel", "dpdk")


@dataclass(frozen=True, slots=True)
class Request:
    """The options of `weir up`."""

    ovs: str = "embedded"
    datapath: str = "userspace"
    uplinks: tuple[Uplink, ...] = ()
    loop_interval_s: float = 1.0


def loop_interval_s() -> float:
    """As the environment sets it, else 1 s. Raises WrongRequest."""
    text = os.environ.get(programs.LOOP_INTERVAL, "1")
    try:
        interval_s = float(text)
    except ValueError:
        interval_s = 0.0
    if not 0.1 <= interval_s <= 60:
        raise WrongRequest(f"{programs.LOOP_INTERVAL}: '{text}' is no pace for the loop", "Write 0.1 to 60 seconds")
    return interval_s


def parse_uplinks(texts: Sequence[str]) -> tuple[Uplink, ...]:
    """Each `NAME` or `NAME=DEVICE`."""
    parts = [text.partition("=") for text in texts]
    return tuple(Uplink(name, device if separator else None) for name, separator, device in parts)


def check_request(request: Request) -> None:
    """Raises WrongRequest for what this version does not do on any machine."""
    if request.ovs not in _MODES:
        raise WrongRequest(f"--ovs: '{request.ovs}' is not known", f"Write one of: {', '.join(_MODES)}")
    if request.datapath not in _DATAPATHS:
        raise WrongRequest(f"--datapath: '{request.datapath}' is not known", f"Write one of: {', '.join(_DATAPATHS)}")
    if request.datapath != "userspace":
        raise WrongRequest(
            f"--datapath {request.datapath}: this version drives the userspace datapath alone", "Leave the option out"
        )
    network.check_uplinks(request.uplinks, request.ovs)


def check_agent(chassis: str, bridge: str, uplinks: tuple[Uplink, ...]) -> None:
    """Raises WrongRequest when `weir agent` was given a name that cannot be one."""
    if not _CHASSIS_NAME.fullmatch(chassis):
        raise WrongRequest(
            f"--chassis: '{chassis}' cannot be the name of a chassis", "Use 1 to 64 letters, digits, dots, _ and -"
        )
    network.check_device_name("--bridge", bridge)
    named = [Uplink(one.name, one.name if one.device is None else one.device) for one in uplinks]
    network.check_uplinks(tuple(named), "system")


def chassis_name(hostname: str) -> str:
    """The name of a chassis on a host of this name: the same, but for what such a name cannot have."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", hostname)[:64] or "host"


def check_privilege(command: str) -> None:
    """Raises SystemFault unless this process is root."""
    if os.geteuid() != 0:
        raise SystemFault(f"{command} makes network namespaces and links, which only root may", f"Run: sudo {command}")


def check_machine(request: Request, ovs_rundir: Path) -> None:
    """Raises SystemFault when a program is missing, or the Open vSwitch to be used does not run."""
    for program, package in _PACKAGES.items():
        if shutil.which(program) is None:
            raise SystemFault(f"the program {program} is missing", f"Install the package {package} (make install does)")
    if request.ovs == "system" and not (ovs_rundir / "db.sock").is_socket():
        raise SystemFault(
            f"the machine's own Open vSwitch does not run: there is no {ovs_rundir / 'db.sock'}",
            "Start it (systemctl start openvswitch-switch), or set OVS_RUNDIR to where its sockets are",
        )


def system_rundir() -> Path:
    """Where the machine's own Open vSwitch has its sockets."""
    return Path(os.environ.get("OVS_RUNDIR") or "/var/run/openvswitch")
