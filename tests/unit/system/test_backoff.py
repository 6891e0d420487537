from __future__ import annotations

from controller.system import backoff


def test_delays_grow_to_a_bound_and_start_anew_after_a_good_run() -> None:
    delays = [backoff.delay_s(failures) for failures in (1, 2, 3, 4, 20, 5000)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 10.0, 10.0]
    assert [round(backoff.look_again_s(looks), 4) for looks in (0, 1, 2, 20, 5000)] == [0.02, 0.03, 0.045, 0.5, 0.5]
    assert backoff.failures_after(7, ran_s=0.5) == 8
    assert backoff.failures_after(7, ran_s=backoff.GOOD_RUN_S) == 1
