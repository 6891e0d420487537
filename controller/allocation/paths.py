"""A VIF that talks both to its neighbours and through its uplink takes part in a link with one part only. Pure.

For the allocator such a VIF becomes a node with two leaves below it, each with its own demand; its numbers stay with
the node, so it is divided among its siblings as one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from controller.allocation.allocator import max_min
from controller.allocation.tree import FloatArray, Tree


def max_min_by_path(
    tree: Tree, local_kbps: FloatArray, link_kbps: FloatArray, capacity_kbps: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Shares of the leaves where a part of the demand crosses no link.

    local_kbps, link_kbps: demand, float64[n_leaves]; link_kbps is 0 for a leaf without a link.
    Returns (local share, link share), each float64[n_leaves]; together they obey the law. Raises AdmissionError.
    """
    mixed = np.flatnonzero((local_kbps > 0) & (link_kbps > 0))
    leaves, count = tree.leaves, len(tree.parent)
    own = np.minimum(tree.guarantee_kbps, tree.limit_kbps)[leaves[mixed]]
    for_link = np.minimum(own, link_kbps[mixed])
    link = tree.link.copy()
    link[leaves[link_kbps == 0]] = -1  # a sleeping or local VIF takes no part
    first = leaves.copy()
    first[mixed] = count + np.arange(len(mixed))
    nothing = np.full(2 * len(mixed), np.inf)
    split = replace(
        tree,
        parent=np.concatenate([tree.parent, leaves[mixed], leaves[mixed]]),
        guarantee_kbps=np.concatenate([tree.guarantee_kbps, for_link, own - for_link]),
        limit_kbps=np.concatenate([tree.limit_kbps, nothing]),
        weight=np.concatenate([tree.weight, np.ones(2 * len(mixed))]),
        link=np.concatenate([link, link[leaves[mixed]], np.full(len(mixed), -1)]),
        leaves=np.concatenate([first, count + len(mixed) + np.arange(len(mixed))]),
        names=tree.names + tuple(tree.names[node] for node in np.tile(leaves[mixed], 2)),
    )
    demand = np.concatenate([np.where(link_kbps > 0, link_kbps, local_kbps), local_kbps[mixed]])
    shares = max_min(split, demand, capacity_kbps)
    crosses = link_kbps > 0
    of_link = np.where(crosses, shares[: len(leaves)], 0.0)
    of_local = np.where(crosses, 0.0, shares[: len(leaves)])
    of_local[mixed] = shares[len(leaves) :]
    return of_local, of_link
