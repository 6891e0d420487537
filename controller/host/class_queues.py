"""What belongs to one VIF, divided among its traffic classes: a level of its own below the VIF's class. Pure.

An HTB qdisc nested under the VIF's class, as inner nodes have: HTB divides by weight among the leaves of one qdisc, so
with classes beside other VIFs' a VIF would weigh as much as its classes together. The VIF's class outside keeps its
numbers, and its counters are those of all its traffic. What decides is the code point that the pipeline has written.

A full queue of a class drops its oldest frame and says nothing: OVS sends what came from one port in batches, and drops
the rest of a batch when the kernel refuses a frame, so that a class in excess would take the others with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.host.leaf_queues import Room
from controller.host.queue_ids import CLASS_MINORS, DEFAULT_MINOR, TRUNK_MINOR
from controller.host.queue_sizes import (
    FRAME_BYTES,
    LEAST_KBPS,
    LEAST_QUEUE_BYTES,
    MOST_LEAF_BYTES,
    PASS_KBPS,
    burst_us,
    quanta,
)
from controller.host.queue_tree import ClassPlan, HeadDropPlan, HtbPlan, MarkPlan, QdiscPlan, QueuePlan, Steers
from policies.buffers import LEAST_SHARE


@dataclass(frozen=True, slots=True)
class ClassShare:
    """A traffic class of one VIF. share: 0..1, what it is guaranteed of the VIF's rate, and its weight in the rest.

    code_points: DSCPs (0..63) of its packets, its own first; empty: it takes all that no other class names.
    most_kbps: what it may take while an objective of another is violated, but for what it is guaranteed; None: all.
    """

    share: float
    code_points: tuple[int, ...] = ()
    most_kbps: int | None = None

    @property
    def minor(self) -> int:
        """Of its own code point alone, so that a change of one class leaves the others where they are."""
        return CLASS_MINORS + self.code_points[0] if self.code_points else DEFAULT_MINOR


def rooms_of(room: Room, classes: Sequence[ClassShare]) -> tuple[Room, ...]:
    """What each of them, in their order, may have waiting of what their VIF may; `room` itself when not divided."""
    weights = [max(LEAST_SHARE, own.share) for own in classes]
    return tuple(room.part(weight / sum(weights)) for weight in weights) or (room,)


def queues_of(rooms: Sequence[Room], classes: Sequence[ClassShare], full_kbps: int) -> tuple[QdiscPlan, ...]:
    """Of each class, in their order; rooms: likewise. full_kbps: at which their VIF sends while everybody does."""
    weights = [max(LEAST_SHARE, own.share) for own in classes]
    rates = (max(LEAST_KBPS, int(full_kbps * weight / sum(weights))) for weight in weights)
    return tuple(room.queue(rate_kbps) for room, rate_kbps in zip(rooms, rates, strict=True))


def divide(
    place: int,
    handle: int,
    classes: Sequence[ClassShare],
    rate_kbps: int,
    leaf_bytes: int,
    queues: Sequence[QdiscPlan] = (),
) -> QueuePlan:
    """What stands below the class at `place`, in a qdisc with this handle. `place` is the bound of all of them.

    rate_kbps: what is guaranteed to all of them together. leaf_bytes: what each may queue on average, in frames of the
    largest size; the room of all, at most MOST_LEAF_BYTES unless three frames each are more, is divided by share too:
    then all wait equally long. queues: of each class, in their order, in place of that.
    """
    trunk, deep_us = handle | TRUNK_MINOR, burst_us(PASS_KBPS)
    qdiscs: dict[int, QdiscPlan] = {place: HtbPlan(handle, DEFAULT_MINOR, Steers.MARK)}
    bodies = {trunk: ClassPlan(handle, PASS_KBPS, PASS_KBPS, deep_us, deep_us, FRAME_BYTES)}
    filters = set[MarkPlan]()
    weights = [max(LEAST_SHARE, own.share) for own in classes]
    spare_bytes = max(0, min(MOST_LEAF_BYTES, len(classes) * leaf_bytes) - len(classes) * LEAST_QUEUE_BYTES)
    given: Sequence[QdiscPlan | None] = queues or [None] * len(classes)
    for own, weight, quantum_bytes, queue in zip(classes, weights, quanta(weights), given, strict=True):
        inner, own_kbps = handle | own.minor, max(LEAST_KBPS, int(own.share * rate_kbps))
        most_kbps = PASS_KBPS if own.most_kbps is None else max(own_kbps, own.most_kbps)
        bodies[inner] = ClassPlan(trunk, own_kbps, most_kbps, burst_us(own_kbps), burst_us(most_kbps), quantum_bytes)
        # in frames: a small one fills OVS's buffer, too
        own_bytes = LEAST_QUEUE_BYTES + int(spare_bytes * weight / sum(weights))
        qdiscs[inner] = queue or HeadDropPlan(own_bytes // FRAME_BYTES)
        filters |= {MarkPlan(handle, code_point, inner) for code_point in own.code_points}
    return QueuePlan(qdiscs, bodies, frozenset(filters))
