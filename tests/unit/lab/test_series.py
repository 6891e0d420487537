from __future__ import annotations

import pytest

from lab.frames import frame_kbps, jain, tcp_frame_kbps
from lab.series import Count, NoFigure, Series

FRAME_BYTES = 1514


def even(frames_a_second: int, seconds: int, from_s: float = 100.0, each_s: float = 0.1) -> Series:
    """A count each 0.1 s of full frames that come evenly."""
    counts = []
    for place in range(round(seconds / each_s) + 1):
        frames = round(frames_a_second * place * each_s)
        counts.append(Count(from_s + place * each_s, frames, frames * 1472, 0))
    return Series(counts)


def test_rates_are_of_whole_frames() -> None:
    assert frame_kbps(1000, 1000 * 1472, 1.0) == 1000 * FRAME_BYTES * 8 / 1000
    assert tcp_frame_kbps(1448) == 1514


def test_a_rate_between_counts_is_interpolated() -> None:
    series = even(1000, 3)
    full_kbps = 1000 * FRAME_BYTES * 8 / 1000
    assert series.kbps(100.05, 101.05) == pytest.approx(full_kbps)
    assert series.ticks(100.0, 102.5) == pytest.approx([full_kbps, full_kbps])


def test_no_figure_beyond_what_was_counted() -> None:
    with pytest.raises(NoFigure, match="before the first"):
        even(1000, 1).kbps(99.0, 100.5)
    with pytest.raises(NoFigure, match="after the last"):
        even(1000, 1).kbps(100.0, 101.5)


def test_a_shortage_is_as_long_as_the_windows_on_end() -> None:
    series = even(1000, 1)
    last = series.counts[-1]
    series.counts += [Count(last.at_s + 0.1 * place, last.frames, last.payload_bytes, 0) for place in range(1, 7)]
    assert series.longest_below_s(100, 100.0, 101.6) == pytest.approx(0.6)
    assert series.longest_silence_s(100.0, 101.6) == pytest.approx(0.6)
    assert series.longest_below_s(100, 100.0, 101.0) == 0


def test_jain() -> None:
    assert jain([5, 5, 5]) == pytest.approx(1)
    assert jain([1, 0, 0, 0]) == pytest.approx(0.25)
