"""The parts of the fluid simulator, each by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from controller.allocation.samples import METER_IN, SHAPER, WIDTH
from controller.allocation.tree import TreeNode
from lab.fluid.demand import Demand
from lab.fluid.described import Flow, FluidVif, scene_of
from lab.fluid.plant import STEP_S, Plant
from lab.fluid.queues import Meters, Queues
from lab.fluid.senders import CONSTANT, CUBIC, INWARD, LOCAL, PACED, Senders
from lab.fluid.telemetry import Telemetry, Troubles
from lab.fluid.uplinks import Uplinks

INF = float("inf")


def test_a_queue_keeps_what_it_can_sends_what_it_may_and_loses_nothing_unseen() -> None:
    queue = Queues(np.array([20.0, 20.0]), np.array([True, False]), 2)
    sent, lost = queue.pass_on(np.array([[30.0, 10.0], [30.0, 10.0]]), np.array([10.0, 10.0]))
    assert sent.tolist() == [[7.5, 2.5], [30.0, 10.0]]  # where there is no queue all goes through
    assert lost[0] == pytest.approx([7.5, 2.5]) and lost[1].sum() == 0
    assert queue.backlog[0].sum() == pytest.approx(20.0)
    assert np.isnan(queue.columns()[0]).tolist() == [False, True]


def test_a_meter_passes_its_rate_and_one_burst() -> None:
    meter = Meters(np.array([1000.0, INF]))
    passed = sum(meter.pass_on(np.full((2, 1), 500.0), 0.1)[0] for _ in range(100))
    assert 1000 * 10 < passed[0, 0] <= 1000 * (10 + Meters.BURST_S)
    assert passed[1, 0] == 100 * 500


def test_a_meter_that_is_written_each_second_passes_one_per_cent_more_at_most() -> None:
    meter, passed = Meters(np.array([1000.0])), 0.0
    for second in range(60):
        meter.write(np.array([1000.0 + second % 2]))
        passed += sum(float(meter.pass_on(np.full((1, 1), 500.0), 0.1)[0].sum()) for _ in range(10))
    assert passed <= 1001 * 60 * 1.01 + 1001 * Meters.BURST_S


def test_uplinks_divide_by_guarantee_and_weight_each_by_itself() -> None:
    nodes = [TreeNode(-1), TreeNode(0, limit_kbps=50, name="t")]
    nodes += [TreeNode(0, g, 100, w, key, 0) for g, w, key in ((30, 1, 1), (10, 3, 2), (0, 1, 3))]
    nodes += [TreeNode(1, 0, 100, 1, 4, 1), TreeNode(1, 0, 100, 1, 5, 2), TreeNode(0, leaf_key=6)]
    shares = Uplinks(nodes, [60, 60, 60]).shares(np.full(6, 100.0))
    assert shares == pytest.approx([34, 22, 4, 50, 50, 0])  # the limit of t holds on each uplink apart


def one_flow(kind: int) -> Senders:
    return Senders(np.array([[kind, 0, 0]]))


def after(senders: Senders, capacity: float, steps: int) -> list[float]:
    """What it offers from step to step where so much comes through."""
    wish, offers = np.array([[INF, 0.0, 0.0]]), []
    for _ in range(steps):
        offered = senders.offer(np.minimum(wish, 1e6))
        offers.append(float(offered[0, LOCAL]))
        senders.heed(np.minimum(offered, capacity), offered > capacity, wish, STEP_S)
    return offers


def test_constant_senders_do_not_listen() -> None:
    assert after(one_flow(CONSTANT), 1e3, 5) == [1e6] * 5


@pytest.mark.parametrize("kind", [CUBIC, PACED])
def test_tcp_comes_near_what_there_is_and_does_not_stay_above(kind: int) -> None:
    offers = after(one_flow(kind), 50e3, 100)[30:]
    assert min(offers) >= 0.65 * 50e3 and 0.8 * 50e3 <= np.mean(offers) <= 1.1 * 50e3


def plant() -> Plant:
    leaf = TreeNode(0, 0, 10e3, leaf_key=1)
    return Plant(scene_of([TreeNode(-1)], [FluidVif(leaf, local=Flow(8e3), inward=Flow(3e3))]))


def test_what_is_counted_is_what_passed() -> None:
    moving = plant()
    passed = moving.run(2.0)
    counted = moving.counters()[0]
    assert passed.delivered_kbps[0].tolist() == pytest.approx([8e3, 0, 3e3])
    assert counted[METER_IN] == 8e3 * 2 * 125
    assert passed.wished_kbps[0, INWARD] == 3e3


def test_what_is_told_may_be_lost_late_or_run_over() -> None:
    moving = plant()
    telemetry = Telemetry(moving, np.where(np.arange(len(WIDTH)) == METER_IN, WIDTH - 2.0**20, 0.0))
    calm, yes = Troubles.none(1), np.array([True])
    moving.run(1.0)
    first = telemetry.read(calm)
    moving.run(1.0)
    nothing = calm.lost
    late = telemetry.read(Troubles(nothing, yes, nothing, nothing))
    assert np.array_equal(late.value, first.value, equal_nan=True)
    assert np.array_equal(late.time_s, first.time_s, equal_nan=True)
    moving.run(1.0)
    fresh = telemetry.read(Troubles(nothing, nothing, nothing, yes))
    assert fresh.value[0, METER_IN] < first.value[0, METER_IN]  # 2**64 has passed
    assert np.isnan(fresh.time_s[0, SHAPER]) and fresh.time_s[0, 0] == pytest.approx(first.time_s[0, 0] + 2)
    assert np.isnan(telemetry.read(Troubles(yes, nothing, nothing, nothing)).value).all()


def test_demand_is_the_same_from_the_same_seed_and_has_tide_sleep_and_bursts() -> None:
    tenant, host = np.arange(600) % 6, np.arange(600) // 100
    one, same, other = (Demand(seed, tenant, host, 100.0, 600.0) for seed in (1, 1, 2))
    days = [np.array([demand.next() for _ in range(144)]) for demand in (one, same, other)]
    assert np.array_equal(days[0], days[1]) and not np.array_equal(days[0], days[2])
    hours = days[0].sum(axis=1)
    assert hours.max() > 2 * hours.min()
    assert 0.1 < (days[0] == 0).mean() < 0.6
    assert days[0].max() > 20 * np.median(days[0][days[0] > 0])
