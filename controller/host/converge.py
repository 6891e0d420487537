"""One pass of the agent: what the Weir DB wants of this host, made true as far as that goes, and what became of it.

Level-based: a pass starts from what is, so passes may be interrupted, repeated and lost. Links come first, then the
bridge, then queues (OVS clears a device's queues when it first takes charge of them), then what is no longer wanted.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from controller.host import desired
from controller.host.capabilities import Capabilities
from controller.host.errors import HostError
from controller.host.kinds.kind import Made, PassView
from controller.host.latency.surroundings import Aims
from controller.host.link_table import LinkTable
from controller.host.making import Making, Wanted
from controller.host.packet_cost import PacketCosts
from controller.host.planning import Planner
from controller.host.policers import Policers
from controller.host.process_watch import ProcessWatch
from controller.host.refusals import Refusals, of_device
from controller.host.send_buffer import SendBuffer
from controller.host.settings import AgentConfig
from controller.host.trees import Trees
from controller.host.uplinks import Uplinks
from controller.host.vif_states import PATIENCE_S, Reporter, VifInPass, settled
from controller.host.wish import Faults
from controller.host.wishes import with_trees
from controller.stream.messages import QueueTable, Rates, Repair
from ovsdb.open_vswitch import OpenVSwitch
from ovsdb.rows import DPDK, YES, Chassis, Snapshot, VifStatus, VirtualInterface
from ovsdb.session import DatabaseError
from ovsdb.switch import BridgeConfig, PortStatus
from policies.enforcement import SEND_BUFFER


@dataclass(frozen=True, slots=True)
class Report:
    """What the Weir DB is told after a pass."""

    chassis: Chassis
    vifs: Mapping[str, VifStatus]


class Convergence:
    """The host of one agent. switch: connected at least once."""

    def __init__(
        self, config: AgentConfig, switch: OpenVSwitch, links: LinkTable, on_repair: Callable[[Repair], None]
    ) -> None:
        self._config, self._switch, self._links = config, switch, links
        self._making, self._uplinks = Making(config, links, on_repair), Uplinks(config, links)
        self._trees, self._on_repair = Trees(links, on_repair), on_repair
        self._planner, self._policers = Planner(config), Policers()
        self._capabilities = Capabilities(config)
        self._packet_costs = PacketCosts(config.ovs_rundir, config.datapath_type)
        self._send_buffer = SendBuffer(config.ovs_rundir, config.buffer_record if config.raise_buffers else None)
        self._buffer_bytes: int | None = None  # None: not known
        self._policy, self._in_force, self._refusals = desired.PolicyInForce(), desired.InForce(), Refusals()
        self._reporter = Reporter(config.chassis)
        self._bridge_wanted: tuple[BridgeConfig, float] | None = None  # and since when
        self._bridge_in_force: BridgeConfig | None = None
        self._ports_seen: tuple[int, Mapping[str, PortStatus]] = (-1, {})
        self._elsewhere_seen: tuple[int, Mapping[str, str]] = (-1, {})
        self._held_open: set[str] = set()  # devices that vswitchd has, or may still have open
        self._queue_faults = Faults()
        self._with_trees: frozenset[str] = frozenset()
        self._swept_for: frozenset[str] | None = None
        self._note: str | None = None

    @property
    def instances(self) -> ProcessWatch:
        """The processes that VIFs are bound to."""
        return self._making.instances

    def converge(self, snapshot: Snapshot, rates: Rates, now_s: float) -> Report:
        """What does not work is in the report.

        Raises HostError, having touched nothing, when the agent's own namespace cannot be read or no policy ever could.
        """
        self._policy = desired.read_policy(snapshot, self._policy)
        if not self._policy.is_known:
            raise HostError((self._policy.fault or "").rstrip("."), "Apply a policy that this version reads")
        snapshot = self._in_force.of(snapshot, self._policy.policies)
        faults = [self._policy.fault] if self._policy.fault else []
        faults += self._uplinks.check(now_s)
        wanted = self._making.wanted(snapshot)
        vifs = self._vifs(wanted, snapshot, rates, now_s)
        bridge_fault = self._converge_bridge(vifs, now_s)
        in_force = bridge_fault is None and self._bridge_in_force is not None
        if in_force:
            self._held_open = set(self._ports())
            faults += self._converge_queues(vifs, snapshot, now_s)
            faults += self._sweep(wanted, snapshot, now_s)
        elif bridge_fault:
            faults.append(bridge_fault)
        ports = self._ports()
        statuses = self._reporter.statuses(vifs, ports, self._queue_faults.vifs, now_s)
        done = in_force and settled(vifs, statuses)
        said = self._switch.facts() if in_force else None
        chassis = self._chassis(snapshot, ports, faults, done)
        capabilities = self._capabilities.found(said, now_s)
        before = snapshot.chassis.get(self._config.chassis)
        known = before.capabilities if before is not None else {}
        polls = capabilities.get(DPDK, known.get(DPDK)) == YES
        capabilities |= self._packet_costs.found(known, polls, now_s)
        if self._buffer_bytes is not None:
            capabilities[SEND_BUFFER] = str(self._buffer_bytes)
        return Report(replace(chassis, capabilities=capabilities), statuses)

    @property
    def queues(self) -> Trees:
        return self._trees

    def probed(self, snapshot: Snapshot) -> Aims:
        """Whom to probe for latency. Raises HostError."""
        return self._planner.aims(self._policy.policies, snapshot, self._links.links())

    def sample(self, now_s: float) -> QueueTable:
        return self._trees.sample(now_s)

    def _ports(self) -> Mapping[str, PortStatus]:
        """The ports of the bridge as the database has them now."""
        if self._ports_seen[0] != self._switch.generation:
            self._ports_seen = self._switch.generation, self._switch.ports(self._config.bridge)
        return self._ports_seen[1]

    def _elsewhere(self) -> Mapping[str, str]:
        """Why ports of other bridges cannot be on ours, as the database has them now."""
        if self._elsewhere_seen[0] != self._switch.generation:
            self._elsewhere_seen = self._switch.generation, self._switch.elsewhere(self._config.bridge)
        return self._elsewhere_seen[1]

    def _view(self, snapshot: Snapshot, now_s: float) -> PassView:
        policies, facts = self._policy.policies, self._switch.facts()
        return PassView(snapshot, self._ports(), self._held_open, now_s, policies, facts.port_types, facts.offloads)

    def _vifs(self, wanted: Wanted, snapshot: Snapshot, rates: Rates, now_s: float) -> dict[str, VifInPass]:
        """Every VIF that concerns this host, with what its kind made of it. Raises HostError."""
        self._held_open |= self._ports().keys()
        made = self._making.converge(wanted, self._view(snapshot, now_s))
        told = snapshot.chassis.get(self._config.chassis)
        abilities = told.capabilities if told is not None else {}
        return {vif.name: self._limited(vif, made[vif.name], rates, abilities) for _, vifs in wanted for vif in vifs}

    def _limited(self, vif: VirtualInterface, made: Made, rates: Rates, abilities: Mapping[str, str]) -> VifInPass:
        """With the limits that hold for it. One that its device cannot keep is a fault if the policy asks for it."""
        if made.port is not None and made.port.create and made.port.name in self._elsewhere():
            # the switch would refuse the whole bridge for it: without this port the others go on
            made = replace(made, port=None, fault=made.fault or self._elsewhere()[made.port.name])
        if made.port is None:
            return VifInPass(vif, made, fault=made.fault)
        try:
            limits = desired.limits(vif, self._policy.policies, rates)
        except HostError as fault:
            return VifInPass(vif, made, fault=made.fault or str(fault))
        made, refused = of_device(made, limits, self._policy.policies.nodes.get(vif.policy))
        refused = refused or self._refusals.of(vif, self._policy.policies, abilities)
        return VifInPass(vif, made, limits, made.fault or refused)

    def _converge_bridge(self, vifs: Mapping[str, VifInPass], now_s: float) -> str | None:
        """Returns why the bridge is not as wanted, once that has lasted; None also while OVS is at work."""
        wanted = self._bridge(vifs, now_s)
        if self._bridge_wanted is None or self._bridge_wanted[0] != wanted:
            self._bridge_wanted, self._bridge_in_force = (wanted, now_s), None
        try:
            cfg = self._switch.apply(wanted)
            told = "; ".join(self._switch.mended)
            if self._bridge_in_force == wanted and told:
                self._on_repair(
                    Repair(time.time(), "database", f"rows of bridge {wanted.name}", told, "written as they were")
                )
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

    def _bridge(self, vifs: Mapping[str, VifInPass], now_s: float) -> BridgeConfig:
        config = self._config
        ports = self._uplinks.ports(self._ports(), self._held_open)
        mask = self._switch.facts().pmd_cpu_mask
        policed = self._policers.ports(vifs.values(), self._policy.policies, self._ports(), mask, now_s)
        for one in vifs.values():
            port, held = one.made.port, one.held
            if port is not None and port.create:
                ports[port.name] = policed.get(port.name, port)
            elif port is not None and held is not None and held.queues_on_port and held.limits.ingress_kbps is not None:
                ports[port.name] = replace(port, noop_qos=True)
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
        unseen = self._look_at_buffers(now_s)
        plan = self._planner.plan(held, self._policy.policies, snapshot, self._buffer_bytes)
        self._queue_faults = self._trees.converge(plan.wishes, now_s)
        self._reporter.queues_made({one.vif.name for one in held})
        self._with_trees = with_trees(plan.wishes)
        notes = {one.made.note for one in vifs.values()}
        self._note = " ".join(filter(None, (unseen or plan.note, *sorted(filter(None, notes))))) or None
        faults = {**plan.faults, **self._queue_faults.uplinks}
        return [f"uplink {name}: {fault}" for name, fault in faults.items()]

    def _look_at_buffers(self, now_s: float) -> str | None:
        """Returns why they cannot be seen: no fault, as queues for the usual size do. The kernel's own datapath has
        none."""
        if not self._config.plain_frames:
            return None
        try:
            self._buffer_bytes = self._send_buffer.size_bytes(now_s)
        except HostError as fault:
            self._buffer_bytes = None
            return str(fault)
        return None

    def _sweep(self, wanted: Wanted, snapshot: Snapshot, now_s: float) -> list[str]:
        """Takes away what nothing wants any more. Returns what is wrong."""
        faults = self._making.sweep(wanted, self._view(snapshot, now_s))
        try:
            if self._swept_for != self._with_trees:
                taken_off = self._swept_for or ()  # a device that is no port any more has its tree still
                devices = {*self._ports(), *self._config.uplinks.values(), *taken_off}
                self._trees.remove_own(devices - self._with_trees)
                self._swept_for = self._with_trees
        except HostError as fault:
            faults.append(str(fault))
        return faults

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
