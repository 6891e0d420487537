"""The ideal queue trees of all uplinks: each divides its own capacity over those who use it, at every step. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from controller.allocation.allocator import admitted, max_min
from controller.allocation.tree import FloatArray, Tree, TreeNode, totals, tree_of

_NO_LINKS = np.empty(0)


class Uplinks:
    """nodes: the egress tree as it is described. A node that spans uplinks has a class in each, with its whole limit:
    no queue tree knows of the others."""

    def __init__(self, nodes: Sequence[TreeNode], capacity_kbps: Sequence[float]) -> None:
        forest = _forest(nodes, capacity_kbps)
        self._tree: Tree = admitted(tree_of(forest), _NO_LINKS)[0]
        keys = np.array(self._tree.leaf_keys, dtype=np.int64)
        self._numbers = np.sort(np.array([node.leaf_key for node in nodes if node.leaf_key is not None]))
        self._place = np.searchsorted(self._numbers, keys)

    def shares(self, demand_kbps: FloatArray) -> FloatArray:
        """float64[n], by VIF number in ascending order: what each may send now; 0 without an uplink."""
        demand = demand_kbps[self._place]
        fits = bool((totals(self._tree, demand) <= self._tree.limit_kbps).all())
        found = np.zeros(len(self._numbers))
        found[self._place] = demand if fits else max_min(self._tree, demand, _NO_LINKS)
        return found


def _forest(nodes: Sequence[TreeNode], capacity_kbps: Sequence[float]) -> list[TreeNode]:
    forest = [TreeNode(-1)]
    places: dict[tuple[int, int], int] = {}

    def place(index: int, link: int) -> int:
        if (index, link) not in places:
            node = nodes[index]
            parent = 0 if node.parent < 0 else place(node.parent, link)
            limit = min(node.limit_kbps, capacity_kbps[link]) if node.parent < 0 else node.limit_kbps
            places[index, link] = len(forest)
            forest.append(TreeNode(parent, node.guarantee_kbps, limit, node.weight, node.leaf_key))
        return places[index, link]

    for index, node in enumerate(nodes):
        if node.leaf_key is not None and node.link is not None:
            place(index, node.link)
    return forest
