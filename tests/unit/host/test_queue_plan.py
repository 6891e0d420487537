from __future__ import annotations

from dataclasses import replace

import pytest

from controller.host.class_queues import ClassShare, rooms_of
from controller.host.congestion import FqCodelPlan, RedPlan
from controller.host.leaf_queues import Room
from controller.host.queue_ids import (
    DEFAULT_MINOR,
    INNER_MINORS,
    MOST_VIF,
    ROOT_MAJOR,
    TRUNK_MINOR,
    QueuePlanError,
)
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.queue_sizes import FRAME_BYTES, PASS_KBPS, quanta, token_kbps
from controller.host.queue_tree import ROOT, BfifoPlan, FilterPlan, HtbPlan, QdiscPlan, QueuePlan, Steers, TbfPlan
from policies.hierarchy import Branch, Leaf, Member
from policies.model import Congestion, LeafQueue

OUTER = ROOT_MAJOR << 16
CAPACITY_KBPS = 100_000


def leaf(number: int, guarantee_kbps: int = 0, limit_kbps: int | None = None, weight: float = 1.0) -> Leaf:
    return Leaf(Member(number, f"vif{number}", "p"), guarantee_kbps, limit_kbps, weight, None, None)


def branch(path: str, *below: Leaf | Branch, guarantee_kbps: int = 0, limit_kbps: int | None = None) -> Branch:
    branches = tuple(child for child in below if isinstance(child, Branch))
    leaves = tuple(child for child in below if isinstance(child, Leaf))
    return Branch(path, guarantee_kbps, limit_kbps, 1.0, branches, leaves)


def planned(root: Branch, capacity_kbps: int = CAPACITY_KBPS) -> QueuePlan:
    senders = {number: Sender(0x0200_0000_0000 + number) for number in range(1, 20)}
    return uplink_plan(root, capacity_kbps, senders, {"acme": 7, "acme/web": 8}, 30_000)


def test_one_level_has_a_trunk_of_the_capacity_and_a_class_for_each_vif() -> None:
    plan = planned(branch("", leaf(1, 30_000), leaf(2, limit_kbps=20_000)))
    assert plan.qdiscs[ROOT] == HtbPlan(OUTER, DEFAULT_MINOR, Steers.SOURCE)
    trunk = plan.classes[OUTER | TRUNK_MINOR]
    assert (trunk.parent, trunk.rate_kbps, trunk.ceil_kbps) == (OUTER, CAPACITY_KBPS, CAPACITY_KBPS)
    first, second = plan.classes[OUTER | 1], plan.classes[OUTER | 2]
    assert (first.rate_kbps, first.ceil_kbps) == (30_000, PASS_KBPS)
    assert (second.rate_kbps, second.ceil_kbps) == (token_kbps(CAPACITY_KBPS, 2), 20_000)
    assert plan.qdiscs[OUTER | 1] == plan.qdiscs[OUTER | 2] == BfifoPlan(30_000)
    assert plan.filters == {FilterPlan(OUTER, 0x0200_0000_0000 + number, OUTER | number) for number in (1, 2)}


def test_frames_that_no_filter_names_have_a_class_that_borrows_last() -> None:
    plan = planned(branch("", leaf(1)))
    unnamed = plan.classes[OUTER | DEFAULT_MINOR]
    assert (unnamed.rate_kbps, unnamed.priority) == (CAPACITY_KBPS // 100, 7)
    assert plan.classes[OUTER | 1].priority < unnamed.priority


def test_an_inner_node_is_a_qdisc_under_its_class_with_filters_at_every_level() -> None:
    tenant = branch("acme", branch("acme/web", leaf(3)), leaf(4), guarantee_kbps=5000, limit_kbps=9000)
    plan = planned(branch("", tenant))
    outer, inner = OUTER | INNER_MINORS + 7, 7 << 16
    assert plan.qdiscs[outer] == HtbPlan(inner, DEFAULT_MINOR, Steers.SOURCE)
    assert (plan.classes[outer].rate_kbps, plan.classes[outer].ceil_kbps) == (5000, 9000)
    assert plan.classes[inner | TRUNK_MINOR].rate_kbps == PASS_KBPS  # the class outside is the bound
    assert {
        (item.qdisc, item.target)
        for item in plan.filters
        if isinstance(item, FilterPlan) and item.mac == 0x0200_0000_0003
    } == {
        (OUTER, outer),
        (inner, inner | INNER_MINORS + 8),
        (8 << 16, 8 << 16 | 3),
    }


def test_more_guarantees_than_capacity_are_cut_so_that_the_capacity_holds() -> None:
    plan = planned(branch("", leaf(1, 80_000), leaf(2, 80_000)))
    rates = [body.rate_kbps for place, body in plan.classes.items() if place != OUTER | TRUNK_MINOR]
    assert sum(rates) <= CAPACITY_KBPS
    assert plan.classes[OUTER | 1].rate_kbps == plan.classes[OUTER | 2].rate_kbps > 49_000


def test_buckets_hold_some_frames_however_slow_the_class() -> None:
    plan = planned(branch("", leaf(1, limit_kbps=1000)))
    body = plan.classes[OUTER | 1]
    assert body.cburst_us * body.ceil_kbps // 8000 >= 6000
    assert all(body.burst_us < 274_000_000 > body.cburst_us for body in plan.classes.values())


def test_a_burst_that_the_policy_names_is_let_through() -> None:
    bursty = replace(leaf(1, limit_kbps=8000), burst_s=0.02)
    sized = replace(leaf(2, limit_kbps=8000), burst_bytes=50_000)
    plan = planned(branch("", bursty, sized))
    assert (plan.classes[OUTER | 1].cburst_us, plan.classes[OUTER | 2].cburst_us) == (20_000, 50_000)


def test_behind_a_shaper_a_class_is_a_backstop_that_lets_a_late_lump_pass() -> None:
    own = replace(leaf(1, 500, limit_kbps=20_000), burst_s=0.02)
    senders = {1: Sender(1, is_shaped=True), 2: Sender(2, is_shaped=True)}
    plan = uplink_plan(branch("", own, leaf(2)), CAPACITY_KBPS, senders, {}, 30_000)
    shaped, unlimited = plan.classes[OUTER | 1], plan.classes[OUTER | 2]
    assert (shaped.rate_kbps, shaped.ceil_kbps, shaped.cburst_us) == (500, 20_400, 70_000)
    assert unlimited.ceil_kbps == PASS_KBPS


def test_quanta_are_in_the_ratio_of_the_weights_and_at_least_a_frame() -> None:
    assert quanta([1, 3, 0.5]) == [2 * FRAME_BYTES, 6 * FRAME_BYTES, FRAME_BYTES]
    assert quanta([]) == []
    assert quanta([1, 100_000]) == [FRAME_BYTES, 200_000]


@pytest.mark.parametrize("number", [0, MOST_VIF + 1])
def test_a_vif_number_that_a_class_id_cannot_hold_is_named(number: int) -> None:
    with pytest.raises(QueuePlanError, match=rf"VIF vif{number}: .* not {number}\. Create"):
        uplink_plan(branch("", leaf(number)), CAPACITY_KBPS, {number: Sender(1)}, {}, 30_000)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(QueuePlanError, match="VIF 1: its MAC is not known"):
        uplink_plan(branch("", leaf(1)), CAPACITY_KBPS, {}, {}, 30_000)
    with pytest.raises(QueuePlanError, match="policy node other: it has no number"):
        planned(branch("", branch("other", leaf(1))))


def test_an_ingress_tree_is_one_class_at_the_limit() -> None:
    plan = ingress_plan(50_000, 30_000)
    assert plan is not None
    ((place, body),) = plan.classes.items()
    assert (body.rate_kbps, body.ceil_kbps) == (50_000, 50_000)
    assert plan.qdiscs == {ROOT: HtbPlan(OUTER, place & 0xFFFF), place: BfifoPlan(30_000)}
    assert ingress_plan(None, 30_000) is None


def test_what_reaches_a_vif_may_come_in_bursts() -> None:
    def depths(burst_bytes: int | None) -> tuple[int, int]:
        plan = ingress_plan(8000, 30_000, burst_bytes)
        assert plan is not None
        (body,) = plan.classes.values()
        return body.burst_us, body.cburst_us

    assert depths(50_000) == (50_000, 50_000)  # no class above lends: both buckets are as deep
    assert depths(None) == depths(100) == (6000, 6000)
    assert depths(1 << 40) == (200_000_000, 200_000_000)


def shaper(limit_kbps: int, queue_bytes: int = 1_000_000, burst_bytes: int | None = None) -> TbfPlan:
    plan = shaper_plan(limit_kbps, queue_bytes, burst_bytes)
    assert plan is not None
    body = plan.qdiscs[ROOT]
    assert isinstance(body, TbfPlan)
    return body


def test_a_shaper_is_a_bucket_at_the_limit() -> None:
    assert shaper(100_000) == TbfPlan(100_000, burst_us=2000, limit_bytes=250_000)
    assert shaper(10_000).limit_bytes == 125_000  # 100 ms
    assert shaper(1000).limit_bytes == 10 * FRAME_BYTES
    assert shaper(1000).burst_us * 1000 // 8000 >= 2 * FRAME_BYTES
    assert shaper(100_000, queue_bytes=40_000).limit_bytes == 40_000
    assert shaper(10_000, burst_bytes=100_000).burst_us == 80_000
    assert shaper_plan(None, 60_000) is None


def test_no_rate_is_zero() -> None:
    ingress = ingress_plan(0, 30_000)
    assert ingress is not None and all(body.rate_kbps for body in ingress.classes.values())
    assert shaper(0).rate_kbps
    assert all(body.rate_kbps for body in planned(branch("", leaf(1, limit_kbps=0)), 0).classes.values())


def early(queue: LeafQueue, root: Branch, classes: tuple[ClassShare, ...] = ()) -> dict[int, QdiscPlan]:
    """The queues of VIFs whose rooms are all of this sort, by place."""
    room = Room(97_152, congestion=Congestion(queue))
    rooms = rooms_of(room, classes)
    senders = {number: Sender(number, classes, rooms=rooms) for number in range(1, 20)}
    return dict(uplink_plan(root, CAPACITY_KBPS, senders, {"acme": 7, "acme/web": 8}, 30_000).qdiscs)


def target_us(queue: QdiscPlan) -> int:
    assert isinstance(queue, FqCodelPlan)
    return queue.target_us


def test_a_queue_that_tells_early_is_for_the_rate_at_which_it_leaves_when_all_send() -> None:
    """And not for the sure rate: a VIF without a guarantee is sure of next to nothing."""
    codel = early(LeafQueue.FQ_CODEL, branch("", leaf(1), leaf(2, 60_000), leaf(3, limit_kbps=1000)))
    assert target_us(codel[OUTER | 1]) <= 5120 and target_us(codel[OUTER | 2]) <= 5120
    assert target_us(codel[OUTER | 3]) == pytest.approx(1.5 * 12_144, abs=128)
    red = early(LeafQueue.RED, branch("", leaf(1), leaf(2, 60_000)))[OUTER | 1]
    assert isinstance(red, RedPlan)
    assert red == Room(97_152, congestion=Congestion(LeafQueue.RED)).queue(16_384)  # half the rest, a power of two


def test_what_leaves_below_a_node_is_its_part_of_what_leaves_there() -> None:
    inner = branch("acme", leaf(1), leaf(2), limit_kbps=4000)
    codel = early(LeafQueue.FQ_CODEL, branch("", inner, leaf(3)))
    assert target_us(codel[7 << 16 | 1]) == pytest.approx(1.5 * 12_144 / 1.024, abs=200)  # 1024 kbit/s of 2000
    assert target_us(codel[OUTER | 3]) <= 5120
    wide = early(LeafQueue.FQ_CODEL, branch("", branch("acme", leaf(1), leaf(2)), *map(leaf, range(3, 20))))
    assert target_us(wide[7 << 16 | 1]) == pytest.approx(1.5 * 12_144 / 2.048, abs=128)  # half of 4096


def test_classes_leave_at_their_part_however_little_they_are_sure_of() -> None:
    classes = ClassShare(1.0), ClassShare(0.0, (8,))
    codel = early(LeafQueue.FQ_CODEL, branch("", leaf(1)), classes)
    targets = sorted(target_us(body) for body in codel.values() if isinstance(body, FqCodelPlan))
    assert len(targets) == 2 and targets[1] < 50_000


def test_a_vif_that_comes_changes_the_queues_of_few_others() -> None:
    def of_first(siblings: int) -> QdiscPlan:
        return early(LeafQueue.RED, branch("", *(leaf(number) for number in range(1, siblings + 1))))[OUTER | 1]

    assert len({str(of_first(siblings)) for siblings in range(4, 20)}) <= 4
