"""What one wants of a bridge of Open vSwitch, and what it is like, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class QosConfig:
    """A port's own row of table QoS. queues: other_config of each row of table Queue, by number."""

    type: str
    other_config: Mapping[str, str]
    queues: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policing:
    """What a port takes from its device, before any flow sees it."""

    rate_kbps: int
    burst_kbit: int


@dataclass(frozen=True, slots=True)
class SwitchFacts:
    """What a switch says of itself. offloads: whether it may leave packets to NICs. pmd_cpu_mask: the cores of DPDK's
    datapath, if queues can be given to some of them without keeping those from all other queues; "": not known."""

    port_types: frozenset[str]
    version: str | None = None
    offloads: bool = False
    pmd_cpu_mask: str = ""


@dataclass(frozen=True, slots=True)
class PortConfig:
    """A port of the bridge with one interface of the same name.

    create: make it when the bridge does not have it; False: a port that somebody else makes, of which only the queues
    are ours to decide. A port that is there and has another owner is always left as it is but for `noop_qos`.
    device_index: of the device, noted on the port when it is made; None: nothing is noted.
    options, mtu_request: of its interface; the options are exactly these, an mtu_request of None is left as it is.
    qos, policing, rxq_affinity (as in other_config:pmd-rxq-affinity): None: there shall be none; of own ports alone.
    """

    name: str
    iface_id: str | None = None  # external_ids:iface-id
    type: str = ""  # as in Interface.type; "": a network device of the host
    noop_qos: bool = False  # OVS leaves the device's queueing disciplines alone
    ofport_request: int | None = None  # None: the number that OVS once gave it is kept
    create: bool = True
    device_index: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    mtu_request: int | None = None
    qos: QosConfig | None = None
    policing: Policing | None = None
    rxq_affinity: str | None = None


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """A whole bridge. owner: marks what is made in its name (external_ids:weir-owner): only that is ever removed.

    controller: an OpenFlow target such as "tcp:127.0.0.1:6653"; None, or a bridge that somebody else gave a
    controller: left as it is. table_names: OpenFlow table -> name.
    """

    name: str
    owner: str
    datapath_type: str = "netdev"
    controller: str | None = None
    table_names: Mapping[int, str] = field(default_factory=dict)
    ports: Mapping[str, PortConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortStatus:
    """ofport: None until OVS has given it one, and when it cannot (then `error` has its words)."""

    name: str
    type: str = ""
    iface_id: str | None = None
    ofport: int | None = None
    error: str | None = None
    mac: str | None = None
    owner: str | None = None  # who made it, if it was made by this system
    attached_mac: str | None = None  # external_ids:attached-mac
    noop_qos: bool = False
    status: Mapping[str, str] = field(default_factory=dict)  # of its interface, as OVS has it
    device_index: int | None = None  # as noted when the port was made; OVS itself shows that of whatever bears the name
    rxq_affinity: str | None = None


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    name: str
    datapath_type: str = ""
    datapath_id: str = ""  # 16 hex digits; "" until OVS has made the bridge
    owner: str | None = None  # who made it, if it was made by this system
    controllers: tuple[str, ...] = ()  # targets
    connected: bool = False  # to any of them
