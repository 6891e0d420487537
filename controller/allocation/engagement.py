"""Which inner nodes' limits the loop itself must keep. Pure.

Traffic through an uplink is held by the queue tree there. What goes past that tree (between VIFs of one host, through
other uplinks, or towards the VIFs) shares no queue, so a node's limit on it holds only if the loop holds its VIFs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from controller.allocation.settings import Settings
from controller.allocation.tree import FloatArray, Tree, totals
from controller.allocation.waterfill import sums


@dataclass(frozen=True, slots=True)
class Load:
    """Of each leaf, float64[n_leaves]: its share, and what now passes without and with crossing its link.

    loose_kbps: what it could send if nothing held it and nobody saw it; 0 with statistics.
    """

    share_kbps: FloatArray
    local_kbps: FloatArray
    link_kbps: FloatArray
    loose_kbps: FloatArray


def engaged(tree: Tree, load: Load, before: Mapping[str, int], settings: Settings) -> dict[str, int]:
    """Names of the inner nodes whose limit the loop keeps, with the ticks for which that was no longer needed.

    A node is engaged when the shares below it come near its limit and a part of the traffic goes past the one queue
    tree that would hold it; released when either has clearly ended for some ticks. What has no statistics engages
    nothing, but while it could fill the node nothing has clearly ended. before: the last answer.
    """
    inner = np.ones(len(tree.parent), dtype=np.bool_)
    inner[tree.leaves] = False
    limited = np.flatnonzero(inner & np.isfinite(tree.limit_kbps) & (tree.limit_kbps > 0))
    if not limited.size:
        return {}
    limit = tree.limit_kbps[limited]
    fill = totals(tree, load.share_kbps)[limited] / limit
    unheld = _unheld(tree, load)[limited] / limit
    loose = totals(tree, load.loose_kbps)[limited] / limit
    enter = (fill >= settings.engage_fill) & (unheld >= settings.engage_unheld)
    full = fill + loose >= settings.release_fill
    stay = full & (unheld + loose >= settings.release_unheld)
    result = {}
    for node, enters, stays in zip(limited.tolist(), enter.tolist(), stay.tolist(), strict=True):
        name = tree.names[node]
        quiet = 0 if enters or stays else before.get(name, 0) + 1
        if enters or (name in before and quiet < settings.release_ticks):
            result[name] = quiet
    return result


def _unheld(tree: Tree, load: Load) -> FloatArray:
    """Traffic below each node, less that through the link that carries most of it: float64[n_nodes]."""
    nodes = len(tree.parent)
    width = int(tree.link.max(initial=-1)) + 1
    crosses = tree.link[tree.leaves] >= 0
    node, link, value = tree.leaves[crosses], tree.link[tree.leaves][crosses], load.link_kbps[crosses]
    keys, values = [], []
    while node.size:
        keys.append(node * width + link)
        values.append(value)
        node = tree.parent[node]
        inside = node >= 0
        node, link, value = node[inside], link[inside], value[inside]
    held = np.zeros(nodes)
    if keys:
        pairs, pair = np.unique(np.concatenate(keys), return_inverse=True)
        np.maximum.at(held, pairs // width, sums(pair, np.concatenate(values), len(pairs)))
    return totals(tree, load.local_kbps + load.link_kbps) - held
