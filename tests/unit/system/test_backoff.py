from __future__ import annotations

from controller.system import backoff


def test_delays_grow_to_a_bound_and_start_anew_after_a_good_run() -> None:
    delays = [backoff.delay_s(failures) for failures in (1, 2, 3, 4, 20, 5000)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 10.0, 10.0]
    assert backoff.failures_after(7, ran_s=0.5) == 8
    assert backoff.failures_after(7, ran_s=backoff.GOOD_RUN_S) == 1
