from __future__ import annotations

import pytest

from lab.windows import Arrivals, percentile, share_met

PAYLOAD_BYTES, FRAME_KBIT = 1472, 1514 * 8e-3


def arrivals(*frames: int, first: int = 1000) -> Arrivals:
    """So many full frames in each bin of 10 ms."""
    found = Arrivals()
    for number, count in enumerate(frames, start=first):
        if count:
            found.add(number, count, count * PAYLOAD_BYTES)
    return found


def test_a_window_is_what_its_bins_hold() -> None:
    rates = arrivals(*[1] * 10, *[0] * 10, *[2] * 10).windows(10.0, 10.3)
    assert rates == pytest.approx([100 * FRAME_KBIT, 0, 200 * FRAME_KBIT])


def test_windows_begin_with_a_whole_bin_and_end_before_the_end() -> None:
    one = arrivals(*[1] * 30)
    assert one.windows(9.995, 10.295) == pytest.approx([100 * FRAME_KBIT] * 2)
    assert len(one.windows(10.001, 10.3)) == 2
    assert one.windows(10.0, 10.05) == []


def test_what_comes_in_parts_is_added() -> None:
    one = arrivals(1)
    one.add(1000, 2, 2 * PAYLOAD_BYTES)
    assert one.kbps(10.0, 10.01) == pytest.approx(300 * FRAME_KBIT)


def test_every_window_of_every_port_counts_alike() -> None:
    assert share_met({1: [10, 9, 11], 2: [5]}, {1: 10, 2: 6}) == 0.5


@pytest.mark.parametrize(("part", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_exceeded_by_the_rest(part: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), part) == expected
