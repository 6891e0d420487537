"""Laws of the loop in random scenes of fluid: it settles and rests, keeps every bound, outlives bad figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.allocation.samples import GAUGES, WIDTH
from controller.allocation.tree import TreeNode
from lab.fluid.closed import ClosedLoop
from lab.fluid.described import Flow, FluidVif, scene_of
from lab.fluid.plant import Scene
from lab.fluid.senders import CONSTANT, CUBIC, PACED
from lab.fluid.telemetry import Troubles
from tests.support.fluid_scenes import STEADY, assert_bounds, below_nodes, history, on, scenes

SETTLE_TICKS = 4  # the stated number (decision 42): after so many ticks of still demand nothing more is written, and
PER_TICK_OF_DELAY = 2  # ... after so many more for each tick that rates take to come into force
QUICK = settings(max_examples=10, deadline=None)


@QUICK
@given(scenes(), st.integers(0, 2))
def test_it_settles_in_the_stated_number_of_ticks_and_then_rests_within_every_limit(scene: Scene, delay: int) -> None:
    settled = SETTLE_TICKS + PER_TICK_OF_DELAY * delay
    ticks = history(ClosedLoop(scene, delay), settled + 8)
    assert all(not ticked.decisions.changes for ticked in ticks[settled:])
    for passed, limit in below_nodes(scene, ticks[settled:]).values():
        assert (passed <= limit * 1.04).all()  # a meter lets a burst pass now and then


@QUICK
@given(scenes(STEADY))
def test_who_does_not_yield_gets_its_guarantee_and_takes_no_more_than_there_is(scene: Scene) -> None:
    ticks = history(ClosedLoop(scene), SETTLE_TICKS + 4)
    tree = scene.network().egress
    order = np.searchsorted(scene.numbers, np.array(tree.leaf_keys))
    last = ticks[-1].passed
    wished = last.wished_kbps[order, :2].sum(axis=1)
    passed = last.delivered_kbps[order, :2].sum(axis=1)
    assert (passed >= 0.97 * np.minimum(tree.guarantee_kbps[tree.leaves], wished) - 1).all()


@st.composite
def troubles(draw: st.DrawFn, count: int) -> Troubles:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    jumps = st.sampled_from([0.0] * 6 + [-50.0, -0.7, 0.7, 3600.0])
    chances = (rng.random(count) < chance for chance in (0.1, 0.2, 0.15, 0.15))
    return Troubles(*chances, draw(jumps), draw(jumps), draw(jumps))


@settings(QUICK, max_examples=7)
@given(scenes(STEADY), st.data())
def test_bad_statistics_break_no_bound_and_leave_no_trace(scene: Scene, data: st.DataObject) -> None:
    """Samples lost, late and silent, counters that run over or begin anew, clocks that jump; then all is well again."""
    calm = history(ClosedLoop(scene), SETTLE_TICKS + 1)[-1]
    soon_over = WIDTH - np.where(WIDTH > 2**40, 2.0**24, 4000.0)
    loop = ClosedLoop(scene, base=np.where(GAUGES, 0.0, soon_over))
    count = len(scene.numbers)
    for _ in range(8):
        again = np.array([data.draw(st.sampled_from([False] * 9 + [True])) for _ in range(count)])
        loop.plant.meters.restart(again)
        loop.plant.shapers.restart(again)
        assert_bounds(scene.network(), loop.tick(data.draw(troubles(count))))
    healed = history(loop, SETTLE_TICKS + 4)[-1]  # and what stale figures take to be replaced
    for direction in ("egress", "ingress"):
        found, expected = healed.figures(direction).allocated_kbps, calm.figures(direction).allocated_kbps
        assert found == pytest.approx(expected, rel=0.03, abs=50)


@settings(QUICK, max_examples=7)
@given(scenes(), st.lists(st.integers(0, 2**6 - 1), min_size=4, max_size=4))
def test_vifs_come_and_go(scene: Scene, masks: list[int]) -> None:
    loop, count = ClosedLoop(scene), len(scene.numbers)
    for mask in masks:
        present = np.array([bool(mask >> place & 1) for place in range(count)])
        stays = loop.present & present
        loop.come_and_go(present)
        first = loop.tick()
        figures = first.figures("egress")
        assert_bounds(loop.state.network, first)
        assert np.array_equal(figures.keys, scene.numbers[present])
        loop.tick()
        known = ~np.isnan(loop.tick().figures("egress").offered_kbps)
        assert known.all() and stays.sum() <= present.sum()


GREEDY, LIMIT, FAIR = 200e3, 100e3, 25e3
TENANT = [TreeNode(-1), TreeNode(0, limit_kbps=LIMIT, name="t")]


def tenant(first: FluidVif, others: Flow) -> Scene:
    """The first and three more below one limit that no queue keeps."""
    return scene_of(TENANT, [first, *(FluidVif(TreeNode(1, 0, 90e3, leaf_key=n), local=others) for n in (2, 3, 4))])


@pytest.mark.parametrize("others", [CONSTANT, CUBIC])
@pytest.mark.parametrize(("on_s", "off_s"), [(0.5, 0.5), (1, 1), (1, 2), (3, 3)])
def test_who_is_on_and_off_gets_less_than_who_sends_on_and_takes_nothing_from_others(others, on_s, off_s) -> None:
    pulse = Flow(lambda time_s: GREEDY if time_s < 4 or (time_s - 4) % (on_s + off_s) < on_s else 0.0)
    loop = ClosedLoop(tenant(FluidVif(TreeNode(1, 0, 90e3, leaf_key=1), local=pulse), Flow(GREEDY, others)))
    passed = np.array([ticked.passed.delivered_kbps[:, 0] for ticked in history(loop, 28)[4:]])
    assert passed[:, 0].mean() <= FAIR
    assert (passed[:, 1:].mean(axis=0) >= 0.97 * FAIR).all()
    assert passed.sum(axis=1).mean() <= LIMIT
    assert passed.sum(axis=1).max() <= LIMIT + 1.1 * FAIR  # the second in which it wakes


@pytest.mark.parametrize(("on_s", "off_s"), [(1, 1), (1, 5), (2, 9)])
def test_a_vif_with_a_high_limit_of_its_own_does_not_escape_the_nodes_by_pausing(on_s, off_s) -> None:
    pulse = Flow(lambda time_s: 9 * LIMIT if time_s < 4 or (time_s - 4) % (on_s + off_s) < on_s else 0.0)
    loop = ClosedLoop(tenant(FluidVif(TreeNode(1, 0, 9 * LIMIT, leaf_key=1), local=pulse), Flow(10e3)))
    passed = np.array([ticked.passed.delivered_kbps[:, 0].sum() for ticked in history(loop, 40)[4:]])
    assert passed.max() <= LIMIT * 1.02


@pytest.mark.parametrize("kind", [CONSTANT, CUBIC, PACED])
def test_fourteen_senders_to_one_share_alike_and_leave_its_neighbours_their_guarantees(kind) -> None:
    """The tenant's egress limit bounds the senders, its ingress limit the receivers; neither has a queue."""
    senders = [FluidVif(TreeNode(1, 0, 90e3, leaf_key=n), local=Flow(GREEDY, kind)) for n in range(1, 15)]
    into = FluidVif(TreeNode(1, leaf_key=15), inward=Flow(14 * 30e3, kind), ingress_limit_kbps=200e3)
    quiet = [
        FluidVif(TreeNode(1, leaf_key=n), inward=Flow(10e3), ingress_guarantee_kbps=10e3, ingress_limit_kbps=200e3)
        for n in (16, 17)
    ]
    scene = scene_of(TENANT, [*senders, into, *quiet], ingress_inner=TENANT)
    ticks = history(ClosedLoop(scene), 14)
    each = np.mean([ticked.passed.delivered_kbps for ticked in ticks[SETTLE_TICKS:]], axis=0)
    sent, came = each[:14, 0], each[14:, 2]
    assert sent.sum() ** 2 / (14 * (sent**2).sum()) >= 0.99  # Jain's index
    assert 0.9 * LIMIT <= sent.sum() <= 1.04 * LIMIT
    assert (came[1:] >= 0.97 * 10e3).all() and 0.9 * LIMIT <= came.sum() <= 1.02 * LIMIT


def greedy_four() -> Scene:
    return tenant(FluidVif(TreeNode(1, 40e3, 90e3, leaf_key=1), local=Flow(GREEDY)), Flow(GREEDY))


@pytest.mark.parametrize("who", [[1], [2], [1, 2, 3, 4]])
def test_whoever_falls_silent_keeps_guarantee_and_part_and_is_never_let_loose(who: list[int]) -> None:
    loop = ClosedLoop(greedy_four())
    settled = history(loop, SETTLE_TICKS)[-1].figures("egress").enforced_kbps
    silent = np.isin(loop.plant.scene.numbers, who)
    nobody = np.zeros(4, dtype=np.bool_)
    for _ in range(36):  # longer than any memory of the loop
        ticked = loop.tick(Troubles(silent, nobody, nobody, nobody))
        assert_bounds(loop.state.network, ticked)
        rate = ticked.figures("egress").enforced_kbps
        assert rate == pytest.approx(settled, rel=0.02)
        assert ticked.passed.delivered_kbps[:, 0].sum() <= LIMIT * 1.02
    assert np.isnan(ticked.figures("egress").offered_kbps[silent]).all()
    assert history(loop, SETTLE_TICKS)[-1].figures("egress").enforced_kbps == pytest.approx(settled, rel=0.02)


def test_who_falls_silent_while_it_has_what_others_leave_goes_back_to_its_part() -> None:
    scene = tenant(FluidVif(TreeNode(1, 40e3, 95e3, leaf_key=1), local=Flow(GREEDY)), Flow(on(12, 99, GREEDY)))
    loop, nobody = ClosedLoop(scene), np.zeros(4, dtype=np.bool_)
    for _ in range(10):
        ticked = loop.tick(Troubles(scene.numbers == 1, nobody, nobody, nobody) if loop.plant.time_s > 4 else None)
    held = ticked.figures("egress").enforced_kbps
    assert "t" in ticked.decisions.engaged["egress"] and held[0] == pytest.approx(40e3 + 15e3)
    assert all(rate >= 15e3 for rate in held[1:])


@pytest.mark.parametrize("silent", ["switch_silent", "host_silent"])
def test_what_switch_or_agent_alone_still_tells_is_enough(silent: str) -> None:
    loop, nobody = ClosedLoop(greedy_four()), np.zeros(4, dtype=np.bool_)
    settled = history(loop, SETTLE_TICKS)[-1].figures("egress").enforced_kbps
    quiet = {"lost": nobody, "late": nobody, "switch_silent": nobody, "host_silent": nobody, silent: ~nobody}
    for _ in range(10):
        ticked = loop.tick(Troubles(**quiet))
        assert ticked.figures("egress").enforced_kbps == pytest.approx(settled, rel=0.02)
    assert not np.isnan(ticked.figures("egress").offered_kbps).any()


def test_where_the_loop_holds_nobody_silence_changes_nothing() -> None:
    loop = ClosedLoop(tenant(FluidVif(TreeNode(1, 40e3, 90e3, leaf_key=1), local=Flow(5e3)), Flow(5e3)))
    everybody, nobody = np.ones(4, dtype=np.bool_), np.zeros(4, dtype=np.bool_)
    for _ in range(10):
        ticked = loop.tick(Troubles(everybody, nobody, nobody, nobody) if loop.plant.time_s > 4 else None)
        assert np.isinf(ticked.figures("egress").enforced_kbps).all() and not ticked.decisions.changes
