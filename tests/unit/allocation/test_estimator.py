import math

import numpy as np
import pytest

from controller.allocation.counters import nothing_seen, update
from controller.allocation.estimator import Bounds, estimate_egress, estimate_ingress, no_memory
from controller.allocation.samples import MeterCounters, PortCounters, QueueCounters, VifCounters, readings
from controller.allocation.settings import Settings

INF = math.inf
KEYS = np.array([1])
MBIT = 125_000  # bytes a second


def metered(second, rate, cut=0.0, **queues):
    return VifCounters(second, second, MeterCounters(int(rate * MBIT * second), int(cut * MBIT * second)), **queues)


def queue(sent=0.0, dropped=0.0, backlog=0, second=1):
    """Counters after so many seconds of these Mbit/s, in packets of 1000 bytes."""
    bytes_sent, bytes_dropped = int(sent * MBIT * second), int(dropped * MBIT * second)
    return QueueCounters(bytes_sent, bytes_sent // 1000, bytes_dropped // 1000, backlog)


def estimates(make, seconds=3, rate_kbps=INF, linked=False, guarantee=0.0, estimate=estimate_egress):
    """One estimate a second of the samples that make(second) gives; None: none comes."""
    state, memory, found = nothing_seen(KEYS), no_memory(KEYS), []
    bounds = Bounds(np.array([guarantee]), np.array([rate_kbps]), np.array([linked]))
    for second in range(seconds):
        sample = make(second)
        state = update(state, readings(KEYS, {1: sample} if sample else {}), float(second), Settings())
        memory, now = estimate(state, bounds, memory, float(second), Settings())
        found.append(now)
    return found


def last(*args, **kwargs):
    return estimates(*args, **kwargs)[-1]


def test_a_meter_alone_tells_what_came_and_what_it_cut():
    seen = last(lambda s: metered(s, 30, 20), rate_kbps=10e3)
    assert (seen.offered_kbps[0], seen.passed_kbps[0], seen.dropped_kbps[0]) == (30e3, 10e3, 20e3)
    assert seen.limited[0] and seen.demand_kbps[0] == INF


def test_behind_a_shaper_offered_is_sent_dropped_and_queued():
    def make(s):
        return metered(s, 10, shaper=queue(10, 5, 12_500 * s, s))

    seen = last(make, rate_kbps=10e3)
    assert seen.offered_kbps[0] == pytest.approx(15.1e3, rel=1e-3)
    assert seen.passed_kbps[0] == pytest.approx(10e3)
    assert seen.dropped_kbps[0] == pytest.approx(5e3, rel=1e-3)


def test_what_nothing_holds_back_wants_a_little_more_than_it_offers():
    seen = last(lambda s: metered(s, 4, shaper=queue(4, second=s)), rate_kbps=10e3)
    assert not seen.limited[0]
    assert seen.demand_kbps[0] == pytest.approx(4.4e3)


@pytest.mark.parametrize(
    "sample",
    [
        lambda s: metered(s, 9.6, shaper=queue(9.6, second=s)),  # at its rate
        lambda s: metered(s, 8, shaper=queue(8, 0, 30_000, s)),  # a standing queue
        lambda s: metered(s, 8, shaper=queue(8, 0.01, 0, s)),  # losses
        lambda s: VifCounters(
            s, s, MeterCounters(5 * MBIT * s, 0), shaper=queue(5, second=s), uplink=queue(5, 0.1, 0, s)
        ),
    ],
)
def test_tcp_that_is_held_back_is_not_satisfied(sample):
    assert last(sample, rate_kbps=10e3, linked=True).demand_kbps[0] == INF


def test_tcp_between_two_losses_still_counts_as_held_back_but_one_that_stops_does_not():
    def make(until):
        def sample(s):
            total = sum((8 if second < 3 else until) * MBIT for second in range(s))
            return VifCounters(s, s, MeterCounters(total, MBIT // 10 if s >= 3 else 0))

        return sample

    assert [found.limited[0] for found in estimates(make(7), 8)] == [False] * 3 + [True] * 3 + [False] * 2
    assert [found.limited[0] for found in estimates(make(2), 6)][4:] == [False] * 2


def test_drops_at_the_uplink_do_not_pass_and_what_does_not_cross_it_is_local():
    def make(s):
        return metered(s, 20, shaper=queue(20, second=s), uplink=queue(6, 4, 0, s))

    seen = last(make, seconds=4, rate_kbps=50e3, linked=True)
    assert seen.passed_kbps[0] == pytest.approx(16e3, rel=1e-3)
    assert seen.local_kbps[0] == pytest.approx(10e3, rel=1e-3)
    assert seen.link_demand_kbps[0] == INF  # held at its link only
    assert seen.local_demand_kbps[0] < 14e3


def test_one_tick_of_local_traffic_is_the_skew_of_two_clocks():
    def make(s):
        return VifCounters(
            s, s, MeterCounters(20 * MBIT * s, 0), uplink=queue(20, second=max(0, s - 1) if s == 1 else s)
        )

    assert [found.local_kbps[0] for found in estimates(make, 4, linked=True)][1:] == [0, 0, 0]


def test_what_policy_denies_is_offered_but_wants_no_bandwidth():
    seen = last(lambda s: metered(s, 1, shaper=queue(50, 50, 50_000, s)), rate_kbps=50e3)
    assert seen.offered_kbps[0] == pytest.approx(100e3, rel=1e-2)
    assert not seen.limited[0]
    assert seen.demand_kbps[0] < 3e3


def test_without_statistics_it_wants_its_guarantee_never_nothing():
    assert last(lambda s: None, guarantee=5e3).demand_kbps[0] == 5e3
    assert last(lambda s: None).demand_kbps[0] == Settings().unknown_kbps
    lost = last(lambda s: metered(s, 9, 1) if s < 3 else None, 9, guarantee=5e3)
    assert lost.demand_kbps[0] == 5e3 and np.isnan(lost.offered_kbps[0]) and not lost.limited[0]


def test_ingress_reads_its_queue_and_without_one_its_port():
    seen = last(lambda s: VifCounters(s, s, ingress=queue(10, 5, 0, s)), rate_kbps=10e3, estimate=estimate_ingress)
    assert (seen.offered_kbps[0], seen.passed_kbps[0]) == pytest.approx((15e3, 10e3), rel=1e-3)
    assert seen.demand_kbps[0] == INF
    seen = last(lambda s: VifCounters(s, s, port=PortCounters(0, 3 * MBIT * s)), estimate=estimate_ingress)
    assert (seen.offered_kbps[0], seen.passed_kbps[0], seen.dropped_kbps[0]) == (3e3, 3e3, 0)


def policed(rx, tx, rx_cut, tx_cut, second):
    """A port after so many seconds of these Mbit/s, in packets of 1000 bytes."""
    counts = [int(rate * MBIT * second) for rate in (rx, tx)]
    cuts = [int(rate * MBIT * second) // 1000 for rate in (rx_cut, tx_cut)]
    return PortCounters(*counts, *(count // 1000 for count in counts), *cuts)


def test_what_a_port_cuts_was_offered():
    seen = last(lambda s: VifCounters(s, s, port=policed(0, 3, 0, 5, s)), rate_kbps=10e3, estimate=estimate_ingress)
    assert (seen.offered_kbps[0], seen.passed_kbps[0], seen.dropped_kbps[0]) == pytest.approx((8e3, 3e3, 5e3))
    assert seen.demand_kbps[0] == INF  # though far below its limit
    seen = last(lambda s: metered(s, 8, 4, port=policed(8, 0, 40, 0, s)), rate_kbps=4e3)
    assert (seen.offered_kbps[0], seen.passed_kbps[0], seen.dropped_kbps[0]) == pytest.approx((48e3, 4e3, 44e3))


def test_who_is_not_there_wants_nothing_of_what_its_port_cuts():
    seen = last(lambda s: VifCounters(s, s, port=policed(0, 0, 0, 5, s)), rate_kbps=10e3, estimate=estimate_ingress)
    assert (seen.offered_kbps[0], seen.dropped_kbps[0], seen.demand_kbps[0]) == (0, 0, 0)


def test_a_leaf_that_counts_a_frame_twice_does_not_hide_what_it_sent():
    """vswitchd offers a frame that was refused once more: 70 came, 39 went, and 35 drops were counted."""
    seen = last(lambda s: metered(s, 70, uplink=queue(39, 35, 0, s)), linked=True)
    assert seen.passed_kbps[0] == pytest.approx(39e3)
    assert seen.dropped_kbps[0] == pytest.approx(31e3)
    assert seen.local_kbps[0] == 0


def test_a_meter_that_was_changed_does_not_make_a_waking_vif_look_denied():
    """Its statistics started anew; the shaper still tells what came through."""

    def make(s):
        return VifCounters(s, s, MeterCounters(MBIT if s < 3 else 0, 0), shaper=queue(12 if s >= 3 else 0, second=s))

    seen = estimates(make, 4, rate_kbps=12e3)[-1]
    assert seen.limited[0] and seen.demand_kbps[0] == INF
