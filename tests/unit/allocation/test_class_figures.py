"""What classes offer and lose, over whatever happens to their queues."""

from __future__ import annotations

from controller.allocation.class_figures import ClassFigures, ClassOfQueue, ClassState, after, figures, keep
from controller.measure.counted import counted

BULK: ClassOfQueue = ("egress", "bulk")


def told(state: ClassState, time_s: float, **rows: tuple[int, int, int, int]) -> ClassState:
    """rows: v7=(bytes, packets, dropped, waiting) of VIF 7 in its class "bulk" at the uplink."""
    return after(state, {BULK: counted({int(vif[1:]): row for vif, row in rows.items()}, 4)}, time_s)


def bulk(state: ClassState, vif: int = 7) -> ClassFigures:
    return figures(state, vif)["egress"]["bulk"]


def test_what_is_sent_lost_and_waiting_makes_what_is_offered() -> None:
    first = told(ClassState(), 1.0, v7=(1000, 1, 0, 0))
    assert bulk(first) == ClassFigures(None, None, None, 0, 1000, 0)
    second = told(first, 3.0, v7=(251_000, 251, 10, 4000))
    seen = bulk(second)
    assert (seen.passed_kbps, seen.dropped_kbps) == (1000.0, 40.0)
    assert seen.offered_kbps == 1000 + 40 + 16 and seen.backlog_bytes == 4000
    assert (seen.passed_bytes, seen.dropped_packets) == (251_000, 10)
    assert figures(second, 8) == {"egress": {}, "ingress": {}}


def test_a_queue_that_is_made_anew_has_no_rate_once_and_its_totals_go_on() -> None:
    state = told(told(ClassState(), 1.0, v7=(1000, 10, 4, 0)), 2.0, v7=(500, 5, 1, 0))
    assert bulk(state) == ClassFigures(None, None, None, 0, 1500, 5)
    state = told(state, 3.0, v7=(1500, 15, 1, 0))
    assert bulk(state) == ClassFigures(8.0, 8.0, 0.0, 0, 2500, 5)


def test_counters_of_32_bits_run_over() -> None:
    state = told(told(ClassState(), 1.0, v7=(0, 2**32 - 1, 2**32 - 5, 0)), 2.0, v7=(1000, 9, 5, 0))
    assert bulk(state).passed_kbps == 8.0 and bulk(state).dropped_kbps == 8.0


def test_the_same_sample_again_and_one_after_a_long_silence_make_no_rate() -> None:
    state = told(told(ClassState(), 1.0, v7=(0, 0, 0, 0)), 2.0, v7=(1000, 1, 0, 0))
    assert bulk(told(state, 2.0, v7=(9000, 9, 0, 0))) == bulk(state)
    late = told(state, 100.0, v7=(9000, 9, 0, 0))
    assert bulk(late).passed_kbps is None and bulk(late).passed_bytes == 9000
    rebooted = told(state, -500.0, v7=(10, 1, 0, 0))
    assert bulk(rebooted).passed_kbps is None and bulk(rebooted).passed_bytes == 1010


def test_vifs_come_and_go() -> None:
    state = told(told(ClassState(), 1.0, v7=(1000, 1, 0, 0)), 2.0, v7=(2000, 2, 0, 0), v9=(5, 1, 0, 0))
    assert bulk(state).passed_kbps == 8.0 and bulk(state, 9) == ClassFigures(None, None, None, 0, 5, 0)
    state = told(state, 3.0, v9=(1005, 2, 0, 0))
    assert figures(state, 7)["egress"] == {} and bulk(state, 9).passed_kbps == 8.0
    assert figures(after(state, {}, 4.0), 9)["egress"] == {}


def test_of_a_host_that_has_fallen_silent_totals_alone_are_known() -> None:
    state = told(told(ClassState(), 1.0, v7=(0, 0, 0, 0)), 2.0, v7=(1000, 1, 2, 300))
    assert bulk(state).backlog_bytes == 300
    assert figures(state, 7, is_stale=True)["egress"]["bulk"] == ClassFigures(None, None, None, None, 1000, 2)


def test_a_queue_that_is_missing_for_a_while_goes_on_where_it_was() -> None:
    state = told(told(ClassState(), 1.0, v7=(6_000_000, 600, 10, 0)), 2.0, v7=(0, 0, 0, 0))
    state = told(state, 3.0, v7=(4_000_000, 400, 5, 0))
    state = told(state, 4.0)
    assert figures(state, 7)["egress"] == {}
    state = after(state, {}, 5.0)
    state = told(state, 6.0, v7=(4_500_000, 450, 6, 0), v9=(1, 1, 0, 0))
    assert bulk(state) == ClassFigures(None, None, None, 0, 10_500_000, 16)
    state = told(told(state, 7.0), 8.0, v7=(1000, 1, 0, 0))  # it was made anew meanwhile
    assert bulk(state).passed_bytes == 10_501_000
    assert bulk(told(state, 9.0, v7=(2000, 2, 0, 0))).passed_kbps == 8.0


def test_what_is_gone_for_good_is_forgotten() -> None:
    state = told(told(ClassState(), 1.0, v7=(1000, 1, 0, 0), v9=(5, 1, 0, 0)), 2.0, v9=(1005, 2, 0, 0))
    state = told(keep(state, {9}), 3.0, v7=(2000, 2, 0, 0), v9=(2005, 3, 0, 0))
    assert bulk(state).passed_bytes == 2000 and bulk(state).passed_kbps is None  # another VIF of the same number
    assert bulk(state, 9) == ClassFigures(8.0, 8.0, 0.0, 0, 2005, 0)
    assert figures(keep(state, set()), 9)["egress"] == {}
