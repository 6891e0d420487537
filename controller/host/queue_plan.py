"""The trees that make a policy's numbers true at packet time: of an uplink, of a VIF's port, of a VIF's own end. Pure.

Uplink: one HTB qdisc for every inner node of the policy tree, nested under the node's class, because HTB divides by
weight (quantum) within one level only. Each such qdisc has one class above all others: in the outermost it holds the
link's capacity; in a nested one it is as wide as PASS_KBPS, since the class outside already bounds it, and a second
bucket of the same rate would only add its own rounding and lateness. What has no limit of its own is as wide.

A class id is `major:minor`. Major: ROOT_MAJOR outermost, else the node's number. Minor: the VIF's number, or
INNER_MINORS + the node's number. So a VIF that comes or goes touches its own classes and filters and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.host.queue_tree import (
    ROOT,
    BfifoPlan,
    ClassPlan,
    FilterPlan,
    HtbPlan,
    QdiscPlan,
    QueuePlan,
    TbfPlan,
)
from policies.hierarchy import Branch, Leaf

FRAME_BYTES = 1518  # largest frame on the wire, with a VLAN tag, without FCS
ROOT_MAJOR = 0x7FFF  # the kernel numbers from 0x8000 what has no handle
INNER_MINORS = 0xC000
TRUNK_MINOR = 0xFFFF  # the class above all others of its qdisc
DEFAULT_MINOR = 0xFFFE  # for frames that no filter names
MOST_VIF = INNER_MINORS - 1
MOST_NODE = DEFAULT_MINOR - INNER_MINORS - 1
DEFAULT_PRIORITY = 7  # borrows only what nobody else wants

LEAST_KBPS = 1  # no rate may be 0
MOST_TOKEN_KBPS = 128  # rate of a class without a guarantee, see `token_kbps`
TOKEN_SHARE = 2000  # one part in so many of the level's width, and
TOKENS_SHARE = 25  # one part in so many for all siblings together
PASS_KBPS = 1_000_000_000  # never in the way
DEFAULT_SHARE = 100  # frames that no filter names are guaranteed one part in so many of the capacity
BURST_US = 2000  # depth of a bucket: two milliseconds at its rate,
LEAST_BURST_BYTES = 6000  # but four frames at least, so that a timer some milliseconds late loses nothing
MOST_BURST_US = 200_000_000  # the kernel's field ends at 274 s
SHAPER_QUEUE_US = 50_000  # the most that a shaper delays, but for
LEAST_SHAPER_FRAMES = 10
MOST_SHAPER_BYTES, MOST_SHAPER_US = 250_000, 10_000  # room for what one TCP connection queues; the larger counts
LEAST_FRAMES = 3  # in any queue
MOST_LEAF_BYTES = 60_000
MOST_QUANTUM_BYTES = 200_000  # ratios of weights beyond 131 flatten out


class QueuePlanError(ValueError):
    """A tree can not be planned; says why and what to do."""


def uplink_plan(
    root: Branch, capacity_kbps: int, macs: Mapping[int, int], node_numbers: Mapping[str, int], leaf_bytes: int
) -> QueuePlan:
    """The tree of one uplink of one host: guarantees first, the rest by weight level by level, no limit passed.

    root: the policy tree, of the VIFs that send through this uplink. macs: 48 bits, by VIF number, of every such VIF.
    node_numbers: of every inner node but the root, by path. leaf_bytes: the most that one VIF may have queued.
    Raises QueuePlanError when a number is missing or too large for a class id.
    """
    tree = _Tree(macs, node_numbers, leaf_bytes)
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


def ingress_plan(limit_kbps: int | None, leaf_bytes: int, burst_bytes: int | None = None) -> QueuePlan | None:
    """What reaches one VIF, held to its limit on the VIF's port. None: no limit, no tree.

    burst_bytes: what may reach it at once after a pause; None: two milliseconds.
    """
    if limit_kbps is None:
        return None
    limit_kbps = max(LEAST_KBPS, limit_kbps)
    handle = ROOT_MAJOR << 16
    depth_us = min(MOST_BURST_US, max(burst_us(limit_kbps), _time_us(burst_bytes or 0, limit_kbps)))
    body = ClassPlan(handle, limit_kbps, limit_kbps, depth_us, depth_us, FRAME_BYTES)
    place = handle | DEFAULT_MINOR
    return QueuePlan({ROOT: HtbPlan(handle, DEFAULT_MINOR), place: BfifoPlan(leaf_bytes)}, {place: body})


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
        _size_bytes(SHAPER_QUEUE_US, limit_kbps), max(MOST_SHAPER_BYTES, _size_bytes(MOST_SHAPER_US, limit_kbps))
    )
    room_bytes = max(LEAST_SHAPER_FRAMES * FRAME_BYTES, wanted_bytes)
    depth_us = _time_us(burst_bytes, limit_kbps) if burst_bytes else BURST_US
    depth_us = min(MOST_BURST_US, max(depth_us, _time_us(2 * FRAME_BYTES, limit_kbps)))
    return QueuePlan(
        {ROOT: TbfPlan(limit_kbps, depth_us, min(max(queue_bytes, LEAST_FRAMES * FRAME_BYTES), room_bytes))}
    )


def leaf_budget(send_buffer_bytes: int, leaves: int) -> int:
    """The most that each of so many leaves may queue so that all of them fill at most half of a send buffer.

    OVS's userspace datapath sends through one socket, which is charged with about twice the bytes of what is queued; a
    full buffer would stop every port. Three frames at least, 60 kB at most.
    """
    return max(LEAST_FRAMES * FRAME_BYTES, min(MOST_LEAF_BYTES, send_buffer_bytes // (2 * max(1, leaves))))


@dataclass(slots=True)
class _Tree:
    """A plan in the making."""

    macs: Mapping[int, int]
    node_numbers: Mapping[str, int]
    leaf_bytes: int
    qdiscs: dict[int, QdiscPlan] = field(default_factory=dict)
    classes: dict[int, ClassPlan] = field(default_factory=dict)
    filters: set[FilterPlan] = field(default_factory=set)

    def open_level(self, parent: int, handle: int, width_kbps: int) -> None:
        self.qdiscs[parent] = HtbPlan(handle, DEFAULT_MINOR, steers=True)
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
                self.qdiscs[place] = BfifoPlan(self.leaf_bytes)
                below = (child.member.number,)
            self.filters |= {FilterPlan(handle, self._mac(vif), place) for vif in below}
            vifs += below
        return vifs

    def _nest(self, place: int, branch: Branch, width_kbps: int) -> tuple[int, ...]:
        handle = (place & 0xFFFF) - INNER_MINORS << 16
        self.open_level(place, handle, PASS_KBPS)
        self.add_default(handle, LEAST_KBPS, LEAST_FRAMES * FRAME_BYTES)
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

    def _mac(self, vif: int) -> int:
        if vif not in self.macs:
            raise QueuePlanError(
                f"VIF {vif}: its MAC is not known, so its frames can not be told. Plan it when it has one."
            )
        return self.macs[vif]


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
    return min(MOST_BURST_US, _time_us(child.burst_bytes or 0, child.limit_kbps))


def token_kbps(width_kbps: int, siblings: int) -> int:
    """Rate of a class without a guarantee: little enough that all siblings' together hardly count.

    But not the least possible: one frame at its own rate leaves a class in debt for as long as that frame takes, and
    the debt outlives a change of rate. At 1 kbit/s a guarantee given later would be of no effect for 12 s. A power of
    two, so that another sibling seldom changes it.
    """
    bound_kbps = min(MOST_TOKEN_KBPS, width_kbps // TOKEN_SHARE, width_kbps // TOKENS_SHARE // max(1, siblings))
    return 1 << max(LEAST_KBPS, bound_kbps).bit_length() - 1


def quanta(weights: Iterable[float]) -> list[int]:
    """Bytes that siblings send in turn: in the ratio of their weights, the smallest one frame (with less HTB errs)."""
    weights = list(weights)
    return [min(MOST_QUANTUM_BYTES, round(FRAME_BYTES * weight / min(weights))) for weight in weights]


def burst_us(rate_kbps: int) -> int:
    return min(MOST_BURST_US, max(BURST_US, _time_us(LEAST_BURST_BYTES, rate_kbps)))


def _time_us(size_bytes: int, rate_kbps: int) -> int:
    return -(-size_bytes * 8000 // rate_kbps)


def _size_bytes(time_us: int, rate_kbps: int) -> int:
    return time_us * rate_kbps // 8000
