"""Laws of the loop on the fluid simulator: it converges, rests, keeps every bound, outlives bad statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.allocation.decision import Decisions
from controller.allocation.loop import LoopState, initial, step, with_network
from controller.allocation.network import Network
from controller.allocation.tree import TreeNode, totals
from tests.support.fluid_simulator import Adaptive, Constant, FluidNetwork, FluidVif, Queue

INF = math.inf
TENANTS = ((30e3, 1.0), (10e3, 3.0), (0.0, 1.0))  # guarantee, weight
SETTLE_TICKS = 6  # the stated number: after so many ticks of steady sources nothing more is rewritten
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def scenes(draw: st.DrawFn, adaptive: bool, local_only: bool = False) -> FluidNetwork:
    """Two tenants with limits, up to five VIFs, one uplink; constant sources, or adaptive ones among them."""
    limits = [draw(st.sampled_from([INF, 30e3, 60e3, 100e3])) for _ in range(2)]
    inner = [TreeNode(-1), *(TreeNode(0, 0, limit, name=f"t{i}") for i, limit in enumerate(limits))]

    def source(wish: float):
        return Adaptive() if adaptive and draw(st.booleans()) else Constant(wish)

    vifs = {}
    for number in range(1, draw(st.integers(2, 5)) + 1):
        guarantee = draw(st.sampled_from([0.0, 2e3, 5e3]))
        limit = draw(st.sampled_from([20e3, 50e3, 80e3]))
        link = None if local_only or draw(st.booleans()) else 0
        leaf = TreeNode(draw(st.integers(1, 2)), guarantee, limit, draw(st.sampled_from([1.0, 3.0])), number, link)
        wish = draw(st.floats(0, 90e3))
        kind = "local" if link is None else draw(st.sampled_from(["local", "through_link", "both"]))
        local = source(wish) if kind in ("local", "both") else None
        through = source(wish) if kind in ("through_link", "both") else None
        vifs[number] = FluidVif(leaf, local, through, shaped=draw(st.booleans()))
    return FluidNetwork(inner, vifs, [60e3])


Tick = tuple[Decisions, dict[int, list[float]]]


def drive(scene: FluidNetwork, ticks: int, state: LoopState) -> Iterator[tuple[LoopState, Tick]]:
    for _ in range(ticks):
        passed = scene.run()
        state, decisions = step(state, scene.samples(), scene.time_s)
        scene.apply(decisions.changes)
        yield state, (decisions, passed)


def history(scene: FluidNetwork, ticks: int) -> list[Tick]:
    return [tick for _, tick in drive(scene, ticks, initial(scene.network()))]


def assert_bounds(network: Network, decisions: Decisions) -> None:
    """What holds at every tick, whatever the statistics say."""
    for tree, of_vif in ((network.egress, decisions.egress), (network.ingress, decisions.ingress)):
        share = np.array([of_vif[key].allocated_kbps for key in tree.leaf_keys])
        demand = np.array([of_vif[key].demand_kbps for key in tree.leaf_keys])
        guarantee = tree.guarantee_kbps[tree.leaves]
        assert not np.isnan(share).any()
        assert (totals(tree, share) <= tree.limit_kbps * (1 + 1e-6)).all()
        assert (share >= np.minimum(guarantee, demand) - 1e-3).all()
        rates = [of_vif[key].enforced_kbps for key in tree.leaf_keys]
        assert all(rate is None or rate >= floor for rate, floor in zip(rates, guarantee, strict=True))
    egress = network.egress
    on_link = [key for key, link in zip(egress.leaf_keys, egress.link[egress.leaves], strict=True) if link == 0]
    only = [key for key in on_link if not decisions.egress[key].local_kbps]  # of the others a part crosses the link
    assert sum(decisions.egress[key].allocated_kbps for key in only) <= network.capacity_kbps.sum() * (1 + 1e-6)


@QUICK
@given(scenes(adaptive=False))
def test_steady_sources_are_left_alone_after_settling(scene: FluidNetwork) -> None:
    ticks = history(scene, SETTLE_TICKS + 6)
    for decisions, _ in ticks:
        assert_bounds(scene.network(), decisions)
    assert all(not decisions.changes for decisions, _ in ticks[SETTLE_TICKS:])
    last, earlier = ticks[-1][0], ticks[SETTLE_TICKS][0]
    for number, decision in last.egress.items():
        assert decision.allocated_kbps == pytest.approx(earlier.egress[number].allocated_kbps, rel=0.02, abs=20)


@QUICK
@given(scenes(adaptive=False))
def test_what_passes_stays_within_every_limit_and_reaches_every_guarantee(scene: FluidNetwork) -> None:
    decisions, passed = history(scene, SETTLE_TICKS + 3)[-1]
    tree = scene.network().egress
    through = totals(tree, np.array([passed[key][0] + passed[key][1] for key in tree.leaf_keys]))
    assert (through <= tree.limit_kbps * 1.06 + 100).all()
    for number, vif in scene.vifs.items():
        offered = decisions.egress[number].offered_kbps or 0.0
        assert sum(passed[number][:2]) >= 0.97 * min(vif.node.guarantee_kbps, offered) - 20


@QUICK
@given(scenes(adaptive=True))
def test_adaptive_sources_do_not_make_it_oscillate(scene: FluidNetwork) -> None:
    ticks = history(scene, SETTLE_TICKS + 14)
    tree = scene.network().egress
    for decisions, _ in ticks:
        assert_bounds(scene.network(), decisions)
    for _, passed in ticks[SETTLE_TICKS:]:
        through = totals(tree, np.array([passed[key][0] + passed[key][1] for key in tree.leaf_keys]))
        assert (through <= tree.limit_kbps * 1.10 + 200).all()
    late = [len(decisions.changes) for decisions, _ in ticks[-8:]]
    assert sum(late) <= len(scene.vifs), late


@QUICK
@given(scenes(adaptive=False), st.randoms(use_true_random=False))
def test_bad_statistics_break_no_bound_and_leave_no_trace(scene: FluidNetwork, chance) -> None:
    """Lost and late samples, counters made anew, clocks that stand, jump and go back; then all is well again."""
    network = scene.network()
    calm = settle(deepcopy(scene), initial(network))
    state, offset_s, late = initial(network), {"now": 0.0, "switch": 0.0, "host": 0.0}, {}
    for _ in range(10):
        scene.run()
        for clock in offset_s:
            offset_s[clock] += chance.choice([0.0] * 8 + [-50.0, 0.7, 3600.0])
        samples = {}
        for number, vif in scene.vifs.items():
            if chance.random() < 0.1:
                vif.meter.modify(vif.meter.rate_kbps)
            if vif.shaper is not None and chance.random() < 0.1:
                vif.shaper = Queue(60_000)
            times = scene.time_s + offset_s["switch"], scene.time_s + offset_s["host"]
            fresh = replace(vif.counters(*times), **({"meter": None, "port": None} if chance.random() < 0.1 else {}))
            fate = chance.choice(["come", "come", "come", "lost", "late"])
            if fate != "lost":
                samples[number] = late.get(number, fresh) if fate == "late" else fresh
            late[number] = fresh
        state, decisions = step(state, samples, scene.time_s + offset_s["now"])
        scene.apply(decisions.changes)
        assert_bounds(network, decisions)
    healed = settle(scene, state)
    for number, decision in healed.egress.items():
        assert decision.allocated_kbps == pytest.approx(calm.egress[number].allocated_kbps, rel=0.02, abs=20)


def settle(scene: FluidNetwork, state: LoopState) -> Decisions:
    """After what the longest memory of the loop takes: three ticks of release, two of hold, and SETTLE_TICKS."""
    return [tick for _, tick in drive(scene, SETTLE_TICKS + 5, state)][-1][0]


@QUICK
@given(scenes(adaptive=True), st.data())
def test_vifs_that_stay_keep_their_state_when_others_go(scene: FluidNetwork, data) -> None:
    *_, (state, _) = drive(scene, SETTLE_TICKS, initial(scene.network()))
    gone = data.draw(st.sampled_from(sorted(scene.vifs)))
    smaller = FluidNetwork(scene.inner, {n: vif for n, vif in scene.vifs.items() if n != gone}, scene.capacities)
    smaller.time_s = scene.time_s
    state = with_network(state, smaller.network())
    smaller.run()
    state, decisions = step(state, smaller.samples(), smaller.time_s)
    assert_bounds(smaller.network(), decisions)
    assert all(decision.offered_kbps is not None for decision in decisions.egress.values())
    back = with_network(state, scene.network())
    _, decisions = step(back, smaller.samples(), smaller.time_s + 1)
    assert decisions.egress[gone].offered_kbps is None
    assert decisions.egress[gone].demand_kbps >= scene.vifs[gone].node.guarantee_kbps


def on(from_tick: int, until_tick: int, rate_kbps: float):
    """A rate that holds between two ticks of the simulation."""
    return lambda time_s: rate_kbps if from_tick <= time_s - FluidNetwork.START_S <= until_tick else 0.0


@pytest.mark.parametrize("kind", [Constant, Adaptive])
def test_a_tenants_share_goes_to_the_others_and_back_within_three_ticks(kind) -> None:
    inner = [TreeNode(-1), *(TreeNode(0, g, weight=w, name=f"t{i}") for i, (g, w) in enumerate(TENANTS))]
    vifs = {
        number: FluidVif(TreeNode(number, guarantee, 80e3, leaf_key=number, link=0), through_link=source)
        for number, guarantee, source in (
            (1, 30e3, Constant(lambda t: 200e3 - on(5, 12, 200e3)(t))),
            (2, 10e3, kind(200e3)),
            (3, 0.0, kind(200e3)),
        )
    }
    ticks = history(FluidNetwork(inner, vifs, [60e3]), 18)
    allocated = [[tick[0].egress[number].allocated_kbps / 1e3 for number in (1, 2, 3)] for tick in ticks]
    assert allocated[4] == pytest.approx([34, 22, 4], rel=0.02)
    assert (
        allocated[4 + 3][0] == 0
        and allocated[4 + 3][1] >= 0.98 * 47.5
        and allocated[11] == pytest.approx([0, 47.5, 12.5], rel=0.02)
    )
    assert allocated[12][0] >= 30  # its guarantee at the first tick that sees it
    assert allocated[12 + 2] == pytest.approx([34, 22, 4], rel=0.02)


def test_a_sleeper_below_an_engaged_node_wakes_to_its_guarantee_at_once() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")]
    vifs = {
        1: FluidVif(TreeNode(1, 40e3, 90e3, leaf_key=1), local=Constant(on(8, 99, 200e3))),
        2: FluidVif(TreeNode(1, 0, 90e3, leaf_key=2), local=Constant(200e3)),
        3: FluidVif(TreeNode(1, 0, 90e3, leaf_key=3), local=Constant(200e3)),
    }
    ticks = history(FluidNetwork(inner, vifs), 14)
    assert ticks[6][0].engaged["egress"] == {"t"}
    assert ticks[6][0].egress[1].enforced_kbps >= 40e3
    assert ticks[6][0].egress[2].enforced_kbps == 50e3
    assert ticks[8][1][1][0] >= 40e3  # passed in the very tick in which it woke
    assert [ticks[-1][0].egress[number].allocated_kbps for number in vifs] == pytest.approx(
        [60e3, 20e3, 20e3], rel=0.02
    )
    assert sum(ticks[-1][1][number][0] for number in vifs) <= 100e3 * 1.03


def test_an_inner_ingress_limit_is_kept_by_the_loop() -> None:
    inner = [TreeNode(-1), TreeNode(0, name="t")]
    vifs = {
        number: FluidVif(TreeNode(1, leaf_key=number), inward=source, ingress_limit_kbps=80e3)
        for number, source in ((1, Constant(70e3)), (2, Adaptive()), (3, Constant(10e3)))
    }
    scene = FluidNetwork(inner, vifs)
    state, passed = initial(scene.network([TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")])), {}
    for _ in range(12):
        passed = scene.run()
        state, decisions = step(state, scene.samples(), scene.time_s)
        scene.apply(decisions.changes)
    assert decisions.engaged["ingress"] == {"t"} and not decisions.engaged["egress"]
    assert sum(part[2] for part in passed.values()) == pytest.approx(100e3, rel=0.04)
    assert passed[3][2] == pytest.approx(10e3, rel=0.01)


def test_a_node_held_by_its_uplink_tree_is_left_to_it() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=40e3, name="t")]
    vifs = {
        number: FluidVif(TreeNode(1, 0, 80e3, leaf_key=number, link=0), through_link=source)
        for number, source in ((1, Constant(70e3)), (2, Adaptive()))
    }
    ticks = history(FluidNetwork(inner, vifs, [60e3]), 10)
    assert not any(decisions.changes for decisions, _ in ticks)
    assert [ticks[-1][0].egress[number].allocated_kbps for number in (1, 2)] == pytest.approx([20e3, 20e3], rel=0.02)


def test_under_a_nodes_limit_what_passes_counts_even_if_a_link_carries_more_than_its_stated_capacity() -> None:
    inner = [TreeNode(-1), TreeNode(0, limit_kbps=100e3, name="t")]
    vifs = {
        1: FluidVif(TreeNode(1, 0, 90e3, leaf_key=1, link=0), through_link=Constant(70e3)),
        2: FluidVif(TreeNode(1, 0, 90e3, leaf_key=2), local=Constant(90e3)),
    }
    scene = FluidNetwork(inner, vifs, [100e3])
    state, passed = initial(replace(scene.network(), capacity_kbps=np.array([20e3]))), {}
    for _ in range(12):
        passed = scene.run()
        state, decisions = step(state, scene.samples(), scene.time_s)
        scene.apply(decisions.changes)
    assert decisions.egress[1].allocated_kbps <= 20e3
    assert sum(sum(parts) for parts in passed.values()) <= 100e3 * 1.03
