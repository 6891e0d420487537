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

LEAST_SHARE = 0.01  # as a weight; with less the quanta of the others would flatten out, see MOST_QUANTUM_BYTES


@dataclass(frozen=True, slots=True)
class ClassShare:
    """A traffic class of one VIF. share: 0..1, what it is guaranteed of the VIF's rate, and its weight in the rest.

    code_points: DSCPs (0..63) of its packets, its own first; empty: it takes all that no other class names.
    """

    share: float
    code_points: tuple[int, ...] = ()

    @property
    def minor(self) -> int:
        """Of its own code point alone, so that a change of one class leaves the others where they are."""
        return CLASS_MINORS + self.code_points[0] if self.code_points else DEFAULT_MINOR


def leaves_of(classes: Sequence[ClassShare]) -> int:
    """How many queues a VIF of these classes has; one when its traffic is not divided."""
    return max(1, len(classes))


def divide(place: int, handle: int, classes: Sequence[ClassShare], rate_kbps: int, leaf_bytes: int) -> QueuePlan:
    """What stands below the class at `place`, in a qdisc with this handle. No class has a limit: `place` is the bound.

    rate_kbps: what is guaranteed to all of them together. leaf_bytes: what each may queue on average, in frames of the
    largest size; the room of all, at most MOST_LEAF_BYTES unless three frames each are more, is divided by share too:
    then all wait equally long.
    """
    trunk, deep_us = handle | TRUNK_MINOR, burst_us(PASS_KBPS)
    qdiscs: dict[int, QdiscPlan] = {place: HtbPlan(handle, DEFAULT_MINOR, Steers.MARK)}
    bodies = {trunk: ClassPlan(handle, PASS_KBPS, PASS_KBPS, deep_us, deep_us, FRAME_BYTES)}
    filters = set[MarkPlan]()
    weights = [max(LEAST_SHARE, own.share) for own in classes]
    spare_bytes = max(0, min(MOST_LEAF_BYTES, len(classes) * leaf_bytes) - len(classes) * LEAST_QUEUE_BYTES)
    for own, weight, quantum_bytes in zip(classes, weights, quanta(weights), strict=True):
        inner, own_kbps = handle | own.minor, max(LEAST_KBPS, int(own.share * rate_kbps))
        bodies[inner] = ClassPlan(trunk, own_kbps, PASS_KBPS, burst_us(own_kbps), deep_us, quantum_bytes)
        own_bytes = LEAST_QUEUE_BYTES + int(spare_bytes * weight / sum(weights))
        qdiscs[inner] = HeadDropPlan(own_bytes // FRAME_BYTES)  # a small frame fills OVS's buffer, too
        filters |= {MarkPlan(handle, code_point, inner) for code_point in own.code_points}
    return QueuePlan(qdiscs, bodies, frozenset(filters))
