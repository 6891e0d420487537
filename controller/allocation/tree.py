"""The tree that bandwidth is divided over, in one direction, as arrays. Pure.

Node 0 is the root above all policies; every other node's parent has a smaller index. Leaves are VIFs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


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


@dataclass(frozen=True, slots=True)
class Tree:
    """The same as arrays of one element a node."""

    parent: IntArray
    guarantee_kbps: FloatArray
    limit_kbps: FloatArray
    weight: FloatArray
    link: IntArray  # -1: none
    leaves: IntArray  # node index of each leaf
    leaf_keys: tuple[int, ...]  # VIF number of each leaf
    names: tuple[str, ...]  # of each node; "node <index>" where none was given


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


def depths(tree: Tree) -> IntArray:
    """Steps from each node up to the root: int64[n_nodes]."""
    depth = np.zeros(len(tree.parent), dtype=np.int64)
    above = tree.parent
    while (inside := above >= 0).any():
        depth += inside
        above = np.where(inside, tree.parent[above], -1)
    return depth


def totals(tree: Tree, per_leaf: FloatArray) -> FloatArray:
    """Sum over the leaves below each node, itself included: float64[n_nodes]."""
    sums = np.zeros(len(tree.parent))
    node, value = tree.leaves, per_leaf
    while node.size:
        sums += np.bincount(node, weights=value, minlength=len(sums))
        node = tree.parent[node]
        node, value = node[node >= 0], value[node >= 0]
    return sums


def leaves_below(tree: Tree, chosen: BoolArray) -> BoolArray:
    """Which leaves are, or are below, a chosen node. chosen: bool[n_nodes]. Returns bool[n_leaves]."""
    below = chosen[tree.leaves]
    node = tree.parent[tree.leaves]
    while (inside := node >= 0).any():
        below |= inside & chosen[node]
        node = np.where(inside, tree.parent[node], -1)
    return below
