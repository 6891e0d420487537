"""The allocation law of the policy language: guarantee plus weighted part of the rest, level by level, exact. Pure.

Each link divides its capacity over the tree of those who use it, as the queue tree at an uplink does at packet time.
A node's limit holds for everything below it, through whichever link it goes, and is divided by the same law. Where the
two meet, the answer is the one in which both hold: each leaf gets the least of its demand, of what its link would give
it if it asked for more, and of what the limits above it would, as long as all others get what they get.
"""

from __future__ import annotations

import numpy as np

from controller.allocation.division import AdmissionError, divide, excess
from controller.allocation.settling import settle
from controller.allocation.tree import FloatArray, Tree, totals, tree_from
from controller.allocation.waterfill import sums

__all__ = ["AdmissionError", "admitted", "max_min", "max_min_and_rounds"]

_EXACT = 1e-12  # relative: more than a limit by less is rounding


def max_min(tree: Tree, demand_kbps: FloatArray, capacity_kbps: FloatArray) -> FloatArray:
    """Share of each leaf: guarantee plus weighted part of the rest, level by level (policy language, Allocation).

    demand_kbps: float64[n_leaves], inf for "as much as possible". capacity_kbps: float64[n_links].
    Returns float64[n_leaves]; every guarantee met that is demanded, no node above its limit, no link above capacity;
    inf for a leaf of infinite demand that nothing bounds.
    Raises AdmissionError if guarantees alone exceed a link or a node's limit.
    Source: progressive filling (water-filling) after Bertsekas & Gallager, Data Networks, 6.5.2, with guarantees first;
    between links and limits a stable allocation after Alkan & Gale, Stable schedule matching, 2003.
    """
    return max_min_and_rounds(tree, demand_kbps, capacity_kbps)[0]


def max_min_and_rounds(tree: Tree, demand_kbps: FloatArray, capacity_kbps: FloatArray) -> tuple[FloatArray, int]:
    """The same, and how often links and limits had to answer each other: 1 where no limit spans full links.

    At most `settling.ROUNDS`.
    """

    def links(demand: FloatArray) -> FloatArray:
        return divide(tree, tree.form.by_link, demand, capacity_kbps)

    def nodes(demand: FloatArray) -> FloatArray:
        over = totals(tree, demand) > tree.limit_kbps * (1 + _EXACT)
        return divide(tree, tree.form.whole, demand, capacity_kbps) if over.any() else demand

    return settle(links, nodes, demand_kbps, tree)


def admitted(tree: Tree, capacity_kbps: FloatArray) -> tuple[Tree, str | None]:
    """The tree, and None; or one with all guarantees shrunk alike so that links and limits can carry them, and why.

    With what this returns `max_min` refuses no demand.
    """
    usable = np.minimum(tree.guarantee_kbps, tree.limit_kbps)
    guarantee, link = usable[tree.leaves], tree.form.leaf_link
    needed = np.concatenate([totals(tree, guarantee), sums(link[link >= 0], guarantee[link >= 0], len(capacity_kbps))])
    room = np.concatenate([tree.limit_kbps, capacity_kbps])
    fraction = np.divide(room, needed, out=np.full_like(room, np.inf), where=needed > 0)
    worst = int(np.argmin(fraction))
    if fraction[worst] >= 1:
        return tree, None
    nodes = len(tree.parent)
    place = tree.names[worst] if worst < nodes else f"link {worst - nodes}"
    return tree_from(tree.form, usable * fraction[worst]), (
        f"{excess(place, needed[worst], room[worst])} Until then every guarantee counts {fraction[worst]:.0%}."
    )
