"""The allocation law once more, in plain Python and node by node: what `allocator.max_min` is tested against.

Written from the text of the policy language, not from the allocator: recursion over lists, one sibling group at a time,
its lambda found by walking the points at which a sibling is satisfied. Where limits span links, `objections` asks for
each leaf what the law says of it (decision 41), and `reference_max_min` walks there in small steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.allocation.tree import TreeNode

TOLERANCE = 1e-9
STEPS = 1000
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
    nominal: float = 0.0  # the reserve, whatever is asked

    def claim(self, demands: Amounts) -> None:
        for child in self.children:
            child.claim(demands)
        below = self.children
        asked = sum(child.demand for child in below) if below else demands.get(self.index, 0.0)
        self.demand = min(self.node.limit_kbps, asked)
        own = min(self.node.guarantee_kbps, self.demand)
        self.must = sum(child.must for child in below) if below else own
        self.reserve = max(own, self.must, min(self.demand, sum(child.reserve for child in below)))
        usable = min(self.node.guarantee_kbps, self.node.limit_kbps)
        self.nominal = max(usable, min(self.node.limit_kbps, sum(child.nominal for child in below)))

    def share_out(self, amount: float, shares: Amounts) -> None:
        if self.node.leaf_key is not None:
            shares[self.index] = amount
            return
        for child, part in zip(self.children, divide(self.children, amount), strict=True):
            child.share_out(part, shares)


def divide(siblings: list[Part], amount: float) -> list[float]:
    if amount >= sum(child.demand for child in siblings):
        return [child.demand for child in siblings]
    if amount < sum(child.reserve for child in siblings):
        return rise([(child.must, child.reserve, max(child.nominal - child.must, 0.0)) for child in siblings], amount)
    return rise([(child.reserve, child.demand, child.node.weight) for child in siblings], amount)


def rise(members: list[tuple[float, float, float]], amount: float) -> list[float]:
    """min(top, bottom + weight * level) for each (bottom, top, weight), with the one level that uses the amount up."""

    def needed(bottom: float, top: float, weight: float) -> float:  # the level at which it has its top
        return (top - bottom) / weight if top > bottom else 0.0

    left = amount - math.fsum(bottom for bottom, _, _ in members)
    hungry = sorted((member for member in members if member[1] > member[0]), key=lambda member: needed(*member))
    level = math.inf
    while hungry:
        level = max(left, 0.0) / math.fsum(weight for _, _, weight in hungry)
        if needed(*hungry[0]) > level:
            break
        bottom, top, _ = hungry.pop(0)
        left -= top - bottom
        level = math.inf
    return [min(top, bottom + weight * level) if top > bottom else top for bottom, top, weight in members]


def reference_max_min(nodes: Sequence[TreeNode], demands: Amounts, capacities: Sequence[float]) -> Amounts:
    """Shares by index of leaf. demands: by index of leaf. Guarantees are taken to be admissible.

    Where limits span full links it comes near the answer only, as a row of ever smaller steps does.
    """
    caps: Amounts = {}
    held: Amounts = {}
    for _ in range(STEPS):
        shares = by_link(
            nodes, {leaf: min(asked, caps.get(leaf, math.inf)) for leaf, asked in demands.items()}, capacities
        )
        held = by_limits(nodes, shares)
        lower = {leaf: held[leaf] for leaf in held if held[leaf] < shares[leaf] * (1 - TOLERANCE)}
        if not lower:
            break
        caps.update(lower)
    return held


def by_link(nodes: Sequence[TreeNode], demands: Amounts, capacities: Sequence[float]) -> Amounts:
    """What the links give of this, each by itself."""
    shares: Amounts = {}
    for link in {nodes[leaf].link for leaf in demands}:
        root = parts(nodes, [node.leaf_key is not None and node.link == link for node in nodes])
        root.claim(demands)
        root.share_out(min(root.demand, math.inf if link is None else capacities[link]), shares)
    return shares


def by_limits(nodes: Sequence[TreeNode], demands: Amounts) -> Amounts:
    """What the limits of all nodes allow of this, wherever it goes."""
    shares: Amounts = {}
    root = parts(nodes, [node.leaf_key is not None for node in nodes])
    root.claim(demands)
    root.share_out(root.demand, shares)
    return shares


def objections(
    nodes: Sequence[TreeNode], demands: Amounts, capacities: Sequence[float], shares: Amounts, slack: float = 1e-9
) -> list[str]:
    """What is wrong with these shares by the law itself: nothing where they are the law's.

    A leaf may have less than it asks for only if its link, or the limits above it, would give it no more although it
    alone asked for more than it has; and what all have must be what links and limits give when that is asked for.
    """
    wrong = []
    for name, given in (("links", by_link(nodes, shares, capacities)), ("limits", by_limits(nodes, shares))):
        wrong += [
            f"{name} give leaf {leaf} {given[leaf]!r}, not {share!r}"
            for leaf, share in shares.items()
            if given[leaf] < share * (1 - slack) - slack
        ]
    for leaf, share in shares.items():
        if share > demands[leaf]:
            wrong.append(f"leaf {leaf} has {share!r}, more than it asks for")
        if share >= demands[leaf] * (1 - slack) - slack:
            continue
        asking = {**shares, leaf: demands[leaf]}
        beside = {other: asked for other, asked in asking.items() if nodes[other].link == nodes[leaf].link}
        enough = share * (1 + slack) + slack
        if by_link(nodes, beside, capacities)[leaf] > enough and by_limits(nodes, asking)[leaf] > enough:
            wrong.append(f"leaf {leaf} has {share!r} though both its link and the limits above it offer more")
    return wrong


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
