"""The trees that make a policy's numbers true at packet time: of an uplink, of a VIF's port, of a VIF's own end. Pure.

Uplink: one HTB qdisc for every inner node of the policy tree, nested under the node's class, because HTB divides by
weight (quantum) within one level only. Each such qdisc has one class above all others: in the outermost it holds the
link's capacity; in a nested one it is as wide as PASS_KBPS, since the class outside already bounds it, and a second
bucket of the same rate would only add its own rounding and lateness. What has no limit of its own is as wide.

A VIF that comes or goes touches its own classes and filters and no other, see `queue_ids`. Below a VIF's class stands
its queue, or one for each of its traffic classes, see `class_queues`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controller.host.class_bounds import class_of, held
from controller.host.class_queues import ClassShare, divide, queues_of
from controller.host.leaf_queues import Room
from controller.host.queue_ids import (
    CLASS_MAJORS,
    DEFAULT_MINOR,
    INNER_MINORS,
    MOST_NODE,
    MOST_VIF,
    ROOT_MAJOR,
    TRUNK_MINOR,
    QueuePlanError,
    class_majors,
)
from controller.host.queue_sizes import (
    BURST_US,
    FRAME_BYTES,
    LEAST_KBPS,
    LEAST_QUEUE_BYTES,
    MOST_BURST_US,
    PASS_KBPS,
    burst_us,
    leaving_kbps,
    quanta,
    size_bytes,
    time_us,
    token_kbps,
)
from controller.host.queue_tree import (
    ROOT,
    AddressPlan,
    BfifoPlan,
    ClassPlan,
    FilterPlan,
    HtbPlan,
    QdiscPlan,
    QueuePlan,
    RouterPlan,
    SteeringPlan,
    Steers,
    TbfPlan,
)
from policies.hierarchy import Branch, Leaf
from policies.model import Congestion, IPAddress

DEFAULT_PRIORITY = 7  # borrows only what nobody else wants
DEFAULT_SHARE = 100  # frames that no filter names are guaranteed one part in so many of the capacity
SHAPER_QUEUE_US = 100_000  # the most that a shaper delays, but for
LEAST_SHAPER_FRAMES = 10
MOST_SHAPER_BYTES, MOST_SHAPER_US = 250_000, 10_000  # room for what one TCP connection queues; the larger counts


@dataclass(frozen=True, slots=True)
class Sender:
    """A VIF on its uplink. mac: 48 bits, of its frames there. classes: what its traffic is divided into; empty: not
    divided. addresses: of a VIF behind the router, whose MAC its frames then have, as others' do; None: not behind it.
    rooms: what may wait for it: in each of its classes, in their order; in its one queue where it has none; empty: as
    much as in any leaf. is_shaped: it is held to its limit before. most_kbps: of a VIF that is not divided, what it may
    take while an objective of another is violated, but for what it is guaranteed; None: all.
    """

    mac: int
    classes: tuple[ClassShare, ...] = ()
    addresses: frozenset[IPAddress] | None = None
    rooms: tuple[Room, ...] = ()
    is_shaped: bool = False
    most_kbps: int | None = None


def uplink_plan(
    root: Branch, capacity_kbps: int, senders: Mapping[int, Sender], node_numbers: Mapping[str, int], leaf_bytes: int
) -> QueuePlan:
    """The tree of one uplink of one host: guarantees first, the rest by weight level by level, no limit passed.

    root: the policy tree, of the VIFs that send through this uplink. senders: by VIF number, every such VIF.
    node_numbers: of every inner node but the root, by path. leaf_bytes: the most that one leaf may have queued.
    Raises QueuePlanError when a number is missing or too large for a class id.
    """
    divided = (number for number, sender in senders.items() if sender.classes)
    tree = _Tree(senders, class_majors(divided), node_numbers, leaf_bytes)
    width_kbps = max(LEAST_KBPS, capacity_kbps if root.limit_kbps is None else min(capacity_kbps, root.limit_kbps))
    unnamed_kbps = max(LEAST_KBPS, width_kbps // DEFAULT_SHARE)
    tree.open_level(ROOT, ROOT_MAJOR << 16, width_kbps)
    tree.add_default(ROOT_MAJOR << 16, unnamed_kbps, leaf_bytes)
    children = _children(root)
    given_kbps = unnamed_kbps + token_kbps(width_kbps, len(children)) * len(children)
    promised_kbps = sum(child.guarantee_kbps for child in children)
    kept = min(1.0, max(0, width_kbps - given_kbps) / max(1, promised_kbps))
    tree.add_children(ROOT_MAJOR << 16, root, width_kbps, width_kbps, kept)
    return QueuePlan(tree.qdiscs, tree.classes, frozenset(tree.filters))


def ingress_plan(
    limit_kbps: int | None,
    leaf_bytes: int,
    burst_bytes: int | None = None,
    classes: Sequence[ClassShare] = (),
    rooms: Sequence[Room] = (),
) -> QueuePlan | None:
    """What reaches one VIF, held to its limit on the VIF's port, and divided among its classes if it has any.

    None: no limit, no tree, and classes make no difference: this port is then no bottleneck that anybody knows of.
    burst_bytes: what may reach it at once after a pause; None: two milliseconds. rooms: as those of a Sender.
    """
    if limit_kbps is None:
        return None
    limit_kbps = max(LEAST_KBPS, limit_kbps)
    handle = ROOT_MAJOR << 16
    depth_us = min(MOST_BURST_US, max(burst_us(limit_kbps), time_us(burst_bytes or 0, limit_kbps)))
    body = ClassPlan(handle, limit_kbps, limit_kbps, depth_us, depth_us, FRAME_BYTES)
    place, root = handle | DEFAULT_MINOR, HtbPlan(handle, DEFAULT_MINOR)
    if not classes:
        queue = rooms[0].queue(limit_kbps) if rooms else BfifoPlan(leaf_bytes)
        return QueuePlan({ROOT: root, place: queue}, {place: body})
    queues = queues_of(rooms, classes, limit_kbps) if rooms else ()
    below = divide(place, CLASS_MAJORS.start << 16, classes, limit_kbps, leaf_bytes, queues)
    return QueuePlan({ROOT: root, **below.qdiscs}, {place: body, **below.classes}, below.filters)


def shaper_plan(
    limit_kbps: int | None,
    queue_bytes: int,
    burst_bytes: int | None = None,
    frame_bytes: int = FRAME_BYTES,
    room: Room | None = None,
) -> QueuePlan | None:
    """What a VIF sends, held to its limit inside its own namespace, where TCP is delayed and not dropped.

    queue_bytes: the most that may queue; less where that is more than a connection needs or delays by more than 100 ms.
    From about 20 Mbit/s on a sender's socket is full before the queue is: a single flood is slowed, not dropped; with
    half of it cubic loses a segment whenever it has grown that far, and BBR hundreds when it begins.
    burst_bytes: None: two milliseconds; deeper buckets make BBR see a faster path. limit None: no tree.
    frame_bytes: the largest frame; one that is larger than the bucket would be lost. room: in place of queue_bytes, and
    kept as it is; a queue of another sort than fifo stands below a class at the limit.
    """
    if limit_kbps is None:
        return None
    limit_kbps = max(LEAST_KBPS, limit_kbps)
    wanted_bytes = min(
        size_bytes(SHAPER_QUEUE_US, limit_kbps), max(MOST_SHAPER_BYTES, size_bytes(MOST_SHAPER_US, limit_kbps))
    )
    room_bytes = max(LEAST_SHAPER_FRAMES * frame_bytes, wanted_bytes)
    depth_us = time_us(burst_bytes, limit_kbps) if burst_bytes else BURST_US
    depth_us = min(MOST_BURST_US, max(depth_us, time_us(2 * frame_bytes, limit_kbps)))
    limit_bytes = min(max(queue_bytes, 3 * frame_bytes), room_bytes)
    if room is not None and room.congestion != Congestion():
        return ingress_plan(limit_kbps, limit_bytes, size_bytes(depth_us, limit_kbps), (), [room])
    if room is not None:
        limit_bytes = max(frame_bytes, room.size_bytes)
    return QueuePlan({ROOT: TbfPlan(limit_kbps, depth_us, limit_bytes)})


@dataclass(slots=True)
class _Tree:
    """A plan in the making."""

    senders: Mapping[int, Sender]
    class_majors: Mapping[int, int]  # of the VIFs that have traffic classes
    node_numbers: Mapping[str, int]
    leaf_bytes: int
    qdiscs: dict[int, QdiscPlan] = field(default_factory=dict)
    classes: dict[int, ClassPlan] = field(default_factory=dict)
    filters: set[SteeringPlan] = field(default_factory=set)

    def open_level(self, parent: int, handle: int, width_kbps: int) -> None:
        self.qdiscs[parent] = HtbPlan(handle, DEFAULT_MINOR, Steers.SOURCE)
        depth_us = burst_us(width_kbps)
        self.classes[handle | TRUNK_MINOR] = ClassPlan(handle, width_kbps, width_kbps, depth_us, depth_us, FRAME_BYTES)

    def add_default(self, handle: int, rate_kbps: int, queue_bytes: int) -> None:
        place, trunk = handle | DEFAULT_MINOR, handle | TRUNK_MINOR
        depths_us = burst_us(rate_kbps), burst_us(PASS_KBPS)
        self.classes[place] = ClassPlan(trunk, rate_kbps, PASS_KBPS, *depths_us, FRAME_BYTES, DEFAULT_PRIORITY)
        self.qdiscs[place] = BfifoPlan(queue_bytes)

    def add_children(
        self, handle: int, branch: Branch, width_kbps: int, full_kbps: int, kept: float = 1.0
    ) -> tuple[int, ...]:
        """full_kbps: what all below send while everybody does. kept: the part of every guarantee that the level has
        room for. Returns the numbers of all VIFs below."""
        children = _children(branch)
        weights = [child.weight for child in children]
        least_kbps = token_kbps(width_kbps, len(children))
        rates = [max(least_kbps, int(child.guarantee_kbps * kept)) for child in children]
        leaving = leaving_kbps(full_kbps, rates, weights)
        vifs: tuple[int, ...] = ()
        for child, rate_kbps, own_kbps, quantum_bytes in zip(children, rates, leaving, quanta(weights), strict=True):
            place = handle | (self._inner_minor(child) if isinstance(child, Branch) else _vif_minor(child))
            own_kbps = own_kbps if child.limit_kbps is None else max(LEAST_KBPS, min(own_kbps, child.limit_kbps))
            body = class_of(child, handle | TRUNK_MINOR, rate_kbps, quantum_bytes)
            if isinstance(child, Leaf):
                sender = self._sender(child.member.number)
                body = held(body, sender.is_shaped, None if sender.classes else sender.most_kbps)
            self.classes[place] = body
            if isinstance(child, Branch):
                inner_kbps = min(width_kbps, PASS_KBPS if child.limit_kbps is None else child.limit_kbps)
                below = self._nest(place, child, inner_kbps, own_kbps)
            else:
                self._queue(place, child.member.number, own_kbps)
                below = (child.member.number,)
            self.filters.update(*(_steering(handle, self._sender(vif), place) for vif in below))
            vifs += below
        return vifs

    def _nest(self, place: int, branch: Branch, width_kbps: int, full_kbps: int) -> tuple[int, ...]:
        handle = (place & 0xFFFF) - INNER_MINORS << 16
        self.open_level(place, handle, PASS_KBPS)
        self.add_default(handle, LEAST_KBPS, LEAST_QUEUE_BYTES)
        return self.add_children(handle, branch, width_kbps, full_kbps)

    def _inner_minor(self, branch: Branch) -> int:
        number = self.node_numbers.get(branch.path)
        if number is None:
            raise QueuePlanError(f"policy node {branch.path}: it has no number. Give every inner node one.")
        if not 1 <= number <= MOST_NODE:
            raise QueuePlanError(
                f"policy node {branch.path}: class ids hold node numbers from 1 to {MOST_NODE}, not {number}."
                " Number the nodes of this uplink from 1 on."
            )
        return INNER_MINORS + number

    def _queue(self, place: int, vif: int, full_kbps: int) -> None:
        classes, rooms = self._sender(vif).classes, self._sender(vif).rooms
        if not classes:
            self.qdiscs[place] = rooms[0].queue(full_kbps) if rooms else BfifoPlan(self.leaf_bytes)
            return
        rate_kbps, handle = self.classes[place].rate_kbps, self.class_majors[vif] << 16
        queues = queues_of(rooms, classes, full_kbps) if rooms else ()
        below = divide(place, handle, classes, rate_kbps, self.leaf_bytes, queues)
        self.qdiscs |= below.qdiscs
        self.classes |= below.classes
        self.filters |= below.filters

    def _sender(self, vif: int) -> Sender:
        if vif not in self.senders:
            raise QueuePlanError(
                f"VIF {vif}: its MAC is not known, so its frames can not be told. Plan it when it has one."
            )
        return self.senders[vif]


def _steering(handle: int, sender: Sender, place: int) -> Iterator[SteeringPlan]:
    """What finds the class at `place` for all that the VIF sends."""
    if sender.addresses is None:
        yield FilterPlan(handle, sender.mac, place)
        return
    for address in sender.addresses:
        yield AddressPlan(handle, address.version, int(address), place)
        for is_tagged in (False, True):
            yield RouterPlan(handle, sender.mac, address.version, is_tagged)


def _vif_minor(leaf: Leaf) -> int:
    number = leaf.member.number
    if not 1 <= number <= MOST_VIF:
        raise QueuePlanError(
            f"VIF {leaf.member.name}: class ids hold VIF numbers from 1 to {MOST_VIF}, not {number}."
            " Create it again when lower numbers are free."
        )
    return number


def _children(branch: Branch) -> list[Branch | Leaf]:
    return [*branch.branches, *branch.leaves]
