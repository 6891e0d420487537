"""Which queueing trees this host's devices shall have: numbers from the policy and the loop, made into plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_interface
from pathlib import Path

from controller.dataplane.macs import mac_number
from controller.host import class_places, desired
from controller.host.class_queues import ClassShare
from controller.host.desired import Limits
from controller.host.joined_frames import for_joined_frames, holding_joined_frames
from controller.host.leaf_queues import Room
from controller.host.queue_ids import QueuePlanError
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.queue_sizes import FRAME_BYTES, HEADER_BYTES
from controller.host.queue_tree import QueuePlan
from controller.host.rooms import PORT, Waiter, divide_buffer
from controller.host.settings import AgentConfig, uplink_of
from controller.host.wish import Wish, Wishes
from ovsdb.rows import VirtualInterface
from policies.hierarchy import bandwidth_tree
from policies.joined_packets import LEAST_JOINED_LEAF_BYTES
from policies.model import NORMAL, Congestion, Direction, PolicySet, SegmentType

SHAPER_QUEUE_BYTES = 1_000_000  # in the instance's own memory, never more than 100 ms: no share of OVS's send buffer


@dataclass(frozen=True, slots=True)
class HeldVif:
    """A VIF that is on the bridge. place, device: its own end, None for one that somebody else made."""

    vif: VirtualInterface
    port: str
    limits: Limits
    place: Path | None = None
    device: str | None = None
    queues_on_port: bool = True  # whether the port's device takes a tree

    @property
    def is_shaped(self) -> bool:
        return self.place is not None and self.device is not None


@dataclass(frozen=True, slots=True)
class Known:
    """What the Weir DB says beside VIFs and policies. nodes: the numbers of policy nodes by path.

    router_mac: of this host's router on its uplinks, 48 bits.
    """

    nodes: Mapping[str, int]
    router_mac: int


@dataclass(frozen=True, slots=True)
class Planned:
    """faults: by uplink name, why its tree cannot be planned. note: what is not as good as it should be."""

    wishes: Wishes
    faults: Mapping[str, str]
    note: str | None


def plan(
    held: Sequence[HeldVif],
    policies: PolicySet,
    known: Known,
    config: AgentConfig,
    send_buffer_bytes: int,
) -> Planned:
    """Each device of an uplink has a tree for the uplink's capacity."""
    vifs = [one.vif for one in held]
    users = {name: desired.uplink_members(vifs, policies, uplink_of(name)) for name in config.uplinks}
    limited = [one for one in held if one.limits.ingress_kbps is not None and one.queues_on_port]
    classes = desired.class_shares(policies, {one.vif.policy for one in held})
    frames = {one.vif.number: desired.mtu(one.vif, policies) + HEADER_BYTES for one in held}
    waiters = {one.vif.number: Waiter(one.limits, classes[one.vif.policy], frames[one.vif.number]) for one in held}
    capacities = {name: desired.capacity_kbps(policies, uplink_of(name), config.chassis) for name in config.uplinks}
    roots = {
        name: (bandwidth_tree(policies, Direction.EGRESS, users[name]), capacity_kbps)
        for name, capacity_kbps in capacities.items()
        if capacity_kbps is not None
    }
    # the kernel's datapath sends through no socket
    shared_bytes = send_buffer_bytes if config.plain_frames else None
    rooms = divide_buffer(waiters, roots, [one.vif.number for one in limited], shared_bytes)
    by_number, names = {one.vif.number: one for one in held}, tuple(policies.classes)
    uplinks, faults = dict[str, Wish](), dict[str, str]()
    for name, (root, capacity_kbps) in roots.items():
        senders = {
            number: _sender(by_number[number], policies, known, waiters[number].classes, rooms.of[name, number])
            for number in (member.number for member in users[name])
        }
        try:
            tree = uplink_plan(root, capacity_kbps, senders, known.nodes, rooms.leaf_bytes[name])
            if not config.plain_frames:
                tree = for_joined_frames(tree, max(frames.values(), default=FRAME_BYTES))
            own = {number: class_places.named(names, sender.classes) for number, sender in senders.items()}
            uplinks[name] = Wish(config.uplinks[name], tree, classes=class_places.at_uplink(tree, own))
        except QueuePlanError as fault:
            faults[name] = str(fault)
    ingress = {
        one.vif.number: _at_port(one, waiters[one.vif.number], rooms.of[PORT, one.vif.number], names, config)
        for one in limited
    }
    shapers = {
        one.vif.number: _shaper(one, one.place, one.device, frames[one.vif.number], config.plain_frames)
        for one in held
        if one.place is not None and one.device is not None
    }
    return Planned(Wishes(uplinks, ingress, shapers), faults, rooms.note)


def _sender(
    one: HeldVif, policies: PolicySet, known: Known, classes: tuple[ClassShare, ...], rooms: tuple[Room, ...]
) -> Sender:
    """Of a routed segment: what it sends outside has the router's MAC."""
    vif, segment, most_kbps = one.vif, policies.segments.get(one.vif.segment), one.limits.class_kbps
    if most_kbps:
        names = zip(classes, policies.classes, strict=False)  # VIFs that are not divided have none
        classes = tuple(replace(own, most_kbps=most_kbps.get(name)) for own, name in names)
    if segment is None or segment.type is not SegmentType.ROUTED:
        return Sender(mac_number(vif.mac), classes, None, rooms, one.is_shaped, most_kbps.get(NORMAL))
    addresses = frozenset(ip_interface(text).ip for text in vif.addresses)
    return Sender(known.router_mac, classes, addresses, rooms, one.is_shaped, most_kbps.get(NORMAL))


def _at_port(one: HeldVif, waiter: Waiter, rooms: Sequence[Room], names: Sequence[str], config: AgentConfig) -> Wish:
    plan, own = _ingress(waiter, rooms, config.plain_frames), class_places.named(names, waiter.classes)
    return Wish(one.port, plan, classes=class_places.at_port(plan, one.vif.number, own))


def _ingress(waiter: Waiter, rooms: Sequence[Room], plain_frames: bool) -> QueuePlan | None:
    limits = waiter.limits
    plan = ingress_plan(limits.ingress_kbps, LEAST_JOINED_LEAF_BYTES, limits.ingress_burst_bytes, waiter.classes, rooms)
    return plan if plain_frames or plan is None else for_joined_frames(plan, waiter.frame_bytes)


def _shaper(one: HeldVif, place: Path, device: str, frame_bytes: int, plain_frames: bool) -> Wish:
    limits = one.limits
    room = None  # for the shaper to choose
    if limits.egress_kbps is not None and (limits.buffer_bytes is not None or limits.congestion != Congestion()):
        # in its own memory: bytes alone
        (room,) = Waiter(limits, (), frame_bytes).rooms(limits.egress_kbps, limits.egress_kbps, plain_frames=False)
        room = room if plain_frames else holding_joined_frames(room)
    plan = shaper_plan(limits.egress_kbps, SHAPER_QUEUE_BYTES, limits.egress_burst_bytes, frame_bytes, room)
    return Wish(device, plan, place, one.port)


def with_trees(wishes: Wishes) -> frozenset[str]:
    """The devices of the agent's own namespace that shall have a tree."""
    return frozenset(wish.device for wish in (*wishes.uplinks.values(), *wishes.ingress.values()) if wish.plan)
