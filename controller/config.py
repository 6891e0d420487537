"""Where a system keeps its things, and what it was told when it was started."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DEFAULT_STATE_DIR = "/run/weir"
DATAPATH_TYPES = {"userspace": "netdev", "kernel": "system", "dpdk": "netdev"}  # --datapath -> as Open vSwitch says
SOCKET_PATH_BYTES = 107  # sun_path holds 108 with its terminating zero


class ConfigError(ValueError):
    """The state directory or what it holds cannot be used."""


class NoSystem(ConfigError):
    """None was started there."""


class WrongStateDir(ConfigError):
    """No system could use this directory."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths under one state directory."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def db(self) -> Path:
        return self.path / "db"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def system_file(self) -> Path:
        return self.path / "system.json"

    @property
    def chassis_file(self) -> Path:
        """Holds the name that the Weir DB beside it knows this host by, and outlives `weir down` as that does."""
        return self.db / "chassis"

    @property
    def weir_db_socket(self) -> Path:
        return self.run / "weir-db.sock"

    @property
    def stream_socket(self) -> Path:
        return self.run / "stream.sock"

    @property
    def api_socket(self) -> Path:
        return self.run / "api.sock"

    @property
    def namespace(self) -> str:
        """Name of the embedded system's network namespace, and prefix of those it makes for VIFs."""
        return "weir-" + hashlib.sha256(os.fsencode(self.path)).hexdigest()[:6]


def state_dir(given: str | None = None) -> StateDir:
    """The state directory: as given, else WEIR_STATE_DIR, else /run/weir; absolute, links resolved.

    Raises WrongStateDir when its path is too long for the sockets in it.
    """
    path = Path(given or os.environ.get("WEIR_STATE_DIR") or DEFAULT_STATE_DIR).resolve()
    longest = len(os.fsencode(path / "run" / "br-weir.snoop.00000"))
    if longest > SOCKET_PATH_BYTES:
        excess = longest - SOCKET_PATH_BYTES
        raise WrongStateDir(
            f"{path}: too long for the Unix sockets below it. Choose one that is {excess} bytes shorter."
        )
    return StateDir(path)


@dataclass(frozen=True, slots=True)
class Found:
    """How a device was before Weir had it, which `weir down` puts back.

    offloads: those that were on and that Weir switches off. disable_ipv6: in the kernel's words; None: it has no IPv6.
    """

    up: bool
    promiscuous: bool
    mtu: int
    disable_ipv6: str | None
    offloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Uplink:
    """An uplink of the host. device: the netdev that was moved in and renamed; None: a veth pair that Weir made.

    found: how the device was, once `weir up` has looked at it.
    """

    name: str
    device: str | None = None
    found: Found | None = None


@dataclass(frozen=True, slots=True)
class Dpdk:
    """Of an embedded Open vSwitch with DPDK. memory_mb: of each NUMA node. pmd_cpu_mask: processors for packets alone.

    hugepages: that `weir up` added to the machine's, of which there were hugepages_before.
    """

    memory_mb: int
    pmd_cpu_mask: str
    hugepages: int = 0
    hugepages_before: int = 0


@dataclass(frozen=True, slots=True)
class System:
    """What `weir up` was told and chose, as kept in system.json. namespace None: processes run where `weir up` did."""

    chassis: str
    ovs: str = "embedded"  # embedded | system
    datapath: str = "userspace"
    bridge: str = "br-weir"
    namespace: str | None = None
    ovs_rundir: str = ""  # holds the db.sock of the Open vSwitch to drive
    loop_interval_s: float = 1.0
    uplinks: tuple[Uplink, ...] = ()
    raise_buffers: bool = False
    metrics: str | None = None  # ADDRESS:PORT where they are served; None: nowhere but on the controller's own socket
    dpdk: Dpdk | None = None  # of an embedded Open vSwitch that has it
    home_inode: int = 0  # of the network namespace that `weir up` ran in; moved devices go back there

    @property
    def datapath_type(self) -> str:
        """As Open vSwitch calls it."""
        return DATAPATH_TYPES[self.datapath]

    @property
    def plain_frames(self) -> bool:
        """Whether uplinks are switched to frames without offloads; see `controller.host.offloads`."""
        return self.datapath != "kernel"


def save(system: System, directory: StateDir) -> None:
    """Replaces system.json in one step, so that a reader sees the old one or the new one whole."""
    fresh = directory.system_file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(system), indent=2) + "\n")
    fresh.replace(directory.system_file)


def load(directory: StateDir) -> System:
    """Raises NoSystem when there is no system here, ConfigError when its file cannot be read."""
    try:
        body = json.loads(directory.system_file.read_text())
        dpdk = body.get("dpdk")
        uplinks = tuple(map(_uplink, body["uplinks"]))
        return System(**{**body, "uplinks": uplinks, "dpdk": dpdk and Dpdk(**dpdk)})
    except FileNotFoundError:
        raise NoSystem(f"{directory.path}: no system was started here. Run weir up, or name its --state-dir.") from None
    except PermissionError:
        raise ConfigError(f"{directory.path}: only its owner may look into it. Run the command with sudo.") from None
    except (ValueError, TypeError, KeyError) as fault:
        raise ConfigError(f"{directory.system_file}: cannot be read: {fault}. Run weir down and weir up.") from fault


def _uplink(body: dict[str, Any]) -> Uplink:
    found = body["found"]
    return Uplink(body["name"], body["device"], found and Found(**{**found, "offloads": tuple(found["offloads"])}))
