"""Laws of the allocator: equal to an independent reference, and what the policy language promises of every division."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.allocation.allocator import admitted, max_min
from controller.allocation.paths import max_min_by_path
from controller.allocation.tree import Tree, TreeNode, totals, tree_of
from tests.support.reference_allocator import reference_max_min

INF = math.inf
RATES = st.one_of(st.just(0.0), st.integers(1, 40).map(float), st.floats(0.5, 60))
MAYBE = st.one_of(st.just(INF), st.just(INF), RATES)


@st.composite
def problems(draw: st.DrawFn, links: int = 1, unlinked: bool = False):
    """A tree of up to three levels, demands by leaf index, capacities; whatever the guarantees are, made admissible."""
    nodes = [TreeNode(-1)]
    inner = [0]
    for _ in range(draw(st.integers(0, 5))):
        inner.append(len(nodes))
        parent = draw(st.sampled_from(inner[:-1]))
        weight = draw(st.sampled_from([1.0, 1.0, 2.0, 3.5]))
        nodes.append(TreeNode(parent, draw(RATES), draw(MAYBE), weight))
    choices = [*range(links), *([None] if unlinked else [])]
    for number in range(draw(st.integers(1, 9))):
        guarantee = draw(st.one_of(st.just(0.0), RATES)) / 4
        limit, weight = draw(MAYBE), draw(st.sampled_from([1.0, 2.0, 0.5]))
        link = draw(st.sampled_from(choices))
        nodes.append(TreeNode(draw(st.sampled_from(inner)), guarantee, limit, weight, leaf_key=number, link=link))
    capacities = [draw(st.floats(10, 100)) for _ in range(links)]
    demands = {index: draw(MAYBE) for index, node in enumerate(nodes) if node.leaf_key is not None}
    return admissible(nodes, capacities), demands, capacities


def admissible(nodes: list[TreeNode], capacities: list[float]) -> list[TreeNode]:
    tree, _ = admitted(tree_of(nodes), np.array(capacities))
    return [
        TreeNode(node.parent, guarantee, node.limit_kbps, node.weight, node.leaf_key, node.link)
        for node, guarantee in zip(nodes, tree.guarantee_kbps.tolist(), strict=True)
    ]


def random_problem(rng: np.random.Generator):
    """The same by numpy: thousands of them in a moment, larger ones among them."""
    nodes, inner, links = [TreeNode(-1)], [0], int(rng.integers(1, 4))

    def rate(scale: float) -> float:
        return float(rng.choice([0.0, rng.integers(1, 10) * scale / 10, rng.random() * scale]))

    def limit(scale: float) -> float:
        return INF if rng.random() < 0.5 else rate(scale)

    for _ in range(rng.integers(0, 8)):
        nodes.append(TreeNode(int(rng.choice(inner)), rate(30), limit(60), float(rng.choice([1, 2, 3.5]))))
        inner.append(len(nodes) - 1)
    for number in range(rng.integers(1, 20)):
        link = None if rng.random() < 0.2 else int(rng.integers(links))
        parent, weight = int(rng.choice(inner)), float(rng.choice([1, 2, 0.5]))
        nodes.append(TreeNode(parent, rate(10), limit(40), weight, leaf_key=number, link=link))
    capacities = [float(rng.integers(10, 100)) for _ in range(links)]
    demands = {index: limit(50) for index, node in enumerate(nodes) if node.leaf_key is not None}
    return admissible(nodes, capacities), demands, capacities


def solve(nodes, demands, capacities) -> tuple[Tree, np.ndarray, np.ndarray]:
    tree = tree_of(nodes)
    wanted = np.array([demands[leaf] for leaf in tree.leaves.tolist()])
    return tree, wanted, max_min(tree, wanted, np.array(capacities))


def assert_equals_reference(nodes, demands, capacities) -> None:
    tree, _, shares = solve(nodes, demands, capacities)
    expected = reference_max_min(nodes, demands, capacities)
    assert shares == pytest.approx([expected[leaf] for leaf in tree.leaves.tolist()], rel=1e-6, abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(problems())
def test_one_link_equals_reference(problem) -> None:
    assert_equals_reference(*problem)


@settings(max_examples=150, deadline=None)
@given(problems(links=3, unlinked=True))
def test_several_links_equal_reference(problem) -> None:
    assert_equals_reference(*problem)


def test_a_thousand_random_trees_equal_reference() -> None:
    rng = np.random.default_rng(20240611)
    for _ in range(1000):
        assert_equals_reference(*random_problem(rng))


@settings(max_examples=80, deadline=None)
@given(problems(links=2, unlinked=True))
def test_division_keeps_every_bound_and_wastes_nothing(problem) -> None:
    nodes, demands, capacities = problem
    tree, wanted, shares = solve(nodes, demands, capacities)
    below, link = totals(tree, shares), tree.link[tree.leaves]
    slack = 1e-6
    assert (shares <= wanted + slack).all()
    assert (below <= tree.limit_kbps + slack).all()
    on_link = [shares[link == number].sum() for number in range(len(capacities))]
    assert all(used <= capacity + slack for used, capacity in zip(on_link, capacities, strict=True))
    guarantee = np.minimum(tree.guarantee_kbps, tree.limit_kbps)[tree.leaves]
    assert (shares >= np.minimum(guarantee, wanted) - slack).all()
    for leaf, share, want in zip(range(len(shares)), shares, wanted, strict=True):
        if share < want - slack:  # then something is full on its way
            way = [tree.leaves[leaf]]
            while tree.parent[way[-1]] >= 0:
                way.append(tree.parent[way[-1]])
            full = any(below[node] >= tree.limit_kbps[node] - slack for node in way)
            assert full or on_link[link[leaf]] >= capacities[link[leaf]] - slack


@settings(max_examples=80, deadline=None)
@given(problems(), st.data())
def test_more_demand_of_one_takes_nothing_below_its_guarantee_from_another(problem, data) -> None:
    nodes, demands, capacities = problem
    tree, wanted, before = solve(nodes, demands, capacities)
    chosen = data.draw(st.integers(0, len(wanted) - 1))
    wanted[chosen] = INF
    after = max_min(tree, wanted, np.array(capacities))
    assert after[chosen] >= before[chosen] - 1e-6
    guarantee = np.minimum(tree.guarantee_kbps, tree.limit_kbps)[tree.leaves]
    assert (after >= np.minimum(before, guarantee) - 1e-6).all()


@settings(max_examples=80, deadline=None)
@given(problems(links=2, unlinked=True), st.data())
def test_a_vif_on_two_paths_keeps_every_bound(problem, data) -> None:
    nodes, demands, capacities = problem
    tree = tree_of(nodes)
    linked = tree.link[tree.leaves] >= 0
    local = np.array([data.draw(MAYBE) for _ in tree.leaves])
    link = np.where(linked, [demands[leaf] for leaf in tree.leaves.tolist()], 0.0)
    of_local, of_link = max_min_by_path(tree, local, link, np.array(capacities))
    assert (of_local <= local + 1e-6).all() and (of_link <= link + 1e-6).all()
    assert (totals(tree, of_local + of_link) <= tree.limit_kbps + 1e-6).all()
    for number, capacity in enumerate(capacities):
        assert of_link[tree.link[tree.leaves] == number].sum() <= capacity + 1e-6
    guarantee = np.minimum(tree.guarantee_kbps, tree.limit_kbps)[tree.leaves]
    assert (of_local + of_link >= np.minimum(guarantee, local + link) - 1e-6).all()
