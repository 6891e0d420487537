import math
from random import Random

import numpy as np
import pytest

from controller.allocation import settling
from controller.allocation.allocator import max_min, max_min_and_rounds
from controller.allocation.tree import TreeNode, totals, tree_of
from tests.support.random_trees import Problem, tangled_problem
from tests.support.reference_allocator import objections

INF = math.inf


def leaf(parent, number, link, weight=1.0, limit=INF):
    return TreeNode(parent, 0.0, limit, weight, leaf_key=number, link=link)


def divided(nodes, demands, capacities):
    """Shares, and rounds; checked against the law."""
    leaves = [at for at, node in enumerate(nodes) if node.leaf_key is not None]
    problem = Problem(nodes, dict(zip(leaves, demands, strict=True)), capacities)
    shares, rounds = max_min_and_rounds(problem.tree, problem.demand, problem.capacity)
    assert objections(nodes, problem.demands, capacities, problem.by_leaf(shares)) == []
    return shares.tolist(), rounds


def test_without_a_limit_that_spans_full_links_one_round_is_all():
    nodes = [TreeNode(-1), TreeNode(0, limit_kbps=20), leaf(1, 1, 0), leaf(1, 2, 0), leaf(0, 3, 1)]
    assert divided(nodes, [INF] * 3, [30.0, 40.0]) == ([10.0, 10.0, 40.0], 1)
    nodes[1] = TreeNode(0, limit_kbps=70)
    nodes[3] = leaf(1, 2, 1)
    assert divided(nodes, [INF] * 3, [30.0, 40.0]) == ([30.0, 20.0, 20.0], 1)


def test_a_limit_is_divided_by_what_the_links_can_give_after_it():
    """One tenant of two: what the limit takes from its first VIF, the link gives to the other tenant, which counts too.

    A limit of 20 above both; the link holds 14; the first tenant's other VIF crosses another link. Frozen at once, the
    second tenant would have 7 and half a unit of its link would be nobody's.
    """
    nodes = [TreeNode(-1), TreeNode(0, limit_kbps=20), TreeNode(1), TreeNode(1)]
    nodes += [leaf(2, 1, 0), leaf(2, 2, 1), leaf(3, 3, 0)]
    shares, rounds = divided(nodes, [INF] * 3, [14.0, 100.0])
    assert shares == pytest.approx([6, 6, 8], rel=1e-9)
    assert rounds <= 10  # in ever smaller steps it were more than thirty


@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-6])
def test_many_small_steps_of_one_size_are_taken_at_once(gap):
    """Each round moves the first two VIFs by `gap`, until the law of the limit rather than the link's divides them."""
    nodes = [TreeNode(-1), TreeNode(0, limit_kbps=20 - gap), TreeNode(1), TreeNode(1)]
    nodes += [leaf(2, 1, 0), leaf(2, 2, 1), leaf(3, 3, 0)]
    shares, rounds = divided(nodes, [INF, 5.0, INF], [15.0, 100.0])
    assert shares == pytest.approx([5 - gap / 4, 5 - gap / 4, 10 - gap / 2], rel=1e-9)
    assert rounds <= 40


def test_if_it_gives_up_no_bound_is_broken(monkeypatch):
    monkeypatch.setattr(settling, "ROUNDS", 2)
    rng = Random(3)
    unfinished = 0
    for _ in range(40):
        problem = tangled_problem(rng, 40)
        tree = problem.tree
        shares, rounds = max_min_and_rounds(tree, problem.demand, problem.capacity)
        unfinished += rounds == 2
        assert (totals(tree, shares) <= tree.limit_kbps * (1 + 1e-9)).all()
        link = tree.link[tree.leaves]
        used = np.bincount(link[link >= 0], weights=shares[link >= 0], minlength=len(problem.capacity))
        assert (used <= problem.capacity * (1 + 1e-9)).all()
        guarantee = np.minimum(tree.guarantee_kbps, tree.limit_kbps)[tree.leaves]
        assert (shares >= np.minimum(guarantee, problem.demand) * (1 - 1e-9)).all()
    assert unfinished > 20


def test_tenants_that_have_nothing_to_do_with_each_other_do_not_delay_each_other():
    one = [TreeNode(-1), TreeNode(0, limit_kbps=20), TreeNode(1), TreeNode(1)]
    one += [leaf(2, 1, 0), leaf(2, 2, 1), leaf(3, 3, 0)]
    _, rounds = divided(one, [INF] * 3, [14.0, 100.0])
    many = [TreeNode(-1)]
    for copy in range(30):
        at = len(many) - 1
        for node in one[1:]:
            link = None if node.link is None else node.link + 2 * copy
            parent = node.parent + at if node.parent else 0
            key = None if node.leaf_key is None else len(many)
            many.append(TreeNode(parent, 0.0, node.limit_kbps * (1 + copy / 40), 1.0, key, link))
    _, all_rounds = divided(many, [INF] * 90, [14.0, 100.0] * 30)
    assert all_rounds <= 2 * rounds


def test_the_order_of_leaves_and_links_changes_nothing():
    rng = Random(5)
    for _ in range(10):
        problem = tangled_problem(rng, 30)
        shares = max_min(problem.tree, problem.demand, problem.capacity)
        inner = [node for node in problem.nodes if node.leaf_key is None]
        leaves = [node for node in problem.nodes if node.leaf_key is not None]
        turned = [
            TreeNode(n.parent, n.guarantee_kbps, n.limit_kbps, n.weight, n.leaf_key, _turned(n.link, problem))
            for n in reversed(leaves)
        ]
        other = max_min(tree_of([*inner, *turned]), problem.demand[::-1], problem.capacity[::-1])
        assert other[::-1] == pytest.approx(shares, rel=1e-7, abs=1e-7)


def _turned(link, problem):
    return None if link is None else len(problem.capacities) - 1 - link
