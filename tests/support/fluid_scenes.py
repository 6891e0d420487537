"""Random small scenes for the laws of the loop, and what must hold at each of its ticks whatever it is told."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from controller.allocation.network import Network
from controller.allocation.tree import TreeNode, totals
from lab.fluid.closed import ClosedLoop, Ticked
from lab.fluid.described import Flow, FluidVif, scene_of
from lab.fluid.plant import Scene
from lab.fluid.senders import CONSTANT, CUBIC, PACED

INF = math.inf
STEADY = (CONSTANT,)
MIXED = (CONSTANT, CUBIC, PACED)


@st.composite
def scenes(draw: st.DrawFn, kinds: tuple[int, ...] = MIXED, most: int = 6) -> Scene:
    """Two tenants, one with a team below it, limits in either direction, up to `most` VIFs on two uplinks or none."""
    rates = st.sampled_from([30e3, 60e3, INF, 100e3])
    inner = [TreeNode(-1), *(TreeNode(0, 0, draw(rates), name=f"t{i}") for i in range(2))]
    inner.append(TreeNode(1, 0, draw(rates), 2.0, name="t0/team"))
    into = [
        TreeNode(node.parent, 0, draw(rates) if at else INF, node.weight, name=node.name)
        for at, node in enumerate(inner)
    ]
    wishes, kind = st.sampled_from([150e3, 40e3, 12e3, 1e3]), st.sampled_from(kinds)
    vifs = []
    for number in range(1, draw(st.integers(2, most)) + 1):
        link = draw(st.sampled_from([None, None, 0, 1]))
        limit, weight = draw(st.sampled_from([20e3, 50e3, 80e3])), draw(st.sampled_from([1.0, 3.0]))
        leaf = TreeNode(draw(st.integers(1, 3)), draw(st.sampled_from([0.0, 2e3, 5e3])), limit, weight, number, link)
        ways = draw(st.sampled_from(["local", "inward"] if link is None else ["local", "link", "both", "inward"]))
        flow = {way: Flow(draw(wishes), draw(kind)) for way in ("local", "link", "inward") if way == ways}
        if ways == "both":
            flow = {way: Flow(draw(wishes), draw(kind)) for way in ("local", "link")}
        vifs.append(FluidVif(leaf, **flow, shaped=draw(st.booleans()), ingress_limit_kbps=limit))
    return scene_of(inner, vifs, [60e3, 40e3], into)


def assert_bounds(network: Network, ticked: Ticked) -> None:
    """What holds at every tick: nothing is allocated above a limit or a link, nothing below a demanded guarantee."""
    for direction in ("egress", "ingress"):
        tree, figures = network.tree(direction), ticked.figures(direction)
        order = np.searchsorted(figures.keys, np.array(tree.leaf_keys, dtype=np.int64))
        share, demand = figures.allocated_kbps[order], figures.demand_kbps[order]
        rate, guarantee = figures.enforced_kbps[order], tree.guarantee_kbps[tree.leaves]
        assert not np.isnan(share).any()
        assert (totals(tree, share) <= tree.limit_kbps * (1 + 1e-6)).all()
        assert (share >= np.minimum(guarantee, demand) - 1e-3).all()
        assert (rate >= guarantee).all() and (rate >= 1).all()
        for link, capacity in enumerate(network.capacity_kbps.tolist()):
            across = (tree.link[tree.leaves] == link) & ~(figures.local_kbps[order] > 0)
            assert share[across].sum() <= capacity * (1 + 1e-6)  # of the others a part crosses the link


def history(loop: ClosedLoop, ticks: int) -> list[Ticked]:
    """So many ticks, each of which keeps what holds at every tick."""
    network, found = loop.plant.scene.network(), []
    for _ in range(ticks):
        found.append(loop.tick())
        assert_bounds(network, found[-1])
    return found


def below_nodes(scene: Scene, ticks: list[Ticked]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By direction: what passed below each node on average of these ticks, and the node's limit."""
    network, delivered = scene.network(), np.mean([ticked.passed.delivered_kbps for ticked in ticks], axis=0)
    found = {}
    for direction, ways in (("egress", slice(0, 2)), ("ingress", slice(2, 3))):
        tree = network.tree(direction)
        order = np.searchsorted(scene.numbers, np.array(tree.leaf_keys, dtype=np.int64))
        found[direction] = totals(tree, delivered[order, ways].sum(axis=1)), tree.limit_kbps
    return found


def on(from_s: float, until_s: float, rate_kbps: float) -> Callable[[float], float]:
    """A wish for a time."""
    return lambda time_s: rate_kbps if from_s < time_s <= until_s + 1e-6 else 0.0
