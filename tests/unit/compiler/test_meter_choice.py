"""Rates and bursts of egress meters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.compiler.meters import JOINED_KBIT, egress_meter
from controller.dataplane.entries import MeterBody

FRAME_KBIT = 1514 * 8 / 1000


@pytest.mark.parametrize(
    ("limit_kbps", "burst_kbit", "shaped", "meter"),
    [
        (100_000, None, True, MeterBody(102_000, 5_000 + 400)),  # 50 ms, and the shaper's 4 ms
        (100_000, 2_000, True, MeterBody(102_000, 5_000 + 2_000)),
        (100_000, None, False, MeterBody(100_000, 20_000)),  # 200 ms
        (100_000, 2_000, False, MeterBody(100_000, 2_000)),
        (1, None, True, MeterBody(2, 65)),
    ],
)
def test_known_limits(limit_kbps: int, burst_kbit: int | None, shaped: bool, meter: MeterBody) -> None:
    assert egress_meter(limit_kbps, burst_kbit, shaped) == meter


@pytest.mark.parametrize("shaped", [True, False])
@pytest.mark.parametrize("burst_kbit", [None, 1])
def test_full_frames_always_fit(shaped: bool, burst_kbit: int | None) -> None:
    assert egress_meter(10, burst_kbit, shaped).burst_kbit >= 3 * FRAME_KBIT


@pytest.mark.parametrize("shaped", [True, False])
def test_joined_segments_fit_where_the_datapath_sees_them(shaped: bool) -> None:
    plain = egress_meter(1000, 100, shaped)
    assert egress_meter(1000, 100, shaped, JOINED_KBIT) == replace(plain, burst_kbit=JOINED_KBIT)
    assert JOINED_KBIT * 1000 / 8 >= 65_536
    deep = egress_meter(100_000, None, shaped)
    assert deep.burst_kbit > JOINED_KBIT and egress_meter(100_000, None, shaped, JOINED_KBIT) == deep


def test_no_meter_holds_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1 kbit/s"):
        egress_meter(0, None, True)


@pytest.mark.parametrize("shaped", [True, False])
def test_what_does_not_fit_into_a_band_is_clipped(shaped: bool) -> None:
    meter = egress_meter(100_000_000, 6_000_000_000, shaped)
    assert meter.burst_kbit == 0xFFFF_FFFF
    assert egress_meter(0xFFFF_FFFF, None, shaped).rate_kbps == 0xFFFF_FFFF
