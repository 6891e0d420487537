"""One pass of the agent: what the Weir DB wants of this host, made true as far as that goes, and what became of it.

Level-based: a pass starts from what is, so passes may be interrupted, repeated and lost. Links come first, then the
bridge, then queues (OVS clears a device's queues when it first takes charge of them), then what is no longer wanted.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.host import desired
from controller.host.errors import HostError
from controller.host.kinds import port as port_kind
from controller.host.kinds import veth
from controller.host.link_table import LinkTable
from controller.host.planning import Planner
from controller.host.settings import AgentConfig
from controller.host.trees import Trees
from controller.host.uplinks import Uplinks
from controller.host.veths import Veths
from controller.host.vif_states import PATIENCE_S, Reporter, VifInPass, settled
from controller.host.wish import Faults
from controller.host.wishes import with_trees
from controller.stream.messages import Rates, VifSample
from ovsdb.open_vswitch import OpenVSwitch
from ovsdb.rows import Chassis, Snapshot, VifStatus, VirtualInterface
from ovsdb.session import DatabaseError
from ovsdb.switch import BridgeConfig, PortConfig, PortStatus


@dataclass(frozen=True, slots=True)
class Report:
    """What the Weir DB is told after a pass."""

    chassis: Chassis
    vifs: Mapping[str, VifStatus]


class Convergence:
    """The host of one agent. switch: connected at least once."""

    def __init__(self, config: AgentConfig, switch: OpenVSwitch, links: LinkTable) -> None:
        self._config, self._switch = config, switch
        self._veths, self._trees, self._uplinks = Veths(config, links), Trees(links), Uplinks(config, links)
        self._planner = Planner(config)
        self._policy = desired.PolicyInForce()
        self._reporter = Reporter(config.chassis)
        self._bridge_wanted: tuple[BridgeConfig, float] | None = None  # and since when
        self._bridge_in_force: BridgeConfig | None = None
        self._ports_seen: tuple[int, Mapping[str, PortStatus]] = (-1, {})
        self._held_open: set[str] = set()  # devices that vswitchd has, or may still have open
        self._queue_faults = Faults()
        self._with_trees: frozenset[str] = frozenset()
        self._swept_for: frozenset[str] | None = None
        self._note: str | None = None

    def converge(self, snapshot: Snapshot, rates: Rates, now_s: float) -> Report:
        """What does not work is in the report.

        Raises HostError, having touched nothing, when the agent's own namespace cannot be read or no policy ever could.
        """
        self._policy = desired.read_policy(snapshot, self._policy)
        if not self._policy.is_known:
            raise HostError((self._policy.fault or "").rstrip("."), "Apply a policy that this version reads")
        faults = [self._policy.fault] if self._policy.fault else []
        faults += self._uplinks.check(now_s)
        vifs = self._vifs(snapshot, rates, now_s)
        bridge_fault = self._converge_bridge(vifs, now_s)
        in_force = bridge_fault is None and self._bridge_in_force is not None
        if in_force:
            self._held_open = set(self._ports())
            faults += self._converge_queues(vifs, snapshot, now_s)
            faults += self._sweep(snapshot, now_s)
        elif bridge_fault:
            faults.append(bridge_fault)
        ports = self._ports()
        statuses = self._reporter.statuses(vifs, ports, self._queue_faults.vifs, now_s)
        done = in_force and settled(vifs, statuses)
        return Report(self._chassis(snapshot, ports, faults, done), statuses)

    def sample(self) -> dict[int, VifSample]:
        return self._trees.sample()

    def _ports(self) -> Mapping[str, PortStatus]:
        """The ports of the bridge as the database has them now."""
        if self._ports_seen[0] != self._switch.generation:
            self._ports_seen = self._switch.generation, self._switch.ports(self._config.bridge)
        return self._ports_seen[1]

    def _vifs(self, snapshot: Snapshot, rates: Rates, now_s: float) -> dict[str, VifInPass]:
        """Every VIF that concerns this host, with its own end made and its port found."""
        own = desired.own_veths(snapshot, self._config.chassis)
        self._held_open |= self._ports().keys()
        link_faults = self._veths.converge(own, self._held_open, now_s)
        found = {vif.name: self._veth(vif, link_faults[vif.name]) for vif in own}
        ports = self._ports()
        for vif in snapshot.interfaces.values():
            if port_kind.concerns(vif, self._config.chassis):
                found[vif.name] = self._adopted(vif, ports, snapshot)
        return {name: self._limited(one, ports, rates) for name, one in found.items()}

    def _veth(self, vif: VirtualInterface, fault: str | None) -> VifInPass:
        place = self._veths.place(vif.name)
        return VifInPass(vif, veth.host_end(vif.number) if place else None, place, fault=fault)

    def _adopted(self, vif: VirtualInterface, ports: Mapping[str, PortStatus], snapshot: Snapshot) -> VifInPass:
        try:
            return VifInPass(vif, port_kind.find(vif, ports, self._config.owner, snapshot).name)
        except port_kind.Waiting as reason:
            return VifInPass(vif, waiting=str(reason))
        except HostError as fault:
            return VifInPass(vif, fault=str(fault))

    def _limited(self, one: VifInPass, ports: Mapping[str, PortStatus], rates: Rates) -> VifInPass:
        """With the limits that hold for it. One that its device cannot keep is a fault if the policy asks for it."""
        if one.port is None:
            return one
        device = ports.get(one.port, PortStatus(one.port))
        try:
            limits = desired.limits(one.vif, self._policy.policies, rates)
            one = replace(one, limits=limits)
            if one.vif.kind == "port" and limits.ingress_kbps is not None:
                port_kind.check_ingress_limit(device)
        except HostError as fault:
            refused = one.limits is None or one.limits.ingress_by_policy
            return replace(one, queues_on_port=False, fault=one.fault or (str(fault) if refused else None))
        return one

    def _converge_bridge(self, vifs: Mapping[str, VifInPass], now_s: float) -> str | None:
        """Returns why the bridge is not as wanted, once that has lasted; None also while OVS is at work."""
        wanted = self._bridge(vifs)
        if self._bridge_wanted is None or self._bridge_wanted[0] != wanted:
            self._bridge_wanted, self._bridge_in_force = (wanted, now_s), None
        try:
            cfg = self._switch.apply(wanted)
        except DatabaseError as fault:
            self._bridge_in_force = None
            return str(fault)
        if self._bridge_in_force is None and self._switch.applied(cfg):
            self._bridge_in_force = wanted
        if self._bridge_in_force is None and now_s - self._bridge_wanted[1] > PATIENCE_S:
            return (
                f"Open vSwitch has not acted on a change of bridge {wanted.name} within {PATIENCE_S:g} s. "
                "See whether ovs-vswitchd runs, and its log."
            )
        return None

    def _bridge(self, vifs: Mapping[str, VifInPass]) -> BridgeConfig:
        config = self._config
        ports = self._uplinks.ports(self._ports(), self._held_open)
        for name, one in vifs.items():
            if one.port is not None and one.vif.kind == "veth":
                ports[one.port] = PortConfig(one.port, iface_id=name, noop_qos=True)
            elif one.held is not None and one.held.limits.ingress_kbps is not None and one.queues_on_port:
                ports[one.held.port] = PortConfig(one.held.port, noop_qos=True, create=False)
        return BridgeConfig(
            name=config.bridge,
            owner=config.owner,
            datapath_type=config.datapath_type,
            controller=config.controller,
            table_names=desired.TABLE_NAMES,
            ports=ports,
        )

    def _converge_queues(self, vifs: Mapping[str, VifInPass], snapshot: Snapshot, now_s: float) -> list[str]:
        held = [one.held for one in vifs.values() if one.held is not None]
        plan = self._planner.plan(held, self._policy.policies, snapshot)
        self._queue_faults = self._trees.converge(plan.wishes, now_s)
        self._reporter.queues_made({one.vif.name for one in held})
        self._with_trees, self._note = with_trees(plan.wishes), plan.note
        return [f"uplink {name}: {fault}" for name, fault in {**plan.faults, **self._queue_faults.uplinks}.items()]

    def _sweep(self, snapshot: Snapshot, now_s: float) -> list[str]:
        """Takes away what nothing wants any more."""
        try:
            self._veths.sweep(desired.own_veths(snapshot, self._config.chassis), now_s)
            if self._swept_for != self._with_trees:
                devices = {*self._ports(), *self._config.uplinks.values()}
                self._trees.remove_own(devices - self._with_trees)
                self._swept_for = self._with_trees
        except HostError as fault:
            return [str(fault)]
        return []

    def _chassis(self, snapshot: Snapshot, ports: Mapping[str, PortStatus], faults: list[str], done: bool) -> Chassis:
        config = self._config
        before = snapshot.chassis.get(config.chassis, Chassis(config.chassis, config.bridge))
        bridge = self._switch.bridge(config.bridge)
        numbers = {name: ports[device].ofport for name, device in config.uplinks.items() if device in ports}
        return Chassis(
            name=config.chassis,
            bridge=config.bridge,
            datapath_id=bridge.datapath_id if bridge else "",
            hostname=socket.gethostname(),
            uplink_ports={name: ofport for name, ofport in numbers.items() if ofport is not None},
            agent_cfg=snapshot.cfg if done else before.agent_cfg,
            agent_error=" ".join(faults) or None,
            agent_note=self._note,
        )
