"""From the Weir DB to what one bridge should hold. Pure: what came before does not matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface

from controller.compiler.bridge import Bridge, BridgeVif
from controller.compiler.meters import FRAME_KBIT, JOINED_KBIT, egress_meter
from controller.dataplane.entries import MeterBody
from controller.dataplane.macs import mac_number
from controller.world.identities import identities_of, own_addresses
from controller.world.members import member
from controller.world.routing import bridge_segment, remote_vifs
from ovsdb.rows import DATAPATH, KERNEL, Snapshot, VirtualInterface
from policies.classes import chosen_code_points, code_points, queue_of, uses_classes
from policies.errors import PolicyErrors
from policies.identity import Identities
from policies.model import Bandwidth, Direction, PolicySet, Segment
from policies.packet_budget import Budget, budget
from policies.parser import parse
from policies.resolve import ancestry
from policies.scaling import scaled_of

POLICED = "vhost-user"  # the kind of VIF whose classes are queues of DPDK's policer
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
    identities = identities_of(snapshot, policies, now_s)
    return World(snapshot, policies, numbers, _members(snapshot, policies), identities, is_known, fault)


def bridge_of(world: World, chassis: str, enforced_kbps: Mapping[int, int]) -> Bridge:
    """What the compiler needs for the bridge of `chassis`.

    enforced_kbps: egress rates below the policy's limit that the loop has set, by VIF number. A VIF takes part once
    its port exists; one whose segment or policy is not in the policy set is left out (its traffic is dropped).
    Raises Unnumbered, ValueError (two routers with one MAC), KeyError when there is no such chassis.
    """
    policies, snapshot = world.policies, world.snapshot
    members = world.members.get(chassis, ())
    queues = _class_queues(policies, {vif.policy for vif in members if vif.kind == POLICED})
    abilities = snapshot.chassis[chassis].capabilities
    vifs = tuple(
        _bridge_vif(
            vif,
            policies.segments[vif.segment],
            vif_meter(world, vif, enforced_kbps.get(vif.number)),
            queues.get(vif.policy, ()) if vif.kind == POLICED else (),
            budget(policies.nodes[vif.policy], scaled_of(vif.scaled), abilities),
        )
        for vif in members
    )
    nodes = {node.path: node for vif in vifs for node in ancestry(policies, vif.policy)}
    rules = {rule.identity for node in nodes.values() for rule in (*node.mandatory, *node.rules, *node.default)}
    return Bridge(
        vifs=vifs,
        segments={
            name: bridge_segment(policies.segments[name], _number(world, "segment", name), chassis, snapshot)
            for name in sorted(policies.segments)
        },
        policies=policies,
        identities=world.identities,
        node_numbers={path: _number(world, "node", path) for path in sorted(nodes)},
        rule_numbers={identity: _number(world, "rule", identity) for identity in sorted(rules)},
        remote=remote_vifs(world.members, policies, chassis, snapshot),
        largest_kbit=_largest_kbit(snapshot, chassis),
        writes_adverts=not _is_in_kernel(snapshot, chassis),
    )


def vif_meter(world: World, vif: VirtualInterface, enforced_kbps: int | None) -> MeterBody | None:
    """The meter of a member's egress at its own limit or `enforced_kbps`, whichever is less; None: neither is set."""
    bandwidth = member(vif, world.policies).bandwidth(world.policies, Direction.EGRESS)
    limits = [limit for limit in (bandwidth.limit_kbps, enforced_kbps) if limit is not None]
    if not limits:
        return None
    burst_kbit, largest_kbit = _burst_kbit(bandwidth, min(limits)), _largest_kbit(world.snapshot, vif.chassis)
    return egress_meter(min(limits), burst_kbit, vif.is_in_namespace, largest_kbit)


def _largest_kbit(snapshot: Snapshot, chassis: str | None) -> int:
    return JOINED_KBIT if _is_in_kernel(snapshot, chassis) else FRAME_KBIT


def _is_in_kernel(snapshot: Snapshot, chassis: str | None) -> bool:
    """Whether packets are forwarded by the kernel's datapath."""
    host = snapshot.chassis.get(chassis or "")
    return host is not None and host.capabilities.get(DATAPATH) == KERNEL


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


def _class_queues(policies: PolicySet, paths: set[str]) -> dict[str, tuple[tuple[int, int], ...]]:
    """By leaf, of those whose traffic is divided: (DSCP, queue of a port that DPDK polices)."""
    dividing = {path for path in paths if uses_classes(policies, path)}
    own = code_points(policies) if dividing else {}
    chosen = {path: chosen_code_points(policies, path, own).values() for path in dividing}
    return {
        path: tuple((number, queue_of(numbers)) for numbers in classes for number in numbers)
        for path, classes in chosen.items()
    }


def _bridge_vif(
    vif: VirtualInterface,
    segment: Segment,
    meter: MeterBody | None,
    class_queues: tuple[tuple[int, int], ...],
    cpu: Budget | None,
) -> BridgeVif:
    assert vif.ofport is not None
    return BridgeVif(
        number=vif.number,
        ofport=vif.ofport,
        mac=mac_number(vif.mac),
        addresses=tuple(map(ip_interface, own_addresses(vif, segment))),
        segment=vif.segment,
        policy=vif.policy,
        egress_meter=meter,
        class_queues=class_queues,
        cpu_pps=None if cpu is None else cpu.pps,
        is_served=bool(segment.subnets and vif.addresses),
        is_shaped=vif.is_in_namespace,
    )


def _burst_kbit(bandwidth: Bandwidth, limit_kbps: int) -> int | None:
    if bandwidth.burst_bytes is not None:
        return -(-bandwidth.burst_bytes * 8 // 1000)
    if bandwidth.burst_s is not None:
        return round(bandwidth.burst_s * limit_kbps)
    return None
