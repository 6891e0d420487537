"""From the Weir DB to what one bridge should hold. Pure: what came before does not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface

from controller.compiler.bridge import Bridge, BridgeSegment, BridgeVif
from controller.compiler.meters import egress_meter
from controller.dataplane.entries import MeterBody
from controller.world.identities import identities_of
from ovsdb.rows import Snapshot, VirtualInterface
from policies.errors import PolicyErrors
from policies.hierarchy import Member
from policies.identity import Identities
from policies.model import Bandwidth, Direction, PolicySet, Segment
from policies.parser import parse
from policies.resolve import ancestry

Numbers = Mapping[tuple[str, str], int]  # as in ovsdb.rows.Snapshot


class Unnumbered(ValueError):
    """The Weir DB has no number for something in the policy."""


@dataclass(frozen=True, slots=True)
class World:
    """One snapshot with its policy read. Made by `read_world`; World() is nothing read yet.

    fault: why the snapshot's policy cannot be read; `policies` and `numbers` are then of the last one that could. When
    none ever could, `is_known` is false: what a bridge should hold cannot be told.
    members: by chassis that has a row, its VIFs that have a port and that the policy set knows, by number.
    """

    snapshot: Snapshot = field(default_factory=Snapshot)
    policies: PolicySet = field(default_factory=PolicySet)
    numbers: Numbers = field(default_factory=dict)
    members: Mapping[str, tuple[VirtualInterface, ...]] = field(default_factory=dict)
    identities: Identities = field(default_factory=Identities)
    is_known: bool = False
    fault: str | None = None


def read_world(snapshot: Snapshot, before: World, now_s: float) -> World:
    """Parses the policy only when its text is not that of `before`. now_s: since 1970, for bindings that expire."""
    policies, numbers, is_known, fault = before.policies, before.numbers, before.is_known, before.fault
    was_read = before.is_known or before.fault is not None
    if not (was_read and snapshot.files == before.snapshot.files):
        try:
            policies, is_known, fault = parse(snapshot.files), True, None
        except PolicyErrors as errors:
            kept = "The one before it is still in force." if is_known else "What the switches hold is left as it is."
            fault = f"the stored policy cannot be read: {errors.errors[0]} {kept}"
    if fault is None:
        numbers = snapshot.numbers
    identities = identities_of(snapshot, now_s)
    return World(snapshot, policies, numbers, _members(snapshot, policies), identities, is_known, fault)


def bridge_of(world: World, chassis: str, enforced_kbps: Mapping[int, int]) -> Bridge:
    """What the compiler needs for the bridge of `chassis`.

    enforced_kbps: egress rates below the policy's limit that the loop has set, by VIF number. A VIF takes part once
    its port exists; one whose segment or policy is not in the policy set is left out (its traffic is dropped).
    Raises Unnumbered, KeyError when there is no such chassis.
    """
    policies, row = world.policies, world.snapshot.chassis[chassis]
    vifs = tuple(
        _bridge_vif(vif, vif_meter(vif, policies, enforced_kbps.get(vif.number)))
        for vif in world.members.get(chassis, ())
    )
    nodes = {node.path: node for vif in vifs for node in ancestry(policies, vif.policy)}
    rules = {rule.identity for node in nodes.values() for rule in (*node.mandatory, *node.rules, *node.default)}
    return Bridge(
        vifs=vifs,
        segments={
            name: _bridge_segment(policies.segments[name], _number(world, "segment", name), row.uplink_ports)
            for name in sorted(policies.segments)
        },
        policies=policies,
        identities=world.identities,
        node_numbers={path: _number(world, "node", path) for path in sorted(nodes)},
        rule_numbers={identity: _number(world, "rule", identity) for identity in sorted(rules)},
    )


def member(vif: VirtualInterface, policies: PolicySet) -> Member:
    segment = policies.segments.get(vif.segment)
    return Member(vif.number, vif.name, vif.policy, segment.uplink if segment else None, vif.chassis)


def vif_meter(vif: VirtualInterface, policies: PolicySet, enforced_kbps: int | None) -> MeterBody | None:
    """The meter of a member's egress at its own limit or `enforced_kbps`, whichever is less; None: neither is set."""
    bandwidth = policies.nodes[vif.policy].bandwidth(Direction.EGRESS)
    limits = [limit for limit in (bandwidth.limit_kbps, enforced_kbps) if limit is not None]
    if not limits:
        return None
    return egress_meter(min(limits), _burst_kbit(bandwidth, min(limits)), shaped=vif.kind == "veth")


def _members(snapshot: Snapshot, policies: PolicySet) -> dict[str, tuple[VirtualInterface, ...]]:
    found: dict[str, list[VirtualInterface]] = defaultdict(list)
    for vif in sorted(snapshot.interfaces.values(), key=lambda vif: vif.number):
        node = policies.nodes.get(vif.policy)
        placed = vif.chassis in snapshot.chassis and vif.ofport is not None
        if placed and node is not None and node.is_leaf and vif.segment in policies.segments:
            found[vif.chassis or ""].append(vif)
    return {chassis: tuple(vifs) for chassis, vifs in found.items()}


def _number(world: World, kind: str, key: str) -> int:
    number = world.numbers.get((kind, key))
    if number is None:
        raise Unnumbered(
            f"{kind} '{key}' of the policy has no number in the Weir DB, table Identifier. "
            "Apply the policy again: weir policy apply."
        )
    return number


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


def _burst_kbit(bandwidth: Bandwidth, limit_kbps: int) -> int | None:
    if bandwidth.burst_bytes is not None:
        return -(-bandwidth.burst_bytes * 8 // 1000)
    if bandwidth.burst_s is not None:
        return round(bandwidth.burst_s * limit_kbps)
    return None


def _bridge_segment(segment: Segment, number: int, uplink_ports: Mapping[str, int]) -> BridgeSegment:
    return BridgeSegment(number, uplink_ports.get(segment.uplink) if segment.uplink else None, segment.vlan)
