"""Laws of the bandwidth tree: every VIF once, reserves add up, and what admission accepts holds at every node."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.hierarchy import Branch, Member, admission, bandwidth_tree
from policies.model import Direction
from policies.parser import parse
from tests.support.policy_documents import documents, text_of

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # documents, on a busy machine


@st.composite
def populated(draw: st.DrawFn):
    policies = parse({"f": text_of(draw(documents(with_rules=False)))})
    leaves = sorted(path for path, node in policies.nodes.items() if node.is_leaf)
    paths = draw(st.lists(st.sampled_from(leaves), max_size=12)) if leaves else []
    places = st.tuples(st.sampled_from([None, "wan", "lan"]), st.sampled_from([None, "h1", "h2"]))
    return policies, [Member(i + 1, f"v{i + 1}", path, *draw(places)) for i, path in enumerate(paths)]


def branches_of(branch: Branch):
    yield branch
    for child in branch.branches:
        yield from branches_of(child)


@settings(SLOW, max_examples=40)
@given(populated(), st.sampled_from(Direction), st.randoms(use_true_random=False))
def test_the_tree_holds_each_vif_once_below_its_leafs_parent(case, direction, random):
    policies, members = case
    tree = bandwidth_tree(policies, direction, members)
    where = {leaf.member: branch.path for branch in branches_of(tree) for leaf in branch.leaves}
    assert where == {member: policies.nodes[member.policy].parent or "" for member in members}
    assert sum(len(branch.leaves) for branch in branches_of(tree)) == len(members)
    assert all(branch.leaves or branch.branches for branch in branches_of(tree) if branch.path)
    assert tree == bandwidth_tree(policies, direction, random.sample(members, len(members)))


@settings(SLOW, max_examples=40)
@given(populated(), st.sampled_from(Direction))
def test_a_branch_reserves_its_own_guarantee_or_what_is_below(case, direction):
    policies, members = case
    for branch in branches_of(bandwidth_tree(policies, direction, members)):
        below = sum(part.guarantee_kbps for part in (*branch.branches, *branch.leaves))
        own = policies.nodes[branch.path].bandwidth(direction).guarantee_kbps if branch.path else 0
        assert branch.guarantee_kbps == max(own, below)


@settings(SLOW, max_examples=40)
@given(populated())
def test_what_is_admitted_stays_admitted_with_fewer_vifs(case):
    policies, members = case
    if not admission(policies, members):
        for gone in members:
            assert not admission(policies, [member for member in members if member != gone])
