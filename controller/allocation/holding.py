"""What the loop holds each VIF to below a node whose limit it keeps itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from controller.allocation.allocator import max_min
from controller.allocation.estimator import Estimate
from controller.allocation.plan import Plan
from controller.allocation.settings import Settings
from controller.allocation.tree import BoolArray, FloatArray, leaves_below, totals

_NO_LINKS = np.empty(0)


@dataclass(frozen=True, slots=True)
class Claims:
    """What each leaf asks for below the nodes, float64[n_leaves]; inf: as much as possible.

    tight: what is set aside for it. One that nothing here holds back takes no more than what passes, or a tenth of its
    traffic would be nobody's. roomy: what it is held to once that is met, so that it can be seen to want more.
    """

    tight_kbps: FloatArray
    roomy_kbps: FloatArray


def claims_of(seen: Estimate, link_kbps: FloatArray, through_link_kbps: FloatArray, settings: Settings) -> Claims:
    """link: its part of its link by our picture, through_link: what does cross it; float64[n_leaves].

    A link may give more than our picture of it says. Below a node's limit what passes counts, not the picture. And what
    one wants that was held back a moment ago is what it wanted then, not everything.
    """

    crossing = np.minimum(seen.link_demand_kbps, np.maximum(link_kbps, through_link_kbps * settings.headroom))
    roomy = seen.local_demand_kbps + crossing
    exact = seen.local_demand_kbps + np.maximum(link_kbps, through_link_kbps)
    is_free = ~seen.limited & ~np.isnan(seen.passed_kbps)
    tight = np.where(is_free, roomy / settings.headroom, np.where(seen.only_at_link, exact, roomy))
    return Claims(np.minimum(tight, seen.recalled_kbps), np.minimum(roomy, seen.recalled_kbps * settings.headroom))


def rates(plan: Plan, nodes: Mapping[str, int], claims: Claims, silent: BoolArray, settings: Settings) -> FloatArray:
    """float64[n_leaves]: what to hold each leaf to; inf where no engaged node is above it.

    nodes: the engaged ones, with the ticks for which that was no longer needed. silent: which leaves nobody sees.

    Below one a VIF may have its share, and never less than it would get if it and all others there woke up: so a
    sleeper finds its guarantee and its part waiting, and if all wake at once they pass at most twice the limit for one
    tick.

    One without statistics has just that part, set aside for it: nobody sees what it sends, so it may not have what
    others leave, and what it is held to is not given to others.
    """
    tree = plan.unlinked
    chosen = np.zeros(len(tree.parent), dtype=np.bool_)
    chosen[[plan.bounded[name] for name in nodes]] = True
    held = leaves_below(tree, chosen)
    awake = max_min(tree, np.where(held, np.inf, claims.roomy_kbps), _NO_LINKS)
    claim = np.where(silent & held, awake, claims.tight_kbps)
    share = max_min(tree, claim, _NO_LINKS)
    satisfied = ~silent & np.isfinite(claim) & (share >= claim * (1 - 1e-9))
    rate = np.maximum(np.maximum(share, awake), np.where(satisfied, claims.roomy_kbps, 0.0))
    rate = np.maximum(rate, np.where(silent, 0.0, share + _left(plan, nodes, share, settings)))
    return np.where(held, rate, np.inf)


def _left(plan: Plan, nodes: Mapping[str, int], share_kbps: FloatArray, settings: Settings) -> FloatArray:
    """What each leaf could take beside its share if it alone woke up, where nodes have been at ease for some ticks.

    So the first packets of a burst into an idle node need not wait for a tick. More than one may take it at once; where
    that happened of late the node is not at ease, and nobody may.
    """
    tree = plan.unlinked
    left = np.where(np.isfinite(tree.limit_kbps), np.maximum(tree.limit_kbps - totals(tree, share_kbps), 0.0), np.inf)
    left[[plan.bounded[name] for name, quiet in nodes.items() if quiet < settings.ease_ticks]] = 0.0
    found, node = np.full(len(tree.leaves), np.inf), tree.parent[tree.leaves]
    while (inside := node >= 0).any():
        found = np.where(inside, np.minimum(found, left[node]), found)
        node = np.where(inside, tree.parent[node], -1)
    return found
