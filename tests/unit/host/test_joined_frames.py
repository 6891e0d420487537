"""Trees where packets come as many frames joined."""

from __future__ import annotations

import pytest

from controller.host.class_queues import ClassShare
from controller.host.congestion import FqCodelPlan, RedPlan
from controller.host.joined_frames import for_joined_frames, holding_joined_frames
from controller.host.leaf_queues import Room
from controller.host.queue_plan import Sender, ingress_plan, uplink_plan
from controller.host.queue_sizes import FRAME_BYTES
from controller.host.queue_tree import BfifoPlan, HeadDropPlan, HtbPlan, QueuePlan, TbfPlan
from policies.hierarchy import Branch, Leaf, Member
from policies.joined_packets import CUTTER_KBPS, LEAST_JOINED_LEAF_BYTES
from policies.model import Congestion, LeafQueue

CLASSES = (ClassShare(0.3, (46,)), ClassShare(0.7))
TICK_NS = 64  # in which the kernel counts


def plain(*weights: float) -> QueuePlan:
    leaves = tuple(Leaf(Member(n, f"v{n}", "p"), 0, None, weight, None, None) for n, weight in enumerate(weights, 1))
    senders = {n: Sender(n, CLASSES) for n in range(1, len(weights) + 1)}
    return uplink_plan(Branch("", 0, None, 1.0, (), leaves), 100_000, senders, {}, 60_000)


@pytest.mark.parametrize("frame_bytes", [FRAME_BYTES, 2_490, 9_018])
def test_a_frame_passes_whole_and_two_joined_ones_do_not(frame_bytes: int) -> None:
    after = for_joined_frames(plain(1.0), frame_bytes)
    depths_us = {qdisc.burst_us for qdisc in after.qdiscs.values() if isinstance(qdisc, TbfPlan)}
    (depth_bytes,) = (depth_us * 1000 // TICK_NS * TICK_NS * CUTTER_KBPS / 8e6 for depth_us in depths_us)
    assert frame_bytes <= depth_bytes < 2 * (frame_bytes - 100)  # headers and a tag are there once


def test_every_queue_cuts_and_nothing_else_changes() -> None:
    before, after = plain(1.0, 3.0), for_joined_frames(plain(1.0, 3.0))
    assert (after.filters, after.classes) == (before.filters, before.classes)
    assert list(after.qdiscs) == list(before.qdiscs)
    for parent, qdisc in before.qdiscs.items():
        assert (
            after.qdiscs[parent] == qdisc if isinstance(qdisc, HtbPlan) else isinstance(after.qdiscs[parent], TbfPlan)
        )


def test_queues_are_bounded_in_bytes_and_hold_two_packets() -> None:
    for before in (plain(1.0), ingress_plan(10_000, 60_000, classes=CLASSES)):
        assert before is not None
        assert any(isinstance(qdisc, HeadDropPlan) for qdisc in before.qdiscs.values())
        after = for_joined_frames(before)
        for parent, qdisc in before.qdiscs.items():
            if isinstance(qdisc, HeadDropPlan):
                assert limit_bytes(after, parent) == LEAST_JOINED_LEAF_BYTES
    deep = for_joined_frames(QueuePlan({1: HeadDropPlan(1000), 2: BfifoPlan(5)}))
    assert [limit_bytes(deep, parent) for parent in (1, 2)] == [1000 * FRAME_BYTES, 5]


@pytest.mark.parametrize("queue", [LeafQueue.RED, LeafQueue.FQ_CODEL])
def test_a_queue_that_cuts_nothing_holds_two_joined_packets(queue: LeafQueue) -> None:
    small, large = (Room(size, congestion=Congestion(queue)) for size in (32_768, 1_000_000))
    body = holding_joined_frames(small).queue(10_000)
    assert isinstance(body, RedPlan | FqCodelPlan)
    assert (body.limit_bytes if isinstance(body, RedPlan) else body.memory_bytes) >= 2 * 65_536
    assert holding_joined_frames(large) == large
    assert holding_joined_frames(Room(32_768)) == Room(32_768)


def limit_bytes(plan: QueuePlan, parent: int) -> int:
    qdisc = plan.qdiscs[parent]
    assert isinstance(qdisc, TbfPlan)
    return qdisc.limit_bytes


def test_queues_that_tell_early_stay_as_they_are() -> None:
    room = Room(64_000, congestion=Congestion(LeafQueue.RED)).queue(8_000)
    assert for_joined_frames(QueuePlan({1: room})).qdiscs == {1: room}
