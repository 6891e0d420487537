"""What a system needs of the machine, checked before anything is made."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.config import DATAPATH_TYPES, Uplink
from controller.system import dpdk, listening, network, programs
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
METRICS = "--metrics"
_MODES = ("embedded", "system")
_MODULE, _MODULES = Path("/sys/module/openvswitch"), Path("/lib/modules")


@dataclass(frozen=True, slots=True)
class Request:
    """The options of `weir up`."""

    ovs: str = "embedded"
    datapath: str = "userspace"
    uplinks: tuple[Uplink, ...] = ()
    loop_interval_s: float = 1.0
    dpdk_memory_mb: int | None = None
    pmd_cpu_mask: str | None = None
    hugepages: int = 0
    raise_buffers: bool = False
    metrics: str | None = None

    @property
    def dpdk(self) -> tuple[int | None, str | None, int]:
        return self.dpdk_memory_mb, self.pmd_cpu_mask, self.hugepages


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
    """Each `NAME` or `NAME=DEVICE`. Further devices of one uplink become NAME#2, NAME#3, ... in their order."""
    found: list[Uplink] = []
    times: Counter[str] = Counter()
    for name, separator, device in (text.partition("=") for text in texts):
        times[name] += 1
        further = bool(separator) and times[name] > 1
        found.append(Uplink(f"{name}#{times[name]}" if further else name, device if separator else None))
    return tuple(found)


def check_request(request: Request) -> None:
    """Raises WrongRequest for what this version does not do on any machine."""
    if request.ovs not in _MODES:
        raise WrongRequest(f"--ovs: '{request.ovs}' is not known", f"Write one of: {', '.join(_MODES)}")
    check_datapath(request.datapath)
    if request.datapath == "dpdk" and request.ovs == "embedded":
        dpdk.check_options(*request.dpdk)
    elif any(request.dpdk):
        raise WrongRequest(
            "--dpdk-memory, --pmd-cpu-mask and --hugepages are for --datapath dpdk on an Open vSwitch of Weir's own",
            "Leave them out",
        )
    if request.metrics is not None:
        listening.read(METRICS, request.metrics)
    network.check_uplinks(request.uplinks, request.ovs)


def check_datapath(datapath: str) -> None:
    """Raises WrongRequest."""
    if datapath not in DATAPATH_TYPES:
        raise WrongRequest(f"--datapath: '{datapath}' is not known", f"Write one of: {', '.join(DATAPATH_TYPES)}")


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
    if request.datapath == "kernel":
        _check_module()
    if request.datapath == "dpdk" and request.ovs == "embedded":
        dpdk.check_machine(*request.dpdk)
    if request.ovs == "system" and not (ovs_rundir / "db.sock").is_socket():
        raise SystemFault(
            f"the machine's own Open vSwitch does not run: there is no {ovs_rundir / 'db.sock'}",
            "Start it (systemctl start openvswitch-switch), or set OVS_RUNDIR to where its sockets are",
        )


def _check_module() -> None:
    """Loading it is left to whoever runs the machine: everybody on it shares the kernel."""
    if _MODULE.is_dir():
        return
    release = os.uname().release
    known = _MODULES / release / "modules.dep"
    if known.is_file() and "/openvswitch.ko" in known.read_text():
        raise SystemFault(
            "--datapath kernel: the kernel's module openvswitch is not loaded", "Run: modprobe openvswitch"
        )
    raise SystemFault(
        f"--datapath kernel: this kernel ({release}) has no module openvswitch",
        "Boot a kernel that has it, or leave the option out: the userspace datapath needs none",
    )


def system_rundir() -> Path:
    """Where the machine's own Open vSwitch has its sockets."""
    return Path(os.environ.get("OVS_RUNDIR") or "/var/run/openvswitch")
