"""The tree that bandwidth is divided over, in one direction, as arrays. Pure.

Node 0 is the root above all policies; every other node's parent has a smaller index. Leaves are VIFs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.allocation.form import BoolArray, FloatArray, Form, IntArray

__all__ = ["BoolArray", "FloatArray", "IntArray", "Tree", "TreeNode", "leaves_below", "totals", "tree_from", "tree_of"]


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A node as it is described: `parent` is an index into the same sequence, -1 for the root."""

    parent: int
    guarantee_kbps: float = 0.0
    limit_kbps: float = float("inf")
    weight: float = 1.0
    leaf_key: int | None = None  # VIF number, None for an inner node
    link: int | None = None  # index of the link that a leaf's traffic crosses, None: none
    name: str = ""  # policy path of an inner node: what the loop knows about it stays with its name


@dataclass(frozen=True)
class Tree:
    """The same as arrays of one element a node. What follows from its form is kept with it."""

    parent: IntArray
    guarantee_kbps: FloatArray
    limit_kbps: FloatArray
    weight: FloatArray
    link: IntArray  # -1: none
    leaves: IntArray  # node index of each leaf
    leaf_keys: tuple[int, ...]  # VIF number of each leaf
    names: tuple[str, ...]  # of each node; "node <index>" where none was given

    @cached_property
    def form(self) -> Form:
        """All but the guarantees, with what is worked out of it once."""
        return Form(self.parent, self.limit_kbps, self.weight, self.link, self.leaves, self.leaf_keys, self.names)


def tree_from(form: Form, guarantee_kbps: FloatArray) -> Tree:
    """A tree of this form; what was worked out of the form holds for it."""
    tree = Tree(
        parent=form.parent,
        guarantee_kbps=guarantee_kbps,
        limit_kbps=form.limit_kbps,
        weight=form.weight,
        link=form.link,
        leaves=form.leaves,
        leaf_keys=form.leaf_keys,
        names=form.names,
    )
    tree.__dict__["form"] = form
    return tree


def tree_of(nodes: Sequence[TreeNode]) -> Tree:
    """Raises ValueError when a parent does not come before its child or a number is negative."""
    for index, node in enumerate(nodes):
        if not -1 <= node.parent < index or (node.parent == -1) != (index == 0):
            raise ValueError(f"node {index}: parent {node.parent} does not come before it")
        if index and nodes[node.parent].leaf_key is not None:
            raise ValueError(f"node {index}: its parent {node.parent} is a leaf")
        if node.guarantee_kbps < 0 or node.limit_kbps < 0 or node.weight <= 0:
            raise ValueError(f"node {index}: guarantee and limit must not be negative, weight must be positive")
    leaves = [index for index, node in enumerate(nodes) if node.leaf_key is not None]
    return Tree(
        parent=np.array([node.parent for node in nodes], dtype=np.int64),
        guarantee_kbps=np.array([node.guarantee_kbps for node in nodes], dtype=np.float64),
        limit_kbps=np.array([node.limit_kbps for node in nodes], dtype=np.float64),
        weight=np.array([node.weight for node in nodes], dtype=np.float64),
        link=np.array([-1 if node.link is None else node.link for node in nodes], dtype=np.int64),
        leaves=np.array(leaves, dtype=np.int64),
        leaf_keys=tuple(nodes[index].leaf_key or 0 for index in leaves),
        names=tuple(node.name or f"node {index}" for index, node in enumerate(nodes)),
    )


def totals(tree: Tree, per_leaf: FloatArray) -> FloatArray:
    """Sum over the leaves below each node, itself included: float64[n_nodes]."""
    sums = np.zeros(len(tree.parent))
    levels = tree.form.whole
    below: FloatArray = np.empty(0)  # of the inner nodes of a level
    for at in range(len(levels) - 1, -1, -1):
        level = levels[at]
        value = np.concatenate([below, per_leaf[level.leaf]])
        sums[level.node] = value
        if at:
            below = np.asarray(np.bincount(level.above, weights=value, minlength=levels[at - 1].inner), np.float64)
    return sums


def leaves_below(tree: Tree, chosen: BoolArray) -> BoolArray:
    """Which leaves are, or are below, a chosen node. chosen: bool[n_nodes]. Returns bool[n_leaves]."""
    below = np.zeros(len(tree.leaves), dtype=np.bool_)
    inside = np.empty(0, dtype=np.bool_)
    for at, level in enumerate(tree.form.whole):
        inside = chosen[level.node] | inside[level.above] if at else chosen[level.node]
        below[level.leaf] = inside[level.inner :]
    return below
