"""The allocation law once more, in plain Python and node by node: what `allocator.max_min` is tested against.

Written from the text of the policy language, not from the allocator: recursion over lists, one sibling group at a time,
its lambda found by walking the points at which a sibling is satisfied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.allocation.tree import TreeNode

TOLERANCE = 1e-9
Amounts = dict[int, float]  # by node index


@dataclass
class Part:
    """A node as one link sees it: only what is below it and uses that link."""

    node: TreeNode
    index: int
    children: list[Part] = field(default_factory=list)
    demand: float = 0.0
    must: float = 0.0  # guarantees of leaves
    reserve: float = 0.0

    def claim(self, demands: Amounts) -> None:
        for child in self.children:
            child.claim(demands)
        below = self.children
        asked = sum(child.demand for child in below) if below else demands.get(self.index, 0.0)
        self.demand = min(self.node.limit_kbps, asked)
        own = min(self.node.guarantee_kbps, self.demand)
        self.must = sum(child.must for child in below) if below else own
        self.reserve = max(own, self.must, min(self.demand, sum(child.reserve for child in below)))

    def share_out(self, amount: float, shares: Amounts) -> None:
        if self.node.leaf_key is not None:
            shares[self.index] = amount
            return
        for child, part in zip(self.children, divide(self.children, amount), strict=True):
            child.share_out(part, shares)


def divide(siblings: list[Part], amount: float) -> list[float]:
    if amount >= sum(child.demand for child in siblings):
        return [child.demand for child in siblings]
    reserved = sum(child.reserve for child in siblings)
    if amount < reserved:
        must = sum(child.must for child in siblings)
        fraction = max(0.0, (amount - must) / (reserved - must)) if reserved > must else 1.0
        return [child.must + fraction * (child.reserve - child.must) for child in siblings]
    hungry = sorted(siblings, key=lambda child: (child.demand - child.reserve) / child.node.weight)
    left = amount - reserved
    while hungry:
        level = left / sum(child.node.weight for child in hungry)
        first = hungry[0]
        if (first.demand - first.reserve) / first.node.weight > level:
            break
        left -= first.demand - first.reserve
        hungry.pop(0)
    else:
        level = math.inf
    return [min(child.demand, child.reserve + child.node.weight * level) for child in siblings]


def reference_max_min(nodes: Sequence[TreeNode], demands: Amounts, capacities: Sequence[float]) -> Amounts:
    """Shares by index of leaf. demands: by index of leaf. Guarantees are taken to be admissible."""
    links = sorted(
        {node.link for node in nodes if node.leaf_key is not None}, key=lambda link: (link is not None, link)
    )

    def by_link(wants: Amounts) -> Amounts:
        shares: Amounts = {}
        for link in links:
            root = parts(nodes, [node.leaf_key is not None and node.link == link for node in nodes])
            root.claim(wants)
            root.share_out(min(root.demand, math.inf if link is None else capacities[link]), shares)
        return shares

    frozen: Amounts = {}
    while True:
        shares = by_link({**demands, **frozen})
        if len(links) < 2:
            return shares
        root = parts(nodes, [node.leaf_key is not None for node in nodes])
        root.claim(shares)
        held: Amounts = {}
        root.share_out(root.demand, held)
        if all(held[leaf] >= shares[leaf] * (1 - TOLERANCE) for leaf in held):
            return held
        for leaf in held:
            if any(is_full(nodes, held, node) for node in ancestors(nodes, leaf)):
                frozen[leaf] = held[leaf]


def parts(nodes: Sequence[TreeNode], chosen: list[bool]) -> Part:
    """The tree of the chosen leaves; the root even where nothing is below it."""
    made: dict[int, Part] = {}
    for index in range(len(nodes) - 1, -1, -1):
        if chosen[index] or index in made or index == 0:
            part = made.setdefault(index, Part(nodes[index], index))
            if index:
                parent = nodes[index].parent
                made.setdefault(parent, Part(nodes[parent], parent)).children.insert(0, part)
    return made[0]


def ancestors(nodes: Sequence[TreeNode], index: int) -> list[int]:
    """The node itself and all above it."""
    found = []
    while index >= 0:
        found.append(index)
        index = nodes[index].parent
    return found


def is_full(nodes: Sequence[TreeNode], shares: Amounts, index: int) -> bool:
    limit = nodes[index].limit_kbps
    below = sum(share for leaf, share in shares.items() if index in ancestors(nodes, leaf))
    return math.isfinite(limit) and below >= limit * (1 - TOLERANCE)
