"""Random problems for the allocator: trees, demands and capacities, always admissible."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np

from controller.allocation.allocator import admitted
from controller.allocation.tree import FloatArray, Tree, TreeNode, tree_of
from tests.support.reference_allocator import Amounts

INF = math.inf


@dataclass(frozen=True)
class Problem:
    """demands: by index of leaf."""

    nodes: list[TreeNode]
    demands: Amounts
    capacities: list[float]

    @cached_property
    def tree(self) -> Tree:
        return tree_of(self.nodes)

    def asking(self, rng: Random) -> Problem:
        """The same tree under other demands."""
        demands = {leaf: rng.choice([0.0, 60 * rng.random(), INF]) for leaf in self.demands}
        other = Problem(self.nodes, demands, self.capacities)
        other.__dict__["tree"] = self.tree
        return other

    @property
    def demand(self) -> FloatArray:
        """In the order of the tree's leaves."""
        return np.array(list(self.demands.values()), dtype=np.float64)

    @property
    def capacity(self) -> FloatArray:
        return np.array(self.capacities, dtype=np.float64)

    def by_leaf(self, shares: FloatArray) -> Amounts:
        return dict(zip(self.demands, shares.tolist(), strict=True))


def problem(nodes: list[TreeNode], demands: Amounts, capacities: list[float]) -> Problem:
    """With guarantees that links and limits can carry."""
    tree, _ = admitted(tree_of(nodes), np.array(capacities))
    fair = [
        TreeNode(node.parent, guarantee, node.limit_kbps, node.weight, node.leaf_key, node.link)
        for node, guarantee in zip(nodes, tree.guarantee_kbps.tolist(), strict=True)
    ]
    return Problem(fair, demands, capacities)


def small_problem(rng: Random, most_links: int) -> Problem:
    """Up to nineteen leaves at any depth, figures that are round and coincide or are not. Of several links, or none."""
    nodes, inner, links = [TreeNode(-1)], [0], rng.randrange(1, most_links + 1)

    def rate(scale: float) -> float:
        return rng.choice([0.0, rng.randrange(1, 10) * scale / 10, rng.random() * scale])

    def limit(scale: float) -> float:
        return INF if rng.random() < 0.5 else rate(scale)

    for _ in range(rng.randrange(0, 8)):
        nodes.append(TreeNode(rng.choice(inner), rate(30), limit(60), rng.choice([1.0, 2.0, 3.5])))
        inner.append(len(nodes) - 1)
    for number in range(rng.randrange(1, 20)):
        link = None if most_links > 1 and rng.random() < 0.2 else rng.randrange(links)
        parent, weight = rng.choice(inner), rng.choice([1.0, 2.0, 0.5])
        nodes.append(TreeNode(parent, rate(10), limit(40), weight, leaf_key=number, link=link))
    capacities = [float(rng.randrange(10, 100)) for _ in range(links)]
    return problem(nodes, {at: limit(50) for at, node in enumerate(nodes) if node.leaf_key is not None}, capacities)


def tangled_problem(rng: Random, most_leaves: int, weights: float = 1.0) -> Problem:
    """Limited tenants over many links, few of which have room for all: nearly every limit and every link is full.

    weights: as how many powers of ten they differ from 1, up and down.
    """
    links, round_figures = rng.randrange(2, 2 + most_leaves // 8), rng.random() < 0.6
    nodes, inner = [TreeNode(-1)], [0]

    def rate(low: float, high: float) -> float:
        return float(rng.randrange(int(low), int(high))) if round_figures else rng.uniform(low, high)

    def weight() -> float:
        return 10 ** rng.uniform(-weights, weights) if rng.random() < 0.5 else 1.0

    for _ in range(rng.randrange(2, 4 + most_leaves // 5)):
        parent = 0 if rng.random() < 0.5 else rng.choice(inner)
        guarantee = rate(0, 8) if rng.random() < 0.3 else 0.0
        nodes.append(TreeNode(parent, guarantee, rate(8, 60) if rng.random() < 0.8 else INF, weight()))
        inner.append(len(nodes) - 1)
    for number in range(rng.randrange(4, most_leaves)):
        link = None if rng.random() < 0.1 else rng.randrange(links)
        guarantee, limit = (rate(0, 3) if rng.random() < 0.3 else 0.0), (rate(1, 40) if rng.random() < 0.2 else INF)
        nodes.append(TreeNode(rng.choice(inner), guarantee, limit, weight(), leaf_key=number, link=link))
    demands = {
        at: INF if rng.random() < 0.6 else rate(0, 30) for at, node in enumerate(nodes) if node.leaf_key is not None
    }
    return problem(nodes, demands, [rate(5, 60) for _ in range(links)])
