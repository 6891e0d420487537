import math
import time

import numpy as np
import pytest

from controller.allocation.allocator import AdmissionError, admitted, max_min
from controller.allocation.paths import max_min_by_path
from controller.allocation.tree import TreeNode, leaves_below, totals, tree_of

INF = math.inf


def leaf(parent, number, guarantee=0.0, weight=1.0, limit=INF, link=0):
    return TreeNode(parent, guarantee, limit, weight, leaf_key=number, link=link)


def shares(nodes, demands, capacities=(60e3,)):
    return max_min(tree_of(nodes), np.array(demands, dtype=float), np.array(capacities, dtype=float)).tolist()


CONTRACT = [TreeNode(-1), leaf(0, 1, 30e3), leaf(0, 2, 10e3, 3), leaf(0, 3)]


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        ((INF, INF, INF), (34e3, 22e3, 4e3)),
        ((0, INF, INF), (0, 47.5e3, 12.5e3)),
        ((INF, 0, 0), (60e3, 0, 0)),
        ((1e3, 2e3, 3e3), (1e3, 2e3, 3e3)),
        ((20e3, INF, INF), (20e3, 32.5e3, 7.5e3)),  # the unused part of a guarantee goes to all by weight
    ],
)
def test_the_contracts_example(demands, expected):
    assert shares(CONTRACT, demands) == pytest.approx(expected)


def test_tenants_divide_by_their_weights_however_many_vifs_they_have():
    nodes = [
        TreeNode(-1),
        TreeNode(0, name="one"),
        TreeNode(0, name="three"),
        leaf(1, 1),
        *(leaf(2, n) for n in (2, 3, 4)),
    ]
    assert shares(nodes, [INF] * 4, [20e3]) == pytest.approx([10e3, 10e3 / 3, 10e3 / 3, 10e3 / 3])


def test_an_inner_guarantee_reserves_for_what_is_below_and_its_limit_holds():
    nodes = [TreeNode(-1), TreeNode(0, 50e3, 55e3), TreeNode(0), leaf(1, 1, 5e3), leaf(1, 2), leaf(2, 3)]
    assert shares(nodes, [INF] * 3) == pytest.approx([30e3, 25e3, 5e3])
    assert shares(nodes, [INF, INF, 0]) == pytest.approx([30e3, 25e3, 0])


def test_inner_guarantees_beyond_the_link_give_way_alike_but_never_a_leafs():
    nodes = [TreeNode(-1), TreeNode(0, 50e3), TreeNode(0, 50e3), leaf(1, 1, 40e3), leaf(2, 2, 0)]
    assert shares(nodes, [INF] * 2) == pytest.approx([40e3 + 20e3 / 6, 50e3 / 3])


def test_when_one_link_is_full_its_leaves_stop_and_the_others_go_on():
    nodes = [TreeNode(-1), leaf(0, 1, link=0), leaf(0, 2, link=0), leaf(0, 3, link=1)]
    assert shares(nodes, [INF] * 3, [10e3, 100e3]) == pytest.approx([5e3, 5e3, 100e3])


def test_a_tenant_on_two_links_keeps_its_limit_and_leaves_the_rest_of_its_links_to_others():
    nodes = [
        TreeNode(-1),
        TreeNode(0, limit_kbps=40e3),
        TreeNode(0),
        leaf(1, 1, link=0),
        leaf(1, 2, link=1),
        leaf(2, 3, link=0),
    ]
    assert shares(nodes, [INF] * 3, [60e3, 60e3]) == pytest.approx([20e3, 20e3, 40e3])


def test_without_link_and_limit_nothing_bounds_a_share():
    assert shares([TreeNode(-1), leaf(0, 1, link=None), leaf(0, 2, link=None)], [INF, 5.0], []) == [INF, 5.0]


def test_guarantees_that_exceed_a_link_or_a_limit_are_refused_by_name():
    with pytest.raises(AdmissionError, match=r"link 0: guarantees of 70000 kbit/s exceed .* 60000 kbit/s\. Lower"):
        shares([TreeNode(-1), leaf(0, 1, 30e3), leaf(0, 2, 40e3)], [INF, INF])
    with pytest.raises(AdmissionError, match="acme: guarantees of 20000"):
        shares([TreeNode(-1), TreeNode(0, limit_kbps=10e3, name="acme"), leaf(1, 1, 20e3)], [INF])


def test_what_is_not_admissible_shrinks_alike_and_says_why():
    tree = tree_of([TreeNode(-1), leaf(0, 1, 80e3), leaf(0, 2, 40e3)])
    shrunk, why = admitted(tree, np.array([60e3]))
    assert max_min(shrunk, np.array([INF, INF]), np.array([60e3])) == pytest.approx([40e3, 20e3])
    assert why is not None and "link 0" in why and "50%" in why
    assert admitted(tree, np.array([130e3])) == (tree, None)


def test_a_vif_on_two_paths_burdens_its_link_with_one_part_only():
    tree = tree_of([TreeNode(-1), leaf(0, 1, limit=90e3), leaf(0, 2)])
    local, link = max_min_by_path(tree, np.array([50e3, 0]), np.array([20e3, INF]), np.array([60e3]))
    assert local == pytest.approx([50e3, 0]) and link == pytest.approx([20e3, 40e3])
    local, link = max_min_by_path(tree, np.array([80e3, 0]), np.array([0, INF]), np.array([60e3]))
    assert local == pytest.approx([80e3, 0]) and link == pytest.approx([0, 60e3])


def test_a_tree_refuses_what_is_none():
    with pytest.raises(ValueError, match="does not come before it"):
        tree_of([TreeNode(-1), TreeNode(2), TreeNode(0)])
    with pytest.raises(ValueError, match="is a leaf"):
        tree_of([TreeNode(-1), leaf(0, 1), leaf(1, 2)])


def test_sums_and_membership_follow_the_tree():
    tree = tree_of([TreeNode(-1), TreeNode(0), leaf(1, 1), leaf(0, 2)])
    assert totals(tree, np.array([3.0, 4.0])).tolist() == [7.0, 3.0, 3.0, 4.0]
    assert leaves_below(tree, np.array([False, True, False, False])).tolist() == [True, False]


def test_ten_thousand_leaves_cost_a_small_multiple_of_sorting_them():
    rng = np.random.default_rng(7)
    nodes = [TreeNode(-1), *(TreeNode(0, 500, 80e3, float(rng.integers(1, 5))) for _ in range(100))]
    nodes += [leaf(1 + n % 100, n, float(rng.integers(0, 5)), float(rng.integers(1, 5)), 8e3) for n in range(10_000)]
    tree = tree_of(nodes)
    demand = np.where(rng.random(10_000) < 0.5, INF, rng.random(10_000) * 5e3)

    def best(work):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    sorting = best(lambda: np.sort(rng.random(10_000)))
    assert best(lambda: max_min(tree, demand, np.array([2e6]))) < 100 * sorting  # 8 to 12 seen
