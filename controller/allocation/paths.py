"""A VIF that talks both to its neighbours and through its uplink takes part in a link with one part only. Pure.

For the allocator such a VIF is a node with two leaves below it, each with its own demand; its numbers stay with the
node, so it is divided among its siblings as one. More paths than these two no VIF has: its segment has one uplink.
"""

from __future__ import annotations

import numpy as np

from controller.allocation.allocator import max_min
from controller.allocation.tree import FloatArray, Tree, tree_from


def max_min_by_path(
    tree: Tree, local_kbps: FloatArray, link_kbps: FloatArray, capacity_kbps: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Shares of the leaves where a part of the demand crosses no link.

    local_kbps, link_kbps: demand, float64[n_leaves]; link_kbps is 0 for a leaf without a link.
    Returns (local share, link share), each float64[n_leaves]; together they obey the law. Raises AdmissionError.
    """
    linked = tree.form.leaf_link >= 0
    if not (linked & (local_kbps > 0)).any():
        shares = max_min(tree, np.where(linked, link_kbps, local_kbps), capacity_kbps)
        return np.where(linked, 0.0, shares), np.where(linked, shares, 0.0)
    own = np.minimum(tree.guarantee_kbps, tree.limit_kbps)[tree.leaves[linked]]
    for_link = np.minimum(own, link_kbps[linked])  # the link's reserve is for what crosses it
    split = tree_from(tree.form.split, np.concatenate([tree.guarantee_kbps, for_link, own - for_link]))
    demand = np.concatenate([np.where(linked, link_kbps, local_kbps), local_kbps[linked]])
    shares = max_min(split, demand, capacity_kbps)
    local, link = shares[: len(linked)].copy(), np.where(linked, shares[: len(linked)], 0.0)
    local[linked] = shares[len(linked) :]
    return local, link
