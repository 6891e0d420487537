"""Divides amounts over trees by the law, level by level: one pass up for what is asked, one down for shares. Pure.

A node's reserve is the most of its own guarantee and of what is reserved below it, as far as there is demand. The
leaves' own guarantees are hard. An inner node's guarantee beyond them is met as far as its link allows.
"""

from __future__ import annotations

import numpy as np

from controller.allocation.form import Level
from controller.allocation.tree import BoolArray, FloatArray, Tree
from controller.allocation.waterfill import Claims, fill, sums

_TOLERANCE = 1e-9  # relative: what rounding may do to sums of guarantees


class AdmissionError(ValueError):
    """Guarantees alone exceed a link or a node's limit, so no division can meet them."""


def excess(place: str, needed_kbps: float, room_kbps: float) -> str:
    return (
        f"{place}: guarantees of {needed_kbps:.0f} kbit/s exceed what it may carry, {room_kbps:.0f} kbit/s. "
        "Lower guarantees of VIFs there, or raise the limit or the link's capacity."
    )


def divide(tree: Tree, levels: tuple[Level, ...], demand_kbps: FloatArray, capacity_kbps: FloatArray) -> FloatArray:
    """Shares of the tree's leaves, each link by itself. levels: the tree's `whole` or `by_link`.

    demand_kbps: float64[n_leaves]; capacity_kbps: float64[n_links]. Raises AdmissionError.
    """
    claims = _claims(tree, levels, demand_kbps)
    roots = levels[0]
    room = np.concatenate([capacity_kbps, [np.inf]])[roots.link]  # index -1, no link: no bound
    over = _first(claims[0].hard > room * (1 + _TOLERANCE))
    if over is not None:
        raise AdmissionError(excess(f"link {roots.link[over]}", claims[0].hard[over], room[over]))
    amount = np.minimum(claims[0].demand, room)
    shares = np.zeros(len(tree.leaves))
    shares[roots.leaf] = amount[roots.inner :]
    for above, level, claim in zip(levels, levels[1:], claims[1:], strict=False):
        amount = fill(level.above, amount[: above.inner], claim)
        shares[level.leaf] = amount[level.inner :]
    return shares


def _claims(tree: Tree, levels: tuple[Level, ...], demand_kbps: FloatArray) -> list[Claims]:
    """What each node of each level asks for, from the leaves up."""
    claims: list[Claims] = []
    hard = soft = reserve = demand = np.empty(0)  # sums over the children of the level's inner nodes
    for at in range(len(levels) - 1, -1, -1):
        level = levels[at]
        limit, own = tree.limit_kbps[level.node], tree.guarantee_kbps[level.node]
        demand = np.minimum(limit, np.concatenate([demand, demand_kbps[level.leaf]]))
        own = np.minimum(own, limit)
        met = np.minimum(own, demand)
        hard = np.concatenate([hard, met[level.inner :]])
        over = _first(hard > limit * (1 + _TOLERANCE))
        if over is not None:
            raise AdmissionError(excess(tree.names[level.node[over]], hard[over], limit[over]))
        soft = np.maximum(met, np.minimum(demand, np.concatenate([soft, met[level.inner :]])))
        reserve = np.maximum(own, np.minimum(limit, np.concatenate([reserve, own[level.inner :]])))
        claims.append(Claims(hard, np.maximum(soft, hard), np.maximum(reserve, hard), demand, tree.weight[level.node]))
        if at:
            last = claims[-1]
            hard, soft, reserve, demand = (
                sums(level.above, value, levels[at - 1].inner) for value in (last.hard, last.soft, last.reserve, demand)
            )
    return claims[::-1]


def _first(where: BoolArray) -> int | None:
    found = np.flatnonzero(where)
    return int(found[0]) if found.size else None
