"""What is promised to each VIF of one link at this moment: its own guarantee, and its part of those above it. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.allocation.allocator import max_min
from controller.allocation.tree import BoolArray, FloatArray, Tree


def promised(tree: Tree, demand_kbps: FloatArray, on_link: BoolArray) -> FloatArray:
    """float64[n_leaves]; 0 off the link. Nobody may be held below this.

    demand_kbps: float64[n_leaves], may be inf. A VIF that sleeps keeps its own guarantee; what an inner node is
    guaranteed beyond those is divided among the VIFs below it that want it, by the law of the allocator.
    """
    demand = np.where(on_link, np.maximum(demand_kbps, tree.guarantee_kbps[tree.leaves]), 0.0)
    limit = tree.limit_kbps.copy()
    limit[0] = _reserve(tree, demand) * (1 + 1e-9)  # rounding must not make the guarantees exceed it
    alone = replace(tree, link=np.full_like(tree.link, -1), limit_kbps=limit)
    return np.where(on_link, max_min(alone, demand, np.empty(0)), 0.0)


def _reserve(tree: Tree, demand_kbps: FloatArray) -> float:
    """Of all: of each node the most of its own guarantee and what is reserved below it, as far as that is wanted."""
    want, reserve = np.zeros(len(tree.parent)), np.zeros(len(tree.parent))
    want[tree.leaves] = demand_kbps
    for node in range(len(tree.parent) - 1, 0, -1):  # children have greater indexes
        want[node] = min(want[node], tree.limit_kbps[node])
        reserve[node] = min(want[node], max(tree.guarantee_kbps[node], reserve[node]))
        want[tree.parent[node]] += want[node]
        reserve[tree.parent[node]] += reserve[node]
    return float(reserve[0])
