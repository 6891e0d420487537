"""What the switches should hold by a snapshot, compiled as the controller does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface

from controller.compiler.bridge import Bridge, BridgeVif
from controller.compiler.compile import compile_bridge
from controller.compiler.packet_rates import PacketBound, PacketBounds, packet_bounds
from controller.compiler.parts import Memo
from controller.compiler.rule_meters import MeterUse, rule_meters
from controller.compiler.survey import LeafView, survey
from controller.dataplane.entries import SwitchState
from controller.world.desired import World, bridge_of, read_world
from ovsdb.rows import Snapshot
from policies.resolve import ancestry


@dataclass(frozen=True, slots=True)
class Compiled:
    """One bridge. meters: those of rules, by id. fault: why nothing can be compiled; all is empty then."""

    bridge: Bridge = field(default_factory=Bridge)
    state: SwitchState = field(default_factory=SwitchState)
    meters: Mapping[int, MeterUse] = field(default_factory=dict)
    bounds: PacketBounds = field(default_factory=PacketBounds)
    fault: str | None = None

    def use_of(self, meter: int) -> MeterUse | PacketBound | None:
        """None: it is a VIF's egress rate, or of what is asked of the controller."""
        return self.meters.get(meter) or self.bounds.uses.get(meter)

    def meter_ids(self, vif: int) -> dict[MeterUse, int]:
        """Of the rules' meters of one VIF."""
        return {use: number for number, use in self.meters.items() if use.vif == vif}


def world_of(snapshot: Snapshot, now_s: float) -> World:
    """now_s: since 1970, by which bindings of users expire."""
    return read_world(snapshot, World(), now_s)


def compiled(world: World, chassis: str) -> Compiled:
    """Rates that the loop has set below or in place of a policy's limit are not in it."""
    if not world.is_known:
        return Compiled(fault=world.fault)
    try:
        bridge = bridge_of(world, chassis, {})
        ids, _ = rule_meters(bridge, survey(bridge, Memo()))
        uses = {number: use for of_vif in ids.values() for use, number in of_vif.items()}
        return Compiled(bridge, compile_bridge(bridge), uses, packet_bounds(bridge))
    except ValueError as fault:  # every refusal of the compiler, which the controller would report
        return Compiled(fault=str(fault))


def leaf_views(world: World) -> Mapping[str, LeafView]:
    """What rules come to at each leaf that a VIF of any host follows, whether the VIF has a port or not.

    Raises ValueError as the compiler does, KeyError when a node or rule has no number.
    """
    policies, numbers = world.policies, world.numbers
    vifs = tuple(
        BridgeVif(
            number=vif.number,
            ofport=0,
            mac=int(vif.mac.replace(":", ""), 16),
            addresses=tuple(ip_interface(address) for address in vif.addresses),
            segment=vif.segment,
            policy=vif.policy,
        )
        for vif in world.snapshot.interfaces.values()
        if vif.policy in policies.nodes and policies.nodes[vif.policy].is_leaf
    )
    paths = {node.path for vif in vifs for node in ancestry(policies, vif.policy)}
    bridge = Bridge(
        vifs=vifs,
        policies=policies,
        identities=world.identities,
        node_numbers={path: numbers["node", path] for path in paths},
        rule_numbers={name: number for (kind, name), number in numbers.items() if kind == "rule"},
    )
    return survey(bridge, Memo()).leaves
