"""Where links and the limits of nodes that span several links agree on who gets what. Pure.

The links divide what is asked, the nodes hold back what their limits do not allow of it, the links divide anew what
that leaves. A cap (what the nodes allow a leaf) only falls from round to round and what the links give the others only
rises, so the rounds lead to one answer. Where they would come near it in ever smaller steps, or in very many, a row of
steps is continued at once (`continuation`), and taken back where the next round shows that it went too far.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from controller.allocation.continuation import History
from controller.allocation.tree import BoolArray, FloatArray, IntArray, Tree

ROUNDS = 100  # the most; what is there then keeps every bound, and differs from the answer by little
_EXACT = 1e-11  # relative to what a leaf's link gives it, now or without the limits: a smaller step is none
_ROUNDING = 1e-13

Divide = Callable[[FloatArray], FloatArray]


def settle(links: Divide, nodes: Divide, demand_kbps: FloatArray, tree: Tree) -> tuple[FloatArray, int]:
    """Shares that both divide so, and the rounds that it took.

    links, nodes: the division of demands, float64[n_leaves], by the tree's links and by its nodes' limits.
    """
    alone = given = links(demand_kbps)
    held = nodes(given)
    if (held >= given).all():
        return given, 1
    part = tree.form.part
    parts = int(part.max(initial=-1)) + 1
    history = History(part)
    cap = safe = np.full(len(demand_kbps), np.inf)  # tried, and known not to be too low
    rounds = 1
    while True:
        small = _EXACT * np.maximum(alone, given)
        capped = np.isfinite(safe)
        too_low = _any(part, capped & (held > cap + small), parts)
        lowered = np.where(capped, np.minimum(held, cap), np.where(held < given * (1 - _ROUNDING), held, np.inf))
        lowered = np.where(too_low[part], safe, lowered)
        fresh = _any(part, np.isfinite(lowered) & ~capped, parts)
        step = np.subtract(cap, lowered, out=np.zeros(len(cap)), where=capped)
        moving = _any(part, step > small, parts) | too_low | fresh
        if rounds == ROUNDS or not moving.any():
            return np.minimum(held, given), rounds
        history.note(lowered, step, fresh, too_low)
        safe, cap = lowered, history.continued(lowered, moving)
        given = links(np.minimum(demand_kbps, cap))
        held = nodes(np.where(np.isfinite(safe), safe, given))
        rounds += 1


def _any(part: IntArray, which: BoolArray, parts: int) -> BoolArray:
    return np.bincount(part[which], minlength=parts) > 0
