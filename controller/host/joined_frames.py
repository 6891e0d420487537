"""What a queueing tree needs where packets come as many frames joined, up to 64 KB, as on the kernel's datapath. Pure.

HTB serves one packet a turn however small the quantum is: what borrowers get would follow the size of their packets and
not their weights. So each queue cuts them into frames as they come in, as TBF does with what is larger than its bucket.
Nor may a queue be counted in packets there: a hundred joined ones would wait for seconds. A queue that tells senders
before it is full cuts nothing: it holds two joined packets at least, as it would else lose every one that comes.
"""

from __future__ import annotations

from dataclasses import replace

from controller.host.leaf_queues import Room
from controller.host.queue_sizes import FRAME_BYTES, time_us
from controller.host.queue_tree import BfifoPlan, HeadDropPlan, QdiscPlan, QueuePlan, TbfPlan
from policies.joined_packets import CUTTER_KBPS, LEAST_JOINED_LEAF_BYTES
from policies.model import LeafQueue

_TICK_BYTES = 80  # at that rate, by which the kernel may round a bucket down; a frame that is larger would be lost


def holding_joined_frames(room: Room) -> Room:
    """The same room, large enough for two of the packets that its queue does not cut."""
    if room.congestion.queue is LeafQueue.FIFO:
        return room
    return replace(room, size_bytes=max(LEAST_JOINED_LEAF_BYTES, room.size_bytes))


def for_joined_frames(plan: QueuePlan, frame_bytes: int = FRAME_BYTES) -> QueuePlan:
    """The same tree, whose queues hold frames, in bytes; frame_bytes: the largest.

    Queues that tell senders before they are full stay as they are: their packets stay joined.
    """
    depth_us = time_us(frame_bytes + _TICK_BYTES, CUTTER_KBPS)
    return QueuePlan(
        {parent: _cutting(qdisc, depth_us) for parent, qdisc in plan.qdiscs.items()}, plan.classes, plan.filters
    )


def _cutting(qdisc: QdiscPlan, depth_us: int) -> QdiscPlan:
    """Dropping the oldest frame is for the userspace datapath alone, whose sender must never see a full queue."""
    if isinstance(qdisc, HeadDropPlan):
        return TbfPlan(CUTTER_KBPS, depth_us, max(LEAST_JOINED_LEAF_BYTES, qdisc.limit_packets * FRAME_BYTES))
    return TbfPlan(CUTTER_KBPS, depth_us, qdisc.limit_bytes) if isinstance(qdisc, BfifoPlan) else qdisc
