"""The allocation law of the policy language: guarantee plus weighted part of the rest, level by level, exact. Pure.

Each link divides its capacity over the tree of those who use it, as the queue tree at an uplink does at packet time.
A node's limit holds for everything below it, through whichever link it goes. The rule where the two meet: when a node
with traffic on several links is full, it divides its limit by the same law among what the links gave, its leaves are
frozen at that, and what they leave of the links goes to the others. Each round freezes a node, so rounds are at most
the number of limited inner nodes; with one link there is one round.

A node's reserve is the most of its own guarantee and of what is reserved below it, as far as there is demand. The
leaves' own guarantees are hard. An inner node's guarantee beyond them is met as far as its link allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from controller.allocation.tree import BoolArray, FloatArray, IntArray, Tree, depths, leaves_below, totals
from controller.allocation.waterfill import Claims, fill, sums

_TOLERANCE = 1e-9  # relative: what rounding may do


class AdmissionError(ValueError):
    """Guarantees alone exceed a link or a node's limit, so no division can meet them."""


@dataclass(frozen=True, slots=True)
class _Level:
    """Nodes of one depth, one for each link that they have traffic on; inner nodes come first."""

    node: IntArray
    link: IntArray  # -1: none
    inner: int  # how many are inner
    leaf: IntArray  # index into the tree's leaves of each that is not inner
    above: IntArray  # position in the level above; empty in the first


def max_min(tree: Tree, demand_kbps: FloatArray, capacity_kbps: FloatArray) -> FloatArray:
    """Share of each leaf: guarantee plus weighted part of the rest, level by level (policy language, Allocation).

    demand_kbps: float64[n_leaves], inf for "as much as possible". capacity_kbps: float64[n_links].
    Returns float64[n_leaves]; every guarantee met that is demanded, no node above its limit, no link above capacity;
    inf for a leaf of infinite demand that nothing bounds.
    Raises AdmissionError if guarantees alone exceed a link or a node's limit.
    Source: progressive filling (water-filling) after Bertsekas & Gallager, Data Networks, 6.5.2, with guarantees first.
    """
    link = tree.link[tree.leaves]
    by_link = _levels(tree, link)
    shares = _divide(tree, by_link, demand_kbps, capacity_kbps)
    if len(np.unique(link)) < 2:
        return shares
    whole = _levels(tree, np.full_like(link, -1))
    frozen = np.zeros(len(shares), dtype=np.bool_)
    for _ in range(len(tree.parent)):
        held = _divide(tree, whole, shares, capacity_kbps)
        if (held >= shares * (1 - _TOLERANCE)).all():
            break
        full = np.isfinite(tree.limit_kbps) & (totals(tree, held) >= tree.limit_kbps * (1 - _TOLERANCE))
        frozen |= leaves_below(tree, full)
        shares = _divide(tree, by_link, np.where(frozen, held, demand_kbps), capacity_kbps)
    return held


def admitted(tree: Tree, capacity_kbps: FloatArray) -> tuple[Tree, str | None]:
    """The tree, and None; or one with all guarantees shrunk alike so that links and limits can carry them, and why.

    With what this returns `max_min` refuses no demand.
    """
    usable = np.minimum(tree.guarantee_kbps, tree.limit_kbps)
    guarantee, link = usable[tree.leaves], tree.link[tree.leaves]
    needed = np.concatenate([totals(tree, guarantee), sums(link[link >= 0], guarantee[link >= 0], len(capacity_kbps))])
    room = np.concatenate([tree.limit_kbps, capacity_kbps])
    fraction = np.divide(room, needed, out=np.full_like(room, np.inf), where=needed > 0)
    worst = int(np.argmin(fraction))
    if fraction[worst] >= 1:
        return tree, None
    nodes = len(tree.parent)
    place = tree.names[worst] if worst < nodes else f"link {worst - nodes}"
    return replace(tree, guarantee_kbps=usable * fraction[worst]), (
        f"{_excess(place, needed[worst], room[worst])} Until then every guarantee counts {fraction[worst]:.0%}."
    )


def _excess(place: str, needed_kbps: float, room_kbps: float) -> str:
    return (
        f"{place}: guarantees of {needed_kbps:.0f} kbit/s exceed what it may carry, {room_kbps:.0f} kbit/s. "
        "Lower guarantees of VIFs there, or raise the limit or the link's capacity."
    )


def _levels(tree: Tree, link: IntArray) -> list[_Level]:
    """The forest of one tree a link, by depth, the roots first. link: of each leaf, -1 for none."""
    depth = depths(tree)[tree.leaves]
    width = int(link.max(initial=-1)) + 2
    levels: list[_Level] = []
    above = np.empty(0, dtype=np.int64)  # keys of the parents of what was placed last, one level down
    for at in range(int(depth.max(initial=0)), -1, -1):
        inner, position = np.unique(above, return_inverse=True)
        if levels:
            below = levels[-1]
            levels[-1] = _Level(below.node, below.link, below.inner, below.leaf, position.astype(np.int64))
        leaf = np.flatnonzero(depth == at)
        node = np.concatenate([inner // width, tree.leaves[leaf]])
        links = np.concatenate([inner % width - 1, link[leaf]])
        levels.append(_Level(node, links, len(inner), leaf, np.empty(0, dtype=np.int64)))
        above = tree.parent[node] * width + links + 1
    return levels[::-1]


def _divide(tree: Tree, levels: list[_Level], demand_kbps: FloatArray, capacity_kbps: FloatArray) -> FloatArray:
    """One pass up for demands and reserves, one down for shares; each link by itself."""
    claims = _claims(tree, levels, demand_kbps)
    roots = levels[0]
    room = np.concatenate([capacity_kbps, [np.inf]])[roots.link]  # index -1, no link: no bound
    over = _first(claims[0].hard > room * (1 + _TOLERANCE))
    if over is not None:
        raise AdmissionError(_excess(f"link {roots.link[over]}", claims[0].hard[over], room[over]))
    amount = np.minimum(claims[0].demand, room)
    shares = np.zeros(len(tree.leaves))
    shares[roots.leaf] = amount[roots.inner :]
    for above, level, claim in zip(levels, levels[1:], claims[1:], strict=False):
        amount = fill(level.above, amount[: above.inner], claim)
        shares[level.leaf] = amount[level.inner :]
    return shares


def _claims(tree: Tree, levels: list[_Level], demand_kbps: FloatArray) -> list[Claims]:
    """What each node of each level asks for, from the leaves up."""
    claims: list[Claims] = []
    hard = soft = demand = np.empty(0)  # sums over the children of the level's inner nodes
    for at in range(len(levels) - 1, -1, -1):
        level = levels[at]
        limit, own = tree.limit_kbps[level.node], tree.guarantee_kbps[level.node]
        demand = np.minimum(limit, np.concatenate([demand, demand_kbps[level.leaf]]))
        met = np.minimum(own, demand)
        hard = np.concatenate([hard, met[level.inner :]])
        soft = np.maximum(met, np.minimum(demand, np.concatenate([soft, met[level.inner :]])))
        over = _first(hard > limit * (1 + _TOLERANCE))
        if over is not None:
            raise AdmissionError(_excess(tree.names[level.node[over]], hard[over], limit[over]))
        claims.append(Claims(hard, np.maximum(soft, hard), demand, tree.weight[level.node]))
        if at:
            hard, soft, demand = (
                sums(level.above, value, levels[at - 1].inner) for value in (claims[-1].hard, claims[-1].soft, demand)
            )
    return claims[::-1]


def _first(where: BoolArray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[0]) if found.size else None
