import numpy as np
import pytest

from controller.allocation.counters import carried, nothing_seen, update
from controller.allocation.samples import (
    BACKLOG_BYTES,
    FIRST_COLUMN,
    METER_DROPPED,
    METER_IN,
    SHAPER,
    MeterCounters,
    PortCounters,
    QueueCounters,
    VifCounters,
    readings,
)
from controller.allocation.settings import Settings

KEYS = np.array([7])
SHAPER_BACKLOG = FIRST_COLUMN[SHAPER] + BACKLOG_BYTES


def meter(time_s, in_bytes, dropped=0):
    return VifCounters(time_s, time_s, meter=MeterCounters(in_bytes, dropped))


def feed(*samples, state=None):
    """Each sample one tick after the other by our clock; None: it did not come."""
    state = state or nothing_seen(KEYS)
    for now, sample in enumerate(samples):
        state = update(state, readings(KEYS, {} if sample is None else {7: sample}), float(now), Settings())
    return state


def rate(*samples):
    return feed(*samples).rate[0, METER_IN]


def test_two_samples_make_a_rate_by_the_readers_clock():
    assert np.isnan(rate(meter(1, 500)))
    assert rate(meter(1, 500), meter(3, 2500)) == 1000


def test_a_counter_that_falls_started_anew_nobody_knows_when():
    assert np.isnan(rate(meter(1, 1000), meter(2, 2000), meter(3, 300)))
    assert rate(meter(1, 1000), meter(2, 2000), meter(3, 300), meter(4, 1100)) == 800


def test_what_is_read_together_starts_anew_together():
    state = feed(meter(1, 0, 0), meter(2, 1000, 500), meter(3, 1200, 10))  # in has grown past its old value since
    assert np.isnan(state.rate[0, [METER_IN, METER_DROPPED]]).all()


def test_a_missing_sample_keeps_the_rate_and_the_next_covers_the_gap():
    assert rate(meter(1, 0), meter(2, 1000), None) == 1000
    assert rate(meter(1, 0), meter(2, 1000), None, meter(4, 5000)) == 2000


def test_without_samples_the_rate_becomes_unknown():
    assert np.isnan(rate(meter(1, 0), meter(2, 1000), None, None, None, None))
    assert rate(meter(1, 0), meter(2, 1000), None, None, None, None, meter(8, 7000)) == 1000


def test_a_clock_that_stands_says_nothing_new():
    assert rate(meter(1, 0), meter(2, 1000), meter(2, 1000)) == 1000
    assert rate(meter(1, 0), meter(2, 1000), meter(2.01, 1900), meter(3, 3000)) == 2000


def test_a_sample_that_was_overtaken_says_nothing_new():
    assert rate(meter(1, 0), meter(3, 2000), meter(2, 700)) == 1000
    assert rate(meter(1, 0), meter(3, 2000), meter(2, 700), meter(4, 5000)) == 3000


def queue(time_s, sent, packets, dropped=0):
    return VifCounters(0, time_s, shaper=QueueCounters(sent, packets, dropped, 0))


def test_packets_that_ran_over_32_bits_go_on_and_so_do_the_bytes():
    state = feed(queue(1, 10**12, 2**32 - 300), queue(2, 10**12 + 10**6, 700))
    first = FIRST_COLUMN[SHAPER]
    assert state.rate[0, first : first + 3].tolist() == [1e6, 1000, 0]


def test_packets_that_fall_with_their_bytes_began_anew():
    state = feed(queue(1, 10**13, 2**32 - 300), queue(2, 10**6, 700))
    assert np.isnan(state.rate[0, FIRST_COLUMN[SHAPER]])


def test_bytes_that_ran_over_64_bits_go_on():
    assert rate(meter(1, 2**64 - 2**30), meter(2, 2**30)) == 2**31


@pytest.mark.parametrize("jump_s", [-500.0, 3600.0])
def test_a_clock_that_jumps_makes_no_rate(jump_s):
    assert rate(meter(1, 0), meter(2, 1000), meter(3 + jump_s, 2000)) == 1000
    assert rate(meter(1, 0), meter(2, 1000), meter(3 + jump_s, 2000), meter(4 + jump_s, 4000)) == 2000


def test_our_own_clock_may_go_back():
    state = feed(meter(1, 0), meter(2, 1000))
    state = update(state, readings(KEYS, {}), -100.0, Settings())
    state = update(state, readings(KEYS, {}), -99.0, Settings())
    assert state.rate[0, METER_IN] == 1000
    assert np.isnan(update(state, readings(KEYS, {}), -90.0, Settings()).rate[0, METER_IN])


def test_a_backlog_may_shrink_and_stands_only_if_it_stood_before():
    def shaper(time_s, sent, backlog):
        return VifCounters(0, time_s, shaper=QueueCounters(sent, sent // 100, 0, backlog))

    state = feed(shaper(1, 1000, 900), shaper(2, 2000, 400))
    assert state.rate[0, SHAPER_BACKLOG] == -500
    assert state.standing[0, SHAPER_BACKLOG] == 400
    assert state.rate[0, FIRST_COLUMN[SHAPER]] == 1000


def test_the_blocks_are_apart():
    both = [VifCounters(t, t, MeterCounters(t * 10, 0), PortCounters(t * 20, 0)) for t in (1, 2)]
    state = feed(*both, VifCounters(3, 3, port=PortCounters(100, 0)))
    assert state.rate[0, METER_IN] == 10
    assert state.rate[0, 2] == 60


def test_those_that_stay_keep_what_is_known_of_them():
    state = carried(feed(meter(1, 0), meter(2, 1000)), np.array([3, 7, 9]))
    assert state.rate[1, METER_IN] == 1000
    assert np.isnan(state.rate[[0, 2]]).all()
    assert carried(state, np.array([], dtype=np.int64)).rate.shape == (0, 20)
