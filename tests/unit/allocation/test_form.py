import numpy as np

from controller.allocation.form import connected
from controller.allocation.tree import TreeNode, tree_of


def leaf(parent, number, link):
    return TreeNode(parent, leaf_key=number, link=link)


def test_a_link_sees_only_those_who_use_it():
    nodes = [TreeNode(-1), TreeNode(0), TreeNode(0), leaf(1, 1, 0), leaf(2, 2, 1), leaf(1, 3, 1), leaf(0, 4, None)]
    levels = tree_of(nodes).form.by_link
    seen = [sorted(zip(level.link.tolist(), level.node.tolist(), strict=True)) for level in levels]
    assert seen == [[(-1, 0), (0, 0), (1, 0)], [(-1, 6), (0, 1), (1, 1), (1, 2)], [(0, 3), (1, 4), (1, 5)]]
    parents = [int(levels[1].node[at]) for at in levels[2].above.tolist()]
    assert dict(zip(levels[2].node.tolist(), parents, strict=True)) == {3: 1, 4: 2, 5: 1}


def test_a_leaf_with_two_paths_is_a_node_with_two_leaves():
    form = tree_of([TreeNode(-1), leaf(0, 7, None), leaf(0, 8, 0)]).form.split
    assert form.leaves.tolist() == [1, 3, 4] and form.leaf_link.tolist() == [-1, 0, -1]
    assert form.parent.tolist() == [-1, 0, 0, 2, 2] and form.leaf_keys == (7, 8, 8)
    assert form.names[3:] == ("node 2", "node 2")


def test_parts_are_what_links_and_limits_connect():
    nodes = [TreeNode(-1), TreeNode(0, limit_kbps=9), TreeNode(1, limit_kbps=5), TreeNode(0)]
    nodes += [leaf(2, 1, 0), leaf(1, 2, 1), leaf(3, 3, 1), leaf(3, 4, 2), leaf(3, 5, None)]
    part = tree_of(nodes).form.part.tolist()
    assert part[0] == part[1] == part[2] and len(set(part)) == 3 and max(part) == 2


def test_a_long_chain_is_one_part():
    at = np.arange(1000)
    assert (connected((at // 2, (at + 1) // 2)) == 0).all()
    assert connected((at, np.full(1000, -1))).tolist() == at.tolist()
