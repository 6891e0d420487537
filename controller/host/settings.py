"""What an agent is told when it is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.config import StateDir
from controller.host.links import Mark

BUFFER_RECORDS = "raised-buffers.*.json"  # in the run directory, see `AgentConfig.buffer_record`


def uplink_of(key: str) -> str:
    """The uplink of a key of `AgentConfig.uplinks`, as policies call it."""
    return key.partition("#")[0]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """system: prefix of the namespaces that are made for VIFs, and the name that everything made is marked with.

    uplinks: uplink name -> device; further devices of the uplink as NAME#2, NAME#3, ... controller: an OpenFlow target
    such as unix:openflow.sock; None: the bridge's Controller rows are somebody else's (Mininet sets its own).
    raise_buffers: whether vswitchd's sockets are given larger buffers, see `send_buffer`.
    """

    chassis: str
    bridge: str
    state: StateDir
    ovs_rundir: Path
    system: str
    uplinks: Mapping[str, str] = field(default_factory=dict)
    controller: str | None = None
    datapath_type: str = "netdev"
    interval_s: float = 1.0
    raise_buffers: bool = False

    @property
    def owner(self) -> str:
        """Marks this agent's rows in the Open_vSwitch database, which agents of other bridges may share."""
        return f"{self.system}/{self.chassis}"

    @property
    def plain_frames(self) -> bool:
        """Whether the datapath reads frames in userspace, where nobody would make up for offloads."""
        return self.datapath_type == "netdev"

    @property
    def buffer_record(self) -> Path:
        """How large the buffers were that were raised."""
        return self.state.run / f"raised-buffers.{self.chassis}.json"

    def mark(self, vif_name: str) -> Mark:
        return Mark(self.system, self.chassis, vif_name)
