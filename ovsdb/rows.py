"""The rows of the Weir DB as values: what a process reads in one snapshot. weir.ovsschema is the same in OVSDB's words.

Who writes what: a command writes desired state and raises `Weir.cfg` in the same transaction. The agent of a chassis
writes `agent_cfg`, `agent_error`, `agent_note`, `uplink_ports` and the status columns of its VIFs; the controller
writes `flow_cfg`, `flow_error` and `connected`. A change of sequence number N is in force on a chassis when its
agent_cfg and flow_cfg are both at least N. No column has two writers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Chassis:
    """A host, or a switch of a Mininet topology: one bridge and the agent beside it."""

    name: str
    bridge: str
    datapath_id: str = ""  # 16 hex digits, as OVS prints it; "" until the bridge exists
    hostname: str = ""
    uplink_ports: Mapping[str, int] = field(default_factory=dict)  # uplink name -> OpenFlow port
    agent_cfg: int = 0
    agent_error: str | None = None
    agent_note: str | None = None  # what works, and is not as good as it should be
    flow_cfg: int = 0
    flow_error: str | None = None
    connected: bool = False


@dataclass(frozen=True, slots=True)
class VirtualInterface:
    """Desired: all up to `cfg` (the sequence number that last changed it). Status, by the agent: from `state` on.

    binding: {} (a namespace is made for it), {"netns": name} or {"pid": number}; of no meaning to kind port.
    chassis: None for a port until the agent that finds it claims it.
    """

    name: str
    number: int  # 1..49151; conntrack zone, meter id and cookie derive from it
    policy: str
    segment: str
    kind: str  # veth | port
    mac: str
    addresses: tuple[str, ...]  # with prefix length, sorted
    chassis: str | None = None
    instance: str | None = None
    binding: Mapping[str, str] = field(default_factory=dict)
    ifname: str = "eth0"
    labels: Mapping[str, str] = field(default_factory=dict)
    cfg: int = 0
    state: str = "pending"  # pending | ready | error
    error: str | None = None
    port_name: str | None = None
    ofport: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class UserBinding:
    """A user is at a VIF or at an address: exactly one of `vif` (name) and `address` (without prefix) is not "".

    Times: seconds since 1970. expires_at_s: it holds before then and not from then on; None: until it is taken away.
    """

    user: str
    vif: str
    address: str
    bound_at_s: float
    expires_at_s: float | None = None
    bound_by: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Who and where: no two rows have the same."""
        return self.user, self.vif, self.address


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy set that was applied once. applied_at_s: seconds since 1970. files: name -> SHA-256 of its text, hex."""

    version: int
    applied_at_s: float
    applied_by: str
    reason: str
    files: Mapping[str, str]


UNCLAIMED = ""


@dataclass(frozen=True, slots=True)
class VifStatus:
    """What the agent reports of one VIF.

    chassis: to claim a VIF that has none yet; UNCLAIMED: to give the claim up; None: leaves it as it is.
    """

    state: str  # pending | ready | error
    error: str | None = None
    port_name: str | None = None
    ofport: int | None = None
    chassis: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole Weir DB at one moment. files: file name -> text of the policy in force, as written."""

    cfg: int = 0
    policy_version: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    other_config: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[tuple[str, str], int] = field(
        default_factory=dict
    )  # (kind, key) -> number; kinds segment, node, rule
    chassis: Mapping[str, Chassis] = field(default_factory=dict)
    interfaces: Mapping[str, VirtualInterface] = field(default_factory=dict)
    next_number: Mapping[str, int] = field(
        default_factory=dict
    )  # by kind (segment, node, rule, vif): where to look next
    bindings: tuple[UserBinding, ...] = ()  # sorted; also those that have expired and are not cleared away yet
