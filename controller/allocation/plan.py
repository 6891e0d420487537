"""What one direction of the network comes to for the loop: made once for a network, not once a tick. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from controller.allocation.actuator import Direction
from controller.allocation.allocator import admitted
from controller.allocation.network import Network
from controller.allocation.tree import BoolArray, FloatArray, IntArray, Tree


@dataclass(frozen=True, slots=True)
class Plan:
    """tree: with guarantees that links and limits can carry; unlinked: the same, below limits of nodes alone.

    order: int64[n_leaves], the place of each leaf in the order of the VIF numbers; guarantee, limit, linked: of each
    VIF, in that order. fault: why guarantees had to be shrunk. bounded: the inner nodes that have a limit, by name.
    is_shared: whether VIFs have anything in common that bounds them.
    """

    tree: Tree
    unlinked: Tree
    order: IntArray
    guarantee_kbps: FloatArray
    limit_kbps: FloatArray
    linked: BoolArray
    fault: str | None
    bounded: Mapping[str, int]
    is_shared: bool

    def by_number(self, of_leaf: FloatArray) -> FloatArray:
        """What is known of each leaf, in the order of the VIF numbers."""
        found = np.empty_like(of_leaf)
        found[self.order] = of_leaf
        return found


def plan_of(network: Network, direction: Direction, keys: IntArray) -> Plan:
    """keys: the VIF numbers in ascending order."""
    tree, fault = admitted(network.tree(direction), network.capacity_kbps)
    order = np.searchsorted(keys, np.array(tree.leaf_keys, dtype=np.int64))
    place = np.empty_like(order)
    place[order] = tree.leaves
    inner = np.ones(len(tree.parent), dtype=np.bool_)
    inner[tree.leaves] = False
    bounded = {tree.names[node]: node for node in np.flatnonzero(inner & np.isfinite(tree.limit_kbps)).tolist()}
    return Plan(
        tree=tree,
        unlinked=replace(tree, link=np.full_like(tree.link, -1)),
        order=order,
        guarantee_kbps=tree.guarantee_kbps[place],
        limit_kbps=tree.limit_kbps[place],
        linked=tree.link[place] >= 0,
        fault=fault,
        bounded=bounded,
        is_shared=bool(bounded or (tree.link >= 0).any()),
    )
