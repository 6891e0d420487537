"""The trees that make a policy's numbers true at packet time: of an uplink, of a VIF's port, of a VIF's own end. Pure.

Uplink: one HTB qdisc for every inner node of the policy tree, nested under the node's class, because HTB divides by
weight (quantum) within one level only. Each such qdisc has one class above all others: in the outermost it holds the
link's capacity; in a nested one it is as wide as PASS_KBPS, since the class outside already bounds it, and a second
bucket of the same rate would only add its own rounding and lateness. What has no limit of its own is as wide.

A VIF that comes or goes touches its own classes and filters and no other, see `queue_ids`. Below a VIF's class stands
its queue, or one for each of its traffic classes, see `class_queues`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.host.class_queues import ClassShare, divide
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
    quanta,
    size_bytes,
    time_us,
    token_kbps,
)
from controller.host.queue_tree import (
    ROOT,
    BfifoPlan,
    ClassPlan,
    FilterPlan,
    HtbPlan,
    QdiscPlan,
    QueuePlan,
    SteeringPlan,
    Steers,
    TbfPlan,
)
from policies.hierarchy import Branch, Leaf

DEFAULT_PRIORITY = 7  # borrows only what nobody else wants
DEFAULT_SHARE = 100  # frames that no filter names are guaranteed one part in so many of the capacity
SHAPER_QUEUE_US = 50_000  # the most that a shaper delays, but for
LEAST_SHAPER_FRAMES = 10
MOST_SHAPER_BYTES, MOST_SHAPER_US = 250_000, 10_000  # room for what one TCP connection queues; the larger counts


@dataclass(frozen=True, slots=True)
class Sender:
    """A VIF on its uplink. mac: 48 bits. classes: what its traffic is divided into; empty: not divided."""

    mac: int
    classes: tuple[ClassShare, ...] = ()


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
    tree.add_children(ROOT_MAJOR << 16, root, width_kbps, kept)
    return QueuePlan(tree.qdiscs, tree.classes, frozenset(tree.filters))


def ingress_plan(
    limit_kbps: int | None, leaf_bytes: int, burst_bytes: int | None = None, classes: Sequence[ClassShare] = ()
) -> QueuePlan | None:
    """What reaches one VIF, held to its limit on the VIF's port, and divided among its classes if it has any.

    None: no limit, no tree, and classes make no difference: this port is then no bottleneck that anybody knows of.
    burst_bytes: what may reach it at once after a pause; None: two milliseconds.
    """
    if limit_kbps is None:
        return None
    limit_kbps = max(LEAST_KBPS, limit_kbps)
    handle = ROOT_MAJOR << 16
    depth_us = min(MOST_BURST_US, max(burst_us(limit_kbps), time_us(burst_bytes or 0, limit_kbps)))
    body = ClassPlan(handle, limit_kbps, limit_kbps, depth_us, depth_us, FRAME_BYTES)
    place, root = handle | DEFAULT_MINOR, HtbPlan(handle, DEFAULT_MINOR)
    if not classes:
        return QueuePlan({ROOT: root, place: BfifoPlan(leaf_bytes)}, {place: body})
    below = divide(place, CLASS_MAJORS.start << 16, classes, limit_kbps, leaf_bytes)
    return QueuePlan({ROOT: root, **below.qdiscs}, {place: body, **below.classes}, below.filters)


def shaper_plan(limit_kbps: int | None, queue_bytes: int, burst_bytes: int | None = None) -> QueuePlan | None:
    """What a VIF sends, held to its limit inside its own namespace, where TCP is delayed and not dropped.

    queue_bytes: the most that may queue; less where that is more than a connection needs or delays by more than 50 ms.
    Above about 20 Mbit/s a sender's socket is full before the queue is: a single flood is then slowed, not dropped.
    burst_bytes: None: two milliseconds; deeper buckets make BBR see a faster path. limit None: no tree.
    """
    if limit_kbps is None:
        return None
    limit_kbps = max(LEAST_KBPS, limit_kbps)
    wanted_bytes = min(
        size_bytes(SHAPER_QUEUE_US, limit_kbps), max(MOST_SHAPER_BYTES, size_bytes(MOST_SHAPER_US, limit_kbps))
    )
    room_bytes = max(LEAST_SHAPER_FRAMES * FRAME_BYTES, wanted_bytes)
    depth_us = time_us(burst_bytes, limit_kbps) if burst_bytes else BURST_US
    depth_us = min(MOST_BURST_US, max(depth_us, time_us(2 * FRAME_BYTES, limit_kbps)))
    return QueuePlan({ROOT: TbfPlan(limit_kbps, depth_us, min(max(queue_bytes, LEAST_QUEUE_BYTES), room_bytes))})


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

    def add_children(self, handle: int, branch: Branch, width_kbps: int, kept: float = 1.0) -> tuple[int, ...]:
        """kept: the part of every guarantee that the level has room for. Returns the numbers of all VIFs below."""
        children = _children(branch)
        least_kbps = token_kbps(width_kbps, len(children))
        vifs: tuple[int, ...] = ()
        for child, quantum_bytes in zip(children, quanta(child.weight for child in children), strict=True):
            place = handle | (self._inner_minor(child) if isinstance(child, Branch) else _vif_minor(child))
            rate_kbps = max(least_kbps, int(child.guarantee_kbps * kept))
            self.classes[place] = _class_of(child, handle | TRUNK_MINOR, rate_kbps, quantum_bytes)
            if isinstance(child, Branch):
                below = self._nest(
                    place, child, min(width_kbps, PASS_KBPS if child.limit_kbps is None else child.limit_kbps)
                )
            else:
                self._queue(place, child.member.number)
                below = (child.member.number,)
            self.filters |= {FilterPlan(handle, self._sender(vif).mac, place) for vif in below}
            vifs += below
        return vifs

    def _nest(self, place: int, branch: Branch, width_kbps: int) -> tuple[int, ...]:
        handle = (place & 0xFFFF) - INNER_MINORS << 16
        self.open_level(place, handle, PASS_KBPS)
        self.add_default(handle, LEAST_KBPS, LEAST_QUEUE_BYTES)
        return self.add_children(handle, branch, width_kbps)

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

    def _queue(self, place: int, vif: int) -> None:
        classes = self._sender(vif).classes
        if not classes:
            self.qdiscs[place] = BfifoPlan(self.leaf_bytes)
            return
        rate_kbps = self.classes[place].rate_kbps
        below = divide(place, self.class_majors[vif] << 16, classes, rate_kbps, self.leaf_bytes)
        self.qdiscs |= below.qdiscs
        self.classes |= below.classes
        self.filters |= below.filters

    def _sender(self, vif: int) -> Sender:
        if vif not in self.senders:
            raise QueuePlanError(
                f"VIF {vif}: its MAC is not known, so its frames can not be told. Plan it when it has one."
            )
        return self.senders[vif]


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


def _class_of(child: Branch | Leaf, trunk: int, rate_kbps: int, quantum_bytes: int) -> ClassPlan:
    ceil_kbps = PASS_KBPS if child.limit_kbps is None else max(LEAST_KBPS, child.limit_kbps)
    rate_kbps = min(rate_kbps, ceil_kbps)
    return ClassPlan(
        trunk, rate_kbps, ceil_kbps, burst_us(rate_kbps), max(burst_us(ceil_kbps), _own_burst_us(child)), quantum_bytes
    )


def _own_burst_us(child: Branch | Leaf) -> int:
    """What the policy lets a VIF send at once, as time at its limit; 0 where it does not say."""
    if isinstance(child, Branch) or not child.limit_kbps:
        return 0
    if child.burst_s is not None:
        return min(MOST_BURST_US, round(child.burst_s * 1_000_000))
    return min(MOST_BURST_US, time_us(child.burst_bytes or 0, child.limit_kbps))
