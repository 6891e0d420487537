import math

import numpy as np
import pytest

from controller.allocation.allocator import AdmissionError, admitted, max_min
from controller.allocation.form import Form
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


@pytest.mark.parametrize("links", [[0.0], [0.0, 0.0]])
def test_a_link_without_capacity_and_a_limit_of_nothing_give_nothing(links):
    nodes = [TreeNode(-1), TreeNode(0, limit_kbps=0.0), leaf(0, 1), leaf(1, 2, link=len(links) - 1), leaf(1, 3)]
    assert shares(nodes, [INF, INF, 5.0], links) == [0.0, 0.0, 0.0]


def test_nobody_there_and_one_alone():
    assert shares([TreeNode(-1)], [], []) == []
    assert shares([TreeNode(-1), TreeNode(0)], [], [10.0]) == []
    assert shares([TreeNode(-1), leaf(0, 1)], [INF], [10.0]) == [10.0]


def test_no_demand_takes_nothing_and_unbounded_demand_all():
    nodes = [TreeNode(-1), leaf(0, 1, 10e3), leaf(0, 2, 10e3)]
    assert shares(nodes, [0.0, 0.0]) == [0.0, 0.0]
    assert shares(nodes, [0.0, INF]) == [0.0, 60e3]


def test_eight_levels_hold_the_least_of_their_limits():
    nodes = [TreeNode(-1), *(TreeNode(depth, limit_kbps=100.0 - depth) for depth in range(8))]
    nodes += [leaf(8, 1), leaf(8, 2, weight=2.0), leaf(3, 3)]
    assert shares(nodes, [INF] * 3, [1000.0]) == pytest.approx([98 / 6, 98 / 3, 98 / 2], rel=1e-12)
    assert shares(nodes, [INF, INF, 1.0], [1000.0]) == pytest.approx([31.0, 62.0, 1.0], rel=1e-12)


def test_weights_may_differ_by_a_million_million():
    nodes = [TreeNode(-1), leaf(0, 1, weight=1e6), leaf(0, 2, weight=1e-6), leaf(0, 3, weight=1.0)]
    total = 1e6 + 1e-6 + 1.0
    expected = [60e3 * weight / total for weight in (1e6, 1e-6, 1.0)]
    assert shares(nodes, [INF] * 3) == pytest.approx(expected, rel=1e-12)
    assert shares(nodes, [10.0, INF, 0.0]) == pytest.approx([10.0, 60e3 - 10, 0.0], rel=1e-12)


def test_a_reserve_that_a_link_cannot_meet_goes_to_who_asks_for_it():
    """Two tenants guaranteed 50 over several hosts, on a link of 60: the one that asks for 20 there has it."""
    nodes = [TreeNode(-1), TreeNode(0, 50e3), TreeNode(0, 50e3), leaf(1, 1), leaf(2, 2)]
    assert shares(nodes, [INF, INF]) == pytest.approx([30e3, 30e3])
    assert shares(nodes, [20e3, INF]) == pytest.approx([20e3, 40e3])


def test_what_follows_from_a_trees_form_is_worked_out_once(monkeypatch):
    made = []
    levels = Form._levels
    monkeypatch.setattr(Form, "_levels", lambda form, link: made.append(1) or levels(form, link))
    tree = tree_of([TreeNode(-1), TreeNode(0, limit_kbps=50), leaf(1, 1, 80, link=0), leaf(1, 2, 80, link=1)])
    capacity, much = np.array([60.0, 60.0]), np.array([INF, INF])

    def tick():
        shrunk, why = admitted(tree, capacity)
        assert why is not None
        return max_min_by_path(shrunk, much, much, capacity)[0].sum() + max_min(shrunk, much, capacity).sum()

    first, once = tick(), len(made)
    assert tick() == first and len(made) == once == 4  # whole and by link, of the tree and where each VIF has two paths
