"""From the Weir DB to what one bridge should hold. Pure: what came before does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.meters import egress_meter
from controller.dataplane.entries import MeterBody
from ovsdb.rows import Snapshot, VirtualInterface
from policies.errors import PolicyErrors
from policies.hierarchy import Member
from policies.model import Bandwidth, Direction, PolicySet, Segment
from policies.parser import parse
from policies.resolve import resolve


@dataclass(frozen=True, slots=True)
class World:
    """One snapshot with its policy read. fault: why it cannot be read; `policies` is then the last that could."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    policies: PolicySet = field(default_factory=PolicySet)
    fault: str | None = None


def read_world(snapshot: Snapshot, before: World) -> World:
    """Parses the policy only when its text has changed since `before`."""
    if snapshot.files == before.snapshot.files and before.fault is None:
        return World(snapshot, before.policies)
    try:
        return World(snapshot, parse(snapshot.files))
    except PolicyErrors as errors:
        return World(snapshot, before.policies, f"the stored policy cannot be read: {errors.errors[0]}")


def bridge_of(world: World, chassis: str, enforced_kbps: Mapping[int, int]) -> Bridge:
    """What the compiler needs for the bridge of `chassis`.

    enforced_kbps: egress rates below the policy's limit that the loop has set, by VIF number. A VIF takes part once
    its port exists; one whose segment or policy is not in the policy set is left out (its traffic is dropped).
    """
    policies, row = world.policies, world.snapshot.chassis[chassis]
    vifs = tuple(
        _bridge_vif(vif, _egress_meter(vif, policies, enforced_kbps.get(vif.number)))
        for vif in members_on(world, chassis)
    )
    leaves = sorted({vif.policy for vif in vifs})
    nodes = {path: resolve(policies, path) for path in leaves}
    numbers = world.snapshot.numbers
    return Bridge(
        vifs=vifs,
        segments={
            name: _bridge_segment(policies.segments[name], numbers["segment", name], row.uplink_ports)
            for name in sorted(policies.segments)
        },
        nodes=nodes,
        node_numbers={path: numbers["node", path] for path in leaves},
        rule_numbers={rule.identity: numbers["rule", rule.identity] for node in nodes.values() for rule in node.rules},
    )


def members_on(world: World, chassis: str) -> list[VirtualInterface]:
    """The VIFs of a chassis that have a port and that the policy set knows, in the order of their numbers."""
    policies = world.policies
    return sorted(
        (
            vif
            for vif in world.snapshot.interfaces.values()
            if vif.chassis == chassis
            and vif.ofport is not None
            and vif.policy in policies.nodes
            and vif.segment in policies.segments
        ),
        key=lambda vif: vif.number,
    )


def member(vif: VirtualInterface, policies: PolicySet) -> Member:
    segment = policies.segments.get(vif.segment)
    return Member(vif.number, vif.name, vif.policy, segment.uplink if segment else None, vif.chassis)


def _bridge_vif(vif: VirtualInterface, meter: MeterBody | None) -> BridgeVif:
    assert vif.ofport is not None
    return BridgeVif(
        number=vif.number,
        ofport=vif.ofport,
        mac=int(vif.mac.replace(":", ""), 16),
        addresses=tuple(ip_interface(address) for address in vif.addresses),
        segment=vif.segment,
        policy=vif.policy,
        egress_meter=meter,
    )


def _egress_meter(vif: VirtualInterface, policies: PolicySet, enforced_kbps: int | None) -> MeterBody | None:
    bandwidth = policies.nodes[vif.policy].bandwidth(Direction.EGRESS)
    limits = [limit for limit in (bandwidth.limit_kbps, enforced_kbps) if limit is not None]
    if not limits:
        return None
    return egress_meter(min(limits), _burst_kbit(bandwidth, min(limits)), shaped=vif.kind == "veth")


def _burst_kbit(bandwidth: Bandwidth, limit_kbps: int) -> int | None:
    if bandwidth.burst_bytes is not None:
        return -(-bandwidth.burst_bytes * 8 // 1000)
    if bandwidth.burst_s is not None:
        return round(bandwidth.burst_s * limit_kbps)
    return None


def _bridge_segment(segment: Segment, number: int, uplink_ports: Mapping[str, int]) -> BridgeSegment:
    return BridgeSegment(number, uplink_ports.get(segment.uplink) if segment.uplink else None, segment.vlan)
