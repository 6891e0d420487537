"""A tree without its guarantees, and what follows from its form: worked out once and kept with it. Pure.

A division goes over the tree as its links see it: one tree a link, by levels, so that it is a few passes over arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes of one depth, one for each link that they have traffic on; inner nodes come first."""

    node: IntArray
    link: IntArray  # -1: none
    inner: int  # how many are inner
    leaf: IntArray  # index into the tree's leaves of each that is not inner
    above: IntArray  # position in the level above; empty in the first


@dataclass(frozen=True)
class Form:
    """Fields as in `tree.Tree`."""

    parent: IntArray
    limit_kbps: FloatArray
    weight: FloatArray
    link: IntArray
    leaves: IntArray
    leaf_keys: tuple[int, ...]
    names: tuple[str, ...]

    @cached_property
    def leaf_link(self) -> IntArray:
        """Of each leaf, -1: none."""
        return self.link[self.leaves]

    @cached_property
    def depth(self) -> IntArray:
        """Steps from each node up to the root: int64[n_nodes]."""
        depth = np.zeros(len(self.parent), dtype=np.int64)
        above = self.parent
        while (inside := above >= 0).any():
            depth += inside
            above = np.where(inside, self.parent[above], -1)
        return depth

    @cached_property
    def whole(self) -> tuple[Level, ...]:
        """All leaves in one tree, whatever their links, by depth."""
        return self._levels(np.full(len(self.leaves), -1, dtype=np.int64))

    @cached_property
    def by_link(self) -> tuple[Level, ...]:
        """A tree for each link, and one for the leaves that have none."""
        return self._levels(self.leaf_link)

    @cached_property
    def part(self) -> IntArray:
        """Of each leaf, from 0 on: equal where a chain of links and limits of nodes leads from one to the other."""
        top = np.full(len(self.parent), -1, dtype=np.int64)  # the highest node with a limit, of each node
        above = np.empty(0, dtype=np.int64)
        for at, level in enumerate(self.whole):
            own = np.where(np.isfinite(self.limit_kbps[level.node]), level.node, -1)
            above = np.where(above[level.above] >= 0, above[level.above], own) if at else own
            top[level.node] = above
        return connected((self.leaf_link, top[self.leaves]))

    @cached_property
    def split(self) -> Form:
        """Each leaf on a link as a node with two leaves below it: one on its link, one on none.

        The leaves in their order, of those on a link the part there; then the other parts.
        """
        places = np.flatnonzero(self.leaf_link >= 0)
        linked = self.leaves[places]
        nodes, extra = len(self.parent), len(places)
        first = self.leaves.copy()
        first[places] = nodes + np.arange(extra)
        return Form(
            parent=np.concatenate([self.parent, linked, linked]),
            limit_kbps=np.concatenate([self.limit_kbps, np.full(2 * extra, np.inf)]),
            weight=np.concatenate([self.weight, np.ones(2 * extra)]),
            link=np.concatenate([self.link, self.link[linked], np.full(extra, -1)]),
            leaves=np.concatenate([first, nodes + extra + np.arange(extra)]),
            leaf_keys=self.leaf_keys + tuple(self.leaf_keys[at] for at in places.tolist()),
            names=self.names + 2 * tuple(self.names[node] for node in linked.tolist()),
        )

    def _levels(self, link: IntArray) -> tuple[Level, ...]:
        """By depth, the roots first. link: of each leaf."""
        width = int(link.max(initial=-1)) + 2
        depth = self.depth[self.leaves]
        levels: list[Level] = []
        above = np.empty(0, dtype=np.int64)  # keys of the parents of what was placed last, one level down
        for at in range(int(depth.max(initial=0)), -1, -1):
            inner, position = np.unique(above, return_inverse=True)
            if levels:
                levels[-1] = replace(levels[-1], above=position.astype(np.int64))
            leaf = np.flatnonzero(depth == at)
            node = np.concatenate([inner // width, self.leaves[leaf]])
            links = np.concatenate([inner % width - 1, link[leaf]])
            levels.append(Level(node, links, len(inner), leaf, np.empty(0, dtype=np.int64)))
            above = self.parent[node] * width + links + 1
        return tuple(levels[::-1])


def connected(keys: Sequence[IntArray]) -> IntArray:
    """A number for each element, from 0 on: equal for those that share a key, themselves or through others.

    keys: int64[n] each, -1 for none; an element has one key of each kind.
    """
    part = np.arange(len(keys[0]))
    while True:  # the least number spreads
        before = part
        for key in keys:
            chosen = np.flatnonzero(key >= 0)
            least = np.full(int(key.max(initial=-1)) + 1, len(part), dtype=np.int64)
            np.minimum.at(least, key[chosen], part[chosen])
            part = part.copy()
            part[chosen] = least[key[chosen]]
        part = part[part]
        if (part == before).all():
            return np.unique(part, return_inverse=True)[1].astype(np.int64)
