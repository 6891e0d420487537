"""Traffic classes as trees: which queues there are, how large, how fast, and what a change touches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.host.class_queues import ClassShare, divide
from controller.host.queue_ids import (
    CLASS_MAJORS,
    DEFAULT_MINOR,
    MOST_NODE,
    MOST_VIF,
    ROOT_MAJOR,
    TRUNK_MINOR,
    QueuePlanError,
    class_majors,
    vif_of,
)
from controller.host.queue_plan import Sender, ingress_plan, uplink_plan
from controller.host.queue_sizes import FRAME_BYTES, LEAST_QUEUE_BYTES, PASS_KBPS, token_kbps
from controller.host.queue_tree import (
    ROOT,
    FilterPlan,
    HeadDropPlan,
    HtbPlan,
    MarkPlan,
    QueuePlan,
    Steers,
    Verb,
    changes,
)
from policies.hierarchy import Branch, Leaf, Member

OUTER, HANDLE = ROOT_MAJOR << 16, CLASS_MAJORS[1] << 16
VIF = OUTER | 1
REALTIME, NORMAL, BULK = ClassShare(0.3, (46,)), ClassShare(0.6), ClassShare(0.1, (8, 7))
CLASSES = (REALTIME, NORMAL, BULK)
LEAF_BYTES = 15_000


def uplink(*classes: ClassShare, guarantee_kbps: int = 10_000, limit_kbps: int | None = None) -> QueuePlan:
    leaves = tuple(
        Leaf(Member(number, f"vif{number}", "p"), guarantee, limit_kbps, 1.0, None, None)
        for number, guarantee in ((1, guarantee_kbps), (2, 0))
    )
    senders = {1: Sender(0x0200_0000_0001, classes), 2: Sender(0x0200_0000_0002)}
    return uplink_plan(Branch("", 0, None, 1.0, (), leaves), 100_000, senders, {}, LEAF_BYTES)


def test_classes_stand_in_a_qdisc_of_their_own_below_the_vifs_class() -> None:
    plan, plain = uplink(*CLASSES, limit_kbps=20_000), uplink(limit_kbps=20_000)
    assert plan.qdiscs[VIF] == HtbPlan(HANDLE, DEFAULT_MINOR, Steers.MARK)
    assert {place: body for place, body in plan.classes.items() if place & 0xFFFF0000 == OUTER} == plain.classes
    assert plain.filters <= plan.filters
    inner = {place & 0xFFFF: body for place, body in plan.classes.items() if place & 0xFFFF0000 == HANDLE}
    assert inner.keys() == {47, DEFAULT_MINOR, 9, TRUNK_MINOR}
    assert [inner[minor].rate_kbps for minor in (47, DEFAULT_MINOR, 9)] == [3000, 6000, 1000]
    assert {body.ceil_kbps for body in inner.values()} == {PASS_KBPS}  # the VIF's own class is the bound
    assert [inner[minor].quantum_bytes for minor in (47, DEFAULT_MINOR, 9)] == [3 * 1518, 6 * 1518, 1518]


def test_filters_name_every_code_point_but_those_of_the_class_of_the_rest() -> None:
    marks = {item for item in uplink(*CLASSES).filters if isinstance(item, MarkPlan)}
    assert marks == {
        MarkPlan(HANDLE, 46, HANDLE | 47),
        MarkPlan(HANDLE, 8, HANDLE | 9),
        MarkPlan(HANDLE, 7, HANDLE | 9),
    }


def test_a_vif_without_a_guarantee_divides_its_token() -> None:
    plan = uplink(*CLASSES, guarantee_kbps=0)
    token = token_kbps(100_000, 2)
    assert plan.classes[VIF].rate_kbps == token
    assert plan.classes[HANDLE | 47].rate_kbps == token * 3 // 10
    assert all(body.rate_kbps >= 1 for body in divide(VIF, HANDLE, CLASSES, 1, LEAF_BYTES).classes.values())


def room(plan: QueuePlan) -> list[int]:
    return [body.limit_packets for body in plan.qdiscs.values() if isinstance(body, HeadDropPlan)]


def test_the_room_of_a_vif_is_divided_by_share() -> None:
    real, normal, bulk = room(divide(VIF, HANDLE, CLASSES, 1000, LEAF_BYTES))
    assert normal > real > bulk > 3
    assert 3 * LEAF_BYTES - 3 * FRAME_BYTES < (real + normal + bulk) * FRAME_BYTES <= 3 * LEAF_BYTES
    assert sum(room(divide(VIF, HANDLE, CLASSES, 1000, 50_000))) * FRAME_BYTES <= 60_000
    assert room(divide(VIF, HANDLE, CLASSES, 1000, 1)) == [3] * 3
    many = tuple(ClassShare(0.01, (number,)) for number in range(60))
    assert room(divide(VIF, HANDLE, many, 1000, LEAST_QUEUE_BYTES)) == [3] * 60


def test_a_share_of_nothing_is_a_share_of_what_nobody_else_wants() -> None:
    plan = divide(VIF, HANDLE, (ClassShare(0.0, (8,)), ClassShare(1.0)), 1000, LEAF_BYTES)
    assert plan.classes[HANDLE | 9].rate_kbps == 1
    assert plan.classes[HANDLE | DEFAULT_MINOR].quantum_bytes == 100 * plan.classes[HANDLE | 9].quantum_bytes


def test_an_ingress_tree_is_divided_below_the_class_at_its_limit() -> None:
    plan, plain = ingress_plan(50_000, LEAF_BYTES, 9000, CLASSES), ingress_plan(50_000, LEAF_BYTES, 9000)
    assert plan is not None and plain is not None
    (place,) = plain.classes
    handle = CLASS_MAJORS[0] << 16
    assert plan.qdiscs[ROOT] == plain.qdiscs[ROOT] and plan.classes[place] == plain.classes[place]
    assert plan.qdiscs[place] == HtbPlan(handle, DEFAULT_MINOR, Steers.MARK)
    assert [plan.classes[handle | minor].rate_kbps for minor in (47, DEFAULT_MINOR, 9)] == [15_000, 30_000, 5000]
    assert ingress_plan(None, LEAF_BYTES, None, CLASSES) is None


def touched(before: tuple[ClassShare, ...], after: tuple[ClassShare, ...]) -> set[tuple[Verb, int]]:
    return {
        (step.verb, step.item.target if isinstance(step.item, MarkPlan) else step.place)
        for step in changes(uplink(*after), uplink(*before))
    }


def test_a_change_of_one_class_touches_that_class_alone() -> None:
    assert touched(CLASSES, (REALTIME, NORMAL, replace(BULK, code_points=(8,)))) == {(Verb.DELETE, HANDLE | 9)}
    more = (*CLASSES, ClassShare(0.0, (20,)))
    assert (Verb.SET, HANDLE | 21) in touched(CLASSES, more)
    assert not any(verb is Verb.DELETE for verb, _ in touched(CLASSES, more))
    reordered = (BULK, REALTIME, NORMAL)
    assert touched(CLASSES, reordered) == set()


def test_changed_shares_are_changed_in_place() -> None:
    shares = tuple(replace(one, share=share) for one, share in zip(CLASSES, (0.2, 0.5, 0.3), strict=True))
    steps = changes(uplink(*shares), uplink(*CLASSES))
    assert steps and all(step.verb is Verb.SET and not isinstance(step.item, HtbPlan) for step in steps)


def test_a_vif_that_begins_or_ends_to_use_classes_keeps_its_own_class_and_filter() -> None:
    for before, after in (((), CLASSES), (CLASSES, ())):
        for step in changes(uplink(*after), uplink(*before)):
            assert not isinstance(step.item, FilterPlan)
            assert step.place == VIF or step.place & 0xFFFF0000 == HANDLE


def test_majors_follow_from_the_numbers_of_the_vifs() -> None:
    size = len(CLASS_MAJORS)
    assert class_majors([1, 7, size - 1]) == {1: CLASS_MAJORS[1], 7: CLASS_MAJORS[7], size - 1: CLASS_MAJORS[-1]}
    met = class_majors([size - 1, 2 * size - 1, 7, 7 + size])
    assert met == {
        size - 1: CLASS_MAJORS[-1],
        2 * size - 1: CLASS_MAJORS[0],
        7: CLASS_MAJORS[7],
        7 + size: CLASS_MAJORS[8],
    }
    assert len(set(class_majors(range(1, size + 1)).values())) == size
    with pytest.raises(QueuePlanError, match="more than 16385 VIFs of this uplink"):
        class_majors(range(1, size + 2))


@pytest.mark.parametrize(
    ("place", "vif"),
    [
        (OUTER | 9, 9),
        (MOST_NODE << 16 | MOST_VIF, MOST_VIF),
        (OUTER | MOST_VIF + 1, None),
        (OUTER | DEFAULT_MINOR, None),
        (CLASS_MAJORS[0] << 16 | 9, None),
        (CLASS_MAJORS[-1] << 16 | 9, None),
        (OUTER, None),
    ],
)
def test_a_class_of_a_vif_is_told_from_all_others_by_its_id(place: int, vif: int | None) -> None:
    assert vif_of(place) == vif
