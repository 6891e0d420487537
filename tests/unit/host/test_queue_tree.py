from __future__ import annotations

from dataclasses import replace

from controller.host.queue_tree import (
    ROOT,
    BfifoPlan,
    ClassPlan,
    FilterPlan,
    ForeignPlan,
    HtbPlan,
    QueuePlan,
    Steers,
    TbfPlan,
    Verb,
    changes,
    name_of,
)

HANDLE, TRUNK, LEAF = 0x10000, 0x1FFFF, 0x10001
BODY = ClassPlan(TRUNK, 10, 10, 2000, 2000, 1518)
PLAN = QueuePlan(
    {ROOT: HtbPlan(HANDLE, 2, steers=Steers.SOURCE), LEAF: BfifoPlan(9000)},
    {TRUNK: replace(BODY, parent=HANDLE), LEAF: BODY},
    frozenset({FilterPlan(HANDLE, 0x0200_0000_0001, LEAF)}),
)


def steps(desired: QueuePlan, actual: QueuePlan) -> list[tuple[Verb, int]]:
    return [(step.verb, step.place) for step in changes(desired, actual)]


def test_a_tree_is_built_from_the_outside_in_and_steered_last() -> None:
    built = [(Verb.SET, place) for place in (ROOT, TRUNK, LEAF, LEAF, HANDLE)]
    assert steps(PLAN, QueuePlan()) == built
    assert steps(PLAN, QueuePlan({ROOT: ForeignPlan("pfifo_fast")})) == built


def test_numbers_are_changed_in_place() -> None:
    old = replace(PLAN, classes={**PLAN.classes, LEAF: replace(BODY, rate_kbps=9)})
    assert steps(PLAN, old) == [(Verb.SET, LEAF)]
    old = replace(PLAN, qdiscs={**PLAN.qdiscs, LEAF: BfifoPlan(1)})
    assert steps(PLAN, old) == [(Verb.SET, LEAF)]
    assert steps(QueuePlan({ROOT: TbfPlan(1, 1, 1)}), QueuePlan({ROOT: TbfPlan(2, 1, 1)})) == [(Verb.SET, ROOT)]


def test_a_filter_goes_before_its_class_and_a_queue_with_it() -> None:
    rest = QueuePlan({ROOT: PLAN.qdiscs[ROOT]}, {TRUNK: PLAN.classes[TRUNK]})
    assert steps(rest, PLAN) == [(Verb.DELETE, HANDLE), (Verb.DELETE, LEAF)]


def test_the_root_is_deleted_only_when_it_cannot_become_the_desired_one() -> None:
    other = replace(PLAN, qdiscs={**PLAN.qdiscs, ROOT: HtbPlan(HANDLE, 3, steers=Steers.SOURCE)})
    assert steps(PLAN, other)[0] == (Verb.DELETE, ROOT)
    assert steps(QueuePlan({ROOT: TbfPlan(1, 1, 1)}), PLAN) == [(Verb.DELETE, ROOT), (Verb.SET, ROOT)]
    assert steps(QueuePlan(), PLAN) == [(Verb.DELETE, ROOT)]


def test_filters_that_somebody_changed_are_made_anew_without_touching_the_classes() -> None:
    damaged = QueuePlan({**PLAN.qdiscs, ROOT: HtbPlan(HANDLE, 2, steers=None)}, PLAN.classes)
    assert steps(PLAN, damaged) == [(Verb.STEER, ROOT), (Verb.SET, HANDLE)]


def test_a_step_says_what_it_does() -> None:
    assert (name_of(ROOT), name_of(0x7FFF0000), name_of(0x7FFF001A)) == ("root", "7fff:", "7fff:1a")
    assert str(changes(QueuePlan(), PLAN)[0]).startswith("delete htb at root: ")
