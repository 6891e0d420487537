"""The rows of the Weir DB as values: what a process reads in one snapshot. weir.ovsschema is the same in OVSDB's words.

Who writes what: a command writes desired state and raises `Weir.cfg` in the same transaction. The agent of a chassis
writes `agent_cfg`, `agent_error`, `agent_note`, `uplink_ports`, `capabilities` and the status columns of its VIFs; the
controller writes `flow_cfg`, `flow_error`, `connected`, and `learned` and `scaled` of VIFs. A change of sequence number
N is in force on a chassis when its agent_cfg and flow_cfg are both at least N. No column has two writers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DATAPATH = "datapath"  # of the bridge: KERNEL or USERSPACE
DPDK = "dpdk"  # YES or NO: whether the switch can make vhost-user ports
VIRTUAL_FUNCTIONS = "virtual_functions"  # YES or NO: whether a NIC that can have some is where the agent is
KERNEL, USERSPACE = "system", "netdev"
YES, NO = "true", "false"
SYSTEM_ID = "system-id"  # in Weir.other_config: 6 hex digits, the middle of the MACs that this system makes
_UNNAMED = "000000"  # of a database that is not from `weir up`, until its first VIF
CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")  # what a binding may call one, whatever runs it


@dataclass(frozen=True, slots=True)
class Chassis:
    """A host, or a switch of a Mininet topology: one bridge and the agent beside it.

    capabilities: what the agent has found that the host can do, by DATAPATH, DPDK and VIRTUAL_FUNCTIONS; what is not
    there is not known.
    """

    name: str
    bridge: str
    datapath_id: str = ""  # 16 hex digits, as OVS prints it; "" until the bridge exists
    hostname: str = ""
    uplink_ports: Mapping[str, int] = field(default_factory=dict)  # uplink name -> OpenFlow port; see `ports_of`
    agent_cfg: int = 0
    agent_error: str | None = None
    agent_note: str | None = None  # what works, and is not as good as it should be
    flow_cfg: int = 0
    flow_error: str | None = None
    connected: bool = False
    capabilities: Mapping[str, str] = field(default_factory=dict)

    def ports_of(self, uplink: str) -> tuple[int, ...]:
        """OpenFlow ports of an uplink that are there: `uplink_ports` has them as NAME, NAME#2 and so on."""
        found = [(_place(key, uplink), port) for key, port in self.uplink_ports.items()]
        return tuple(port for place, port in sorted(found) if place)


def _place(key: str, uplink: str) -> int:
    """Which port of the uplink the key of `uplink_ports` means, 0: none."""
    if key == uplink:
        return 1
    name, _, place = key.rpartition("#")
    return int(place) if name == uplink and place.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class VirtualInterface:
    """Desired: all up to `cfg` (the sequence number that last changed it). Status, by the agent: from `state` on; by
    the controller: `learned`, which a command empties that changes the segment, and `scaled`.

    binding: {} (a namespace is made for it), {"netns": name or absolute path}, {"pid": number, "started": ticks since
    boot} or {"container": id, "runtime": podman | docker | crun | runc | containerd}. Of kind vf also {"pci": "vfio"}:
    handed over as a PCI device. Of no meaning to the others.
    chassis: None for a port until the agent that finds it claims it.
    egress, ingress: the VIF's own numbers, in place of its leaf's and within them: guarantee_kbps, limit_kbps.
    options: what the kind wants to know, see `controller.intent.kind_options`.
    details: what the agent made or found that somebody has to know, also a later agent: socket, device, vf, pci,
    representor, place (the namespace's path), queues.
    learned: addresses with prefix length that it got from outside (DHCP, router advertisements), on a segment without
    subnets.
    scaled: what the loop has moved from where it begins, see `policies.scaling`.
    """

    name: str
    number: int  # 1..49151; conntrack zone, meter id and cookie derive from it
    policy: str
    segment: str
    kind: str  # veth | tap | vhost-user | vf | port
    mac: str
    addresses: tuple[str, ...]  # with prefix length, sorted
    chassis: str | None = None
    instance: str | None = None
    binding: Mapping[str, str] = field(default_factory=dict)
    ifname: str = "eth0"
    labels: Mapping[str, str] = field(default_factory=dict)
    egress: Mapping[str, int] = field(default_factory=dict)
    ingress: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    cfg: int = 0
    state: str = "pending"  # pending | ready | error
    error: str | None = None
    port_name: str | None = None
    ofport: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    learned: tuple[str, ...] = ()
    scaled: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_in_namespace(self) -> bool:
        """Whether the instance's end is a link in a network namespace that the agent configures."""
        return self.kind == "veth" or (self.kind == "vf" and "pci" not in self.binding)


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
    details: Mapping[str, str] = field(default_factory=dict)


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

    @property
    def system_id(self) -> str:
        """6 hex digits."""
        return self.other_config.get(SYSTEM_ID, _UNNAMED)
