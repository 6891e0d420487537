"""Laws of the least change between two queueing trees, on a model of what the kernel accepts."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import hypothesis.strategies as st
from hypothesis import given, settings

from controller.host.class_queues import ClassShare
from controller.host.queue_plan import Sender, uplink_plan
from controller.host.queue_sizes import quanta, token_kbps
from controller.host.queue_tree import (
    MAJOR,
    ROOT,
    AddressPlan,
    Change,
    ClassPlan,
    FilterPlan,
    HtbPlan,
    MarkPlan,
    QdiscPlan,
    QueuePlan,
    RouterPlan,
    SteeringPlan,
    Verb,
    changes,
)
from policies.hierarchy import Branch, Leaf, Member

PATHS = ("a", "b", "a/x", "a/y", "b/z")
NUMBERS = {path: number for number, path in enumerate(PATHS, start=1)}
MACS = {number: 0x0200_0000_0000 | number * 77 for number in range(1, 40)}


class Kernel:
    """Refuses what the real one refuses."""

    def __init__(self, plan: QueuePlan) -> None:
        self.qdiscs: dict[int, QdiscPlan] = dict(plan.qdiscs)
        self.classes: dict[int, ClassPlan] = dict(plan.classes)
        self.filters: set[SteeringPlan] = set(plan.filters)

    def do(self, change: Change) -> None:
        item, place, delete = change.item, change.place, change.verb is Verb.DELETE
        if isinstance(item, SteeringPlan):
            assert (item in self.filters) == delete
            assert item.qdisc in self._handles() and (
                delete or isinstance(item, RouterPlan) or item.target in self.classes
            )
            (self.filters.discard if delete else self.filters.add)(item)
        elif isinstance(item, ClassPlan):
            if delete:
                self._delete_class(place)
                return
            assert place & MAJOR in self._handles()
            assert item.parent in self.classes or item.parent == place & MAJOR
            assert place not in self.classes or self.classes[place].parent == item.parent
            self.classes[place] = item
        elif delete:
            self._delete_qdisc(place)
        else:
            self._set_qdisc(change, item)

    def _set_qdisc(self, change: Change, item: QdiscPlan) -> None:
        present = self.qdiscs.get(change.place)
        assert change.place == ROOT or change.place in self.classes
        if change.verb is Verb.STEER:
            assert isinstance(present, HtbPlan)
            self.filters = {one for one in self.filters if one.qdisc != present.handle}
        else:
            assert not isinstance(present, HtbPlan)
            assert not isinstance(item, HtbPlan) or item.handle not in self._handles()
        self.qdiscs[change.place] = item

    def _handles(self) -> set[int]:
        return {qdisc.handle for qdisc in self.qdiscs.values() if isinstance(qdisc, HtbPlan)}

    def _delete_class(self, place: int, refuse: bool = True) -> None:
        if refuse:
            assert not any(not isinstance(item, RouterPlan) and item.target == place for item in self.filters)
            assert not any(body.parent == place for body in self.classes.values())
        del self.classes[place]
        if place in self.qdiscs:
            self._delete_qdisc(place)

    def _delete_qdisc(self, place: int) -> None:
        qdisc = self.qdiscs.pop(place)
        if isinstance(qdisc, HtbPlan):
            self.filters = {item for item in self.filters if item.qdisc != qdisc.handle}
            for inner in [inner for inner in self.classes if inner & MAJOR == qdisc.handle]:
                self._delete_class(inner, refuse=False)

    def plan(self) -> QueuePlan:
        return QueuePlan(self.qdiscs, self.classes, frozenset(self.filters))


def tree(members: dict[int, tuple[str, int, int | None, float]]) -> Branch:
    """members: path of the inner node ("": the root), guarantee, limit, weight, by VIF number."""

    def branch(path: str) -> Branch:
        below = [child for child in PATHS if child.rpartition("/")[0] == path]
        leaves = tuple(
            Leaf(Member(number, f"vif{number}", "p"), guarantee, limit, weight, None, None)
            for number, (node, guarantee, limit, weight) in sorted(members.items())
            if node == path
        )
        branches = tuple(one for one in map(branch, below) if one.branches or one.leaves)
        reserved = sum(child.guarantee_kbps for child in (*branches, *leaves))
        return Branch(path, reserved, None, 1.0, branches, leaves)

    return branch("")


MEMBER = st.tuples(
    st.sampled_from(("", *PATHS)),
    st.sampled_from((0, 500, 2000)),
    st.sampled_from((None, 2000, 5000)),
    st.sampled_from((1.0, 3.0)),
)
MEMBERS = st.dictionaries(st.integers(1, 12), MEMBER, max_size=8)


SHARES = st.dictionaries(st.integers(0, 63), st.sampled_from((0.1, 0.3)), max_size=3)
DIVIDED = st.dictionaries(st.integers(1, 12), SHARES, max_size=4)  # shares by code point, by VIF number
Divided = dict[int, dict[int, float]]
ROUTER = 0x0600_0000_0000
Routed = dict[int, set[str]]
ROUTED = st.dictionaries(st.integers(1, 12), st.sets(st.sampled_from(("10.0.0.1", "10.0.1.1", "fd00::1"))), max_size=4)


def planned(
    members: dict[int, tuple[str, int, int | None, float]],
    numbers: dict[str, int] = NUMBERS,
    divided: Divided | None = None,
    routed: Routed | None = None,
) -> QueuePlan:
    classes = {
        number: (ClassShare(0.4), *(ClassShare(share, (code_point,)) for code_point, share in shares.items()))
        for number, shares in (divided or {}).items()
    }
    senders = {number: Sender(mac, classes.get(number, ())) for number, mac in MACS.items()}
    for number, addresses in (routed or {}).items():
        senders[number] = Sender(ROUTER, classes.get(number, ()), frozenset(map(ip_address, addresses)))
    return uplink_plan(tree(members), 100_000, senders, numbers, 20_000)


TREES = st.tuples(MEMBERS, DIVIDED, ROUTED)


@given(TREES, TREES, st.permutations(PATHS), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_steps_lead_from_any_tree_to_any_other(before, after, paths, damaged) -> None:  # type: ignore[no-untyped-def]
    numbers = {path: number for number, path in enumerate(paths, start=1)}
    actual, desired = planned(before[0], numbers, *before[1:]), planned(after[0], NUMBERS, *after[1:])
    if damaged:
        root = actual.qdiscs[ROOT]
        assert isinstance(root, HtbPlan)
        left = frozenset(item for item in actual.filters if item.qdisc != root.handle)
        actual = QueuePlan({**actual.qdiscs, ROOT: replace(root, steers=None)}, actual.classes, left)
    kernel = Kernel(actual)
    for step in changes(desired, actual):
        kernel.do(step)
    assert kernel.plan() == desired


@given(MEMBERS)
@settings(max_examples=50, deadline=None)
def test_nothing_to_do_is_nothing_done(members) -> None:  # type: ignore[no-untyped-def]
    assert changes(planned(members), planned(members)) == ()


@given(MEMBERS, DIVIDED, st.integers(1, 12), SHARES)
@settings(max_examples=100, deadline=None)
def test_who_uses_classes_is_nothing_to_the_others(members, divided, number, shares) -> None:  # type: ignore[no-untyped-def]
    before, after = planned(members, NUMBERS, divided), planned(members, NUMBERS, {**divided, number: shares})
    place = next((place for place in before.classes if place & 0xFFFF == number and place in before.qdiscs), None)
    handles = {qdisc.handle for tree in (before, after) if isinstance(qdisc := tree.qdiscs.get(place), HtbPlan)}
    for step in changes(after, before):
        assert step.place == place or step.place & MAJOR in handles


@given(MEMBERS, st.integers(13, 20), MEMBER)
@settings(max_examples=100, deadline=None)
def test_one_more_vif_touches_nothing_of_the_others(members, number, member) -> None:  # type: ignore[no-untyped-def]
    more = {**members, number: (member[0], 0, member[2], 3.0)}
    members = {key: (path, guarantee, limit, 1.0) for key, (path, guarantee, limit, _) in members.items()}
    more = {**members, number: more[number]}
    ways = {item.target for item in planned(more).filters if isinstance(item, FilterPlan) and item.mac == MACS[number]}
    shared = planned(members).classes.keys()
    for step in changes(planned(more), planned(members)):
        assert step.verb is Verb.SET
        if isinstance(step.item, FilterPlan):
            assert step.item.mac == MACS[number]
        else:
            assert step.place not in shared and (step.place in ways or step.place & 0xFFFF >= 0xFFFE)


@given(MEMBERS, ROUTED, st.integers(13, 20), MEMBER, st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_one_more_vif_behind_the_router_is_steered_by_its_own_addresses(members, routed, number, member, count) -> None:  # type: ignore[no-untyped-def]
    own = {f"10.9.9.{host}" for host in range(count)}
    before, after = (
        planned(members, routed=routed),
        planned({**members, number: member}, routed={**routed, number: own}),
    )
    for step in changes(after, before):
        assert step.verb is Verb.SET and not isinstance(step.item, (FilterPlan, MarkPlan))
        if isinstance(step.item, AddressPlan):
            assert str(ip_address(step.item.address)) in own
        if isinstance(step.item, RouterPlan):
            assert step.item.version == 4 and own


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_quanta_keep_the_order_and_nearly_the_ratio_of_the_weights(weights: list[float]) -> None:
    given_bytes = quanta(weights)
    assert min(given_bytes) == 1518
    for weight, quantum in zip(weights, given_bytes, strict=True):
        exact = 1518 * weight / min(weights)
        assert abs(quantum - min(exact, 200_000)) <= 0.5


@given(st.integers(1000, 10_000_000), st.integers(1, 2000))
def test_tokens_of_all_siblings_together_hardly_count(width_kbps: int, siblings: int) -> None:
    token = token_kbps(width_kbps, siblings)
    assert token == 1 or token * siblings <= width_kbps // 25
