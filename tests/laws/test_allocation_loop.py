"""What the loop does in scenes of the fluid simulator whose outcome the policy language gives by arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from controller.allocation.loop import initial
from controller.allocation.tree import TreeNode
from lab.fluid.closed import ClosedLoop
from lab.fluid.described import Flow, FluidVif, scene_of
from lab.fluid.senders import CONSTANT, CUBIC, PACED
from tests.support.fluid_scenes import assert_bounds, history, on

TENANTS = ((30e3, 1.0), (10e3, 3.0), (0.0, 1.0))  # guarantee, weight


@pytest.mark.parametrize("kind", [CONSTANT, CUBIC, PACED])
def test_a_tenants_share_goes_to_the_others_and_back_within_three_ticks(kind) -> None:
    inner = [TreeNode(-1), *(TreeNode(0, g, weight=w, name=f"t{i}") for i, (g, w) in enumerate(TENANTS))]
    pauses = Flow(lambda time_s: 200e3 if time_s <= 5 or time_s > 12 else 0.0)
    flows = {1: pauses, 2: Flow(200e3, kind), 3: Flow(200e3, kind)}
    vifs = [
        FluidVif(TreeNode(number, TENANTS[number - 1][0], 80e3, leaf_key=number, link=0), link=flow)
        for number, flow in flows.items()
    ]
    ticks = history(ClosedLoop(scene_of(inner, vifs, [60e3])), 18)
    allocated = [ticked.figures("egress").allocated_kbps / 1e3 for ticked in ticks]
    assert allocated[4] == pytest.approx([34, 22, 4], rel=0.02)
    assert allocated[7][0] == 0 and allocated[7][1] >= 0.98 * 47.5
    assert allocated[11] == pytest.approx([0, 47.5, 12.5], rel=0.02)
    assert allocated[12][0] >= 30  # its guarantee at the first tick that sees it
    assert allocated[14] == pytest.approx([34, 22, 4], rel=0.02)
    passed = np.array([ticked.passed.delivered_kbps[:, 1] / 1e3 for ticked in ticks])
    assert passed[12][0] >= 30  # and it passed before any tick had seen it
    if kind == CONSTANT:
        assert passed[11] == pytest.approx([0, 47.5, 12.5], rel=0.02)


def test_a_sleeper_below_an_engaged_node_wakes_to_its_guarantee_at_once() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")]
    vifs = [
        FluidVif(TreeNode(1, 40e3, 90e3, leaf_key=1), local=Flow(on(8, 99, 200e3))),
        FluidVif(TreeNode(1, 0, 90e3, leaf_key=2), local=Flow(200e3)),
        FluidVif(TreeNode(1, 0, 90e3, leaf_key=3), local=Flow(200e3)),
    ]
    ticks = history(ClosedLoop(scene_of(inner, vifs)), 14)
    assert ticks[6].decisions.engaged["egress"] == {"t"}
    assert ticks[6].decisions.egress[1].enforced_kbps >= 40e3
    assert ticks[6].decisions.egress[2].enforced_kbps == 50e3
    assert ticks[8].passed.delivered_kbps[0, 0] >= 40e3  # in the very tick in which it woke
    assert ticks[-1].figures("egress").allocated_kbps == pytest.approx([60e3, 20e3, 20e3], rel=0.02)
    assert ticks[-1].passed.delivered_kbps.sum() <= 100e3 * 1.03


def test_who_is_content_leaves_nearly_all_of_the_rest_to_who_is_not() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")]
    vifs = [
        FluidVif(TreeNode(1, 0, 90e3, leaf_key=n), local=Flow(wish)) for n, wish in ((1, 25e3), (2, 25e3), (3, 90e3))
    ]
    ticks = history(ClosedLoop(scene_of(inner, vifs)), 10)
    passed = ticks[-1].passed.delivered_kbps[:, 0]
    assert passed[:2] == pytest.approx([25e3, 25e3], rel=0.01)
    assert 0.98 * 50e3 <= passed[2] <= 50e3


def test_the_first_second_of_a_burst_into_an_idle_node_has_all_that_is_left() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")]
    bursts = Flow(lambda time_s: 300e3 if time_s <= 4 or time_s > 12 else 0.0)
    vifs = [
        FluidVif(TreeNode(1, 0, 300e3, leaf_key=1), local=bursts),
        *(FluidVif(TreeNode(1, 0, 90e3, leaf_key=n), local=Flow(10e3)) for n in (2, 3)),
    ]
    ticks = history(ClosedLoop(scene_of(inner, vifs)), 16)
    assert ticks[11].decisions.engaged["egress"] == {"t"}
    for ticked in ticks[12:]:
        assert 0.98 * 80e3 <= ticked.passed.delivered_kbps[0, 0] <= 80e3


def test_an_inner_ingress_limit_is_kept_by_the_loop() -> None:
    inner = [TreeNode(-1), TreeNode(0, name="t")]
    vifs = [
        FluidVif(TreeNode(1, leaf_key=number), inward=flow, ingress_limit_kbps=80e3)
        for number, flow in ((1, Flow(70e3)), (2, Flow(math.inf, CUBIC)), (3, Flow(10e3)))
    ]
    scene = scene_of(inner, vifs, ingress_inner=[TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")])
    last = history(ClosedLoop(scene), 12)[-1]
    assert last.decisions.engaged["ingress"] == {"t"} and not last.decisions.engaged["egress"]
    assert last.passed.delivered_kbps[:, 2].sum() == pytest.approx(100e3, rel=0.05)
    assert last.passed.delivered_kbps[2, 2] == pytest.approx(10e3, rel=0.01)


def test_a_node_held_by_its_uplink_tree_is_left_to_it() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=40e3, name="t")]
    vifs = [
        FluidVif(TreeNode(1, 0, 80e3, leaf_key=number, link=0), link=flow)
        for number, flow in ((1, Flow(70e3)), (2, Flow(math.inf, CUBIC)))
    ]
    ticks = history(ClosedLoop(scene_of(inner, vifs, [60e3])), 10)
    assert not any(ticked.decisions.changes for ticked in ticks)
    assert ticks[-1].figures("egress").allocated_kbps == pytest.approx([20e3, 20e3], rel=0.02)


def test_a_tenants_total_over_two_uplinks_is_kept_by_the_loop() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=50e3, name="t")]
    vifs = [FluidVif(TreeNode(1, 0, 80e3, leaf_key=n, link=n - 1), link=Flow(70e3)) for n in (1, 2)]
    ticks = history(ClosedLoop(scene_of(inner, vifs, [60e3, 60e3])), 10)
    assert ticks[0].passed.delivered_kbps.sum() > 90e3  # each uplink keeps it for itself
    assert ticks[-1].passed.delivered_kbps[:, 1] == pytest.approx([25e3, 25e3], rel=0.02)


def test_under_a_nodes_limit_what_passes_counts_even_if_a_link_carries_more_than_its_stated_capacity() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")]
    vifs = [
        FluidVif(TreeNode(1, 0, 90e3, leaf_key=1, link=0), link=Flow(70e3)),
        FluidVif(TreeNode(1, 0, 90e3, leaf_key=2), local=Flow(90e3)),
    ]
    loop = ClosedLoop(scene_of(inner, vifs, [100e3]))
    loop.state = initial(replace(loop.plant.scene.network(), capacity_kbps=np.array([20e3])))
    for _ in range(12):
        ticked = loop.tick()
    assert ticked.decisions.egress[1].allocated_kbps <= 20e3
    assert ticked.passed.delivered_kbps.sum() <= 100e3 * 1.03


def test_thousands_come_and_go_and_each_tick_keeps_every_bound() -> None:
    """2,000 VIFs of 20 tenants on 20 uplinks; each tick one in twenty goes or comes."""
    rng = np.random.default_rng(7)
    count, tenants = 2000, 20
    inner = [TreeNode(-1), *(TreeNode(0, 0, 400e3, name=f"t{t}") for t in range(tenants))]
    vifs = [
        FluidVif(
            TreeNode(1 + n % tenants, 1e3, 200e3, float(rng.integers(1, 4)), n + 1, n // 100 if n % 3 else None),
            **{
                "link" if n % 3 else "local": Flow(float(rng.pareto(1.2) * 5e3), int(rng.integers(CONSTANT, PACED + 1)))
            },
            shaped=n % 4 > 0,
        )
        for n in range(count)
    ]
    scene = scene_of(inner, vifs, [200e3] * 20)
    loop, present = ClosedLoop(scene), np.ones(count, dtype=np.bool_)
    wish = scene.wish(0.0)
    loop.plant.scene = replace(scene, wish=lambda _: np.where(present[:, np.newaxis], wish, 0.0))
    for _ in range(8):
        present ^= rng.random(count) < 0.05
        loop.come_and_go(present.copy())
        ticked = loop.tick()
        assert_bounds(loop.state.network, ticked)
    tree = loop.state.network.egress
    below = np.array([ticked.passed.delivered_kbps[t::tenants, :2].sum() for t in range(tenants)])
    assert len(tree.leaf_keys) == present.sum() and len(ticked.decisions.engaged["egress"]) > tenants / 2
    assert below.mean() <= 400e3 * 1.05
