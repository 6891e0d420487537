"""What may wait for a VIF: in bytes or in frames, whole or divided, and what it takes of the switch's memory."""

from __future__ import annotations

import pytest

from controller.host import qdisc_codec
from controller.host.class_queues import ClassShare, divide, queues_of, rooms_of
from controller.host.congestion import FqCodelPlan, RedPlan
from controller.host.leaf_queues import Room, needed_bytes
from controller.host.queue_plan import ingress_plan, shaper_plan
from controller.host.queue_tree import ROOT, BfifoPlan, Change, HeadDropPlan, Verb, changes
from policies.model import Congestion, LeafQueue

CLASSES = (ClassShare(0.5, (46,)), ClassShare(0.4), ClassShare(0.1, (8,)))


@pytest.mark.parametrize(("size_bytes", "frames"), [(16_384, 10), (1514, 1), (100, 1), (3028, 2)])
def test_a_room_is_bounded_in_bytes_or_in_frames_and_never_holds_nothing(size_bytes: int, frames: int) -> None:
    assert Room(size_bytes, in_frames=True).queue(1000) == HeadDropPlan(frames)
    assert Room(size_bytes).queue(1000) == BfifoPlan(max(1518, size_bytes))


def test_classes_divide_the_room_by_share() -> None:
    rooms = rooms_of(Room(60_000, in_frames=True), CLASSES)
    assert [room.size_bytes for room in rooms] == [30_000, 24_000, 6000]
    plan = divide(0x1_0002, 0x2_0000, CLASSES, 10_000, 1, queues_of(rooms, CLASSES, 10_000))
    assert [body for body in plan.qdiscs.values() if isinstance(body, HeadDropPlan)] == list(
        map(HeadDropPlan, (19, 15, 3))
    )
    rooms = rooms_of(Room(60_000), CLASSES)
    in_bytes = divide(0x1_0002, 0x2_0000, CLASSES, 10_000, 1, queues_of(rooms, CLASSES, 10_000))
    assert [body for body in in_bytes.qdiscs.values() if isinstance(body, BfifoPlan)] == list(
        map(BfifoPlan, (30_000, 24_000, 6000))
    )
    assert rooms_of(Room(5000), ()) == (Room(5000),)


def test_a_changed_buffer_changes_one_queue_in_place() -> None:
    before, after = (ingress_plan(10_000, 1, None, (), [Room(size, in_frames=True)]) for size in (16_384, 65_536))
    assert before is not None and after is not None
    (step,) = changes(after, before)
    assert (step.verb, step.item) == (Verb.SET, HeadDropPlan(43))
    before, after = (shaper_plan(10_000, 1, room=Room(size)) for size in (16_384, 65_536))
    assert before is not None and after is not None
    (step,) = changes(after, before)
    assert (step.verb, step.place) == (Verb.SET, ROOT)


def test_full_queues_are_counted_as_the_kernel_counts_them() -> None:
    assert needed_bytes([Room(15_140)]) == 10 * (2048 + 256)
    assert needed_bytes([Room(15_140), Room(1)]) == 11 * (2048 + 256)
    assert needed_bytes([Room(9018, frame_bytes=9018)]) == 16_384 + 256
    assert needed_bytes([]) == 0


def test_what_is_bounded_in_bytes_alone_is_counted_as_full_of_the_smallest_frames() -> None:
    red, codel = (Congestion(queue) for queue in (LeafQueue.RED, LeafQueue.FQ_CODEL))
    assert needed_bytes([Room(15_140, congestion=red)]) == 252 * (1024 + 256)
    assert needed_bytes([Room(15_140, congestion=codel)]) == 10 * (2048 + 256)


@pytest.mark.parametrize("size_bytes", [1, 16_384, 65_536, 10_000_000, 1 << 30])
@pytest.mark.parametrize("rate_kbps", [1, 1000, 10_000, 100_000_000])
@pytest.mark.parametrize("queue", [LeafQueue.RED, LeafQueue.FQ_CODEL])
def test_every_queue_that_tells_early_is_one_that_the_kernel_takes_and_reads_back(
    size_bytes: int, rate_kbps: int, queue: LeafQueue
) -> None:
    plan = Room(size_bytes, congestion=Congestion(queue, ecn=True)).queue(rate_kbps)
    (request,) = qdisc_codec.requests_of(1, Change(Verb.SET, ROOT, plan), {})
    assert qdisc_codec.qdisc_row(request.body).plan == plan
    if isinstance(plan, RedPlan):
        assert 0 < plan.least_bytes < plan.most_bytes <= plan.limit_bytes
        assert plan.most_bytes.bit_length() + plan.weight_log < 32  # what red_check_params refuses
        assert max(plan.probability_log, plan.cell_log) < 32
    else:
        assert isinstance(plan, FqCodelPlan)
        # kept as units of 1024 ns
        assert all(us * 1000 // 1024 * 1024 // 1000 == us for us in (plan.target_us, plan.interval_us))
        assert plan.target_us >= 1.5 * 1518 * 8000 / rate_kbps and plan.interval_us >= 20 * plan.target_us


def test_a_shaper_with_such_a_queue_is_a_class_at_the_limit() -> None:
    room = Room(16_384, congestion=Congestion(LeafQueue.FQ_CODEL))
    plan = shaper_plan(10_000, 1, room=room)
    assert plan is not None and [body.ceil_kbps for body in plan.classes.values()] == [10_000]
    (leaf,) = (body for place, body in plan.qdiscs.items() if place != ROOT)
    assert leaf == room.queue(10_000)
