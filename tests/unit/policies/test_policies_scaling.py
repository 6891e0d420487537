"""What is in force of numbers that move, and what VIFs may ask for."""

from __future__ import annotations

import pytest

from policies.model import Direction
from policies.own_numbers import INHERITED, Own
from policies.parser import parse
from policies.scaling import (
    UNSCALED,
    Range,
    Scaled,
    bandwidth_in_force,
    buffer_in_force,
    columns_of,
    cpu_in_force,
    outside,
    scaled_of,
)

POLICIES = parse(
    {
        "p": """
weir: 1
policies:
  moved:
    egress: {guarantee: 100 mbit, limit: 300 mbit}
    ingress: {limit: 300 mbit}
    autoscale: {guarantee: {min: 50 mbit, max: 200 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}
    buffer: {min: 32 kib, max: 128 kib}
    cpu: {min: 10 %, max: 50 %}
  fixed:
    egress: {guarantee: 100 mbit}
    buffer: 64 kib
    cpu: 20 %
"""
    }
)
MOVED, FIXED = POLICIES.nodes["moved"], POLICIES.nodes["fixed"]


@pytest.mark.parametrize(
    ("moved_kbps", "own", "in_force_kbps"),
    [
        (None, INHERITED, 100_000),
        (150_000, INHERITED, 150_000),
        (10, INHERITED, 50_000),
        (900_000, INHERITED, 200_000),
        (None, Own(guarantee_kbps=60_000), 60_000),
        (150_000, Own(limit_kbps=120_000), 120_000),  # its own limit is narrower than the bounds
        (150_000, Own(guarantee_kbps=0), 0),  # it has none that could move
    ],
)
def test_a_guarantee_in_force(moved_kbps: int | None, own: Own, in_force_kbps: int) -> None:
    found = bandwidth_in_force(MOVED, Direction.EGRESS, own, Scaled(egress_kbps=moved_kbps))
    assert found.guarantee_kbps == in_force_kbps


def test_without_autoscale_or_guarantee_what_is_written_holds() -> None:
    scaled = Scaled(150_000, 150_000, 40_000, 300)
    assert bandwidth_in_force(FIXED, Direction.EGRESS, INHERITED, scaled).guarantee_kbps == 100_000
    assert bandwidth_in_force(MOVED, Direction.INGRESS, INHERITED, scaled).guarantee_kbps == 0
    assert (buffer_in_force(FIXED, scaled), cpu_in_force(FIXED, scaled)) == (65_536, 0.2)


def test_a_buffer_begins_at_its_max_and_processor_time_at_its_min() -> None:
    assert (buffer_in_force(MOVED, UNSCALED), cpu_in_force(MOVED, UNSCALED)) == (131_072, 0.1)
    scaled = Scaled(buffer_bytes=1, cpu_permille=999)
    assert (buffer_in_force(MOVED, scaled), cpu_in_force(MOVED, scaled)) == (32_768, 0.5)


def test_columns_and_back() -> None:
    scaled = Scaled(ingress_kbps=5, cpu_permille=7)
    assert columns_of(scaled) == {"ingress_kbps": 5, "cpu_permille": 7}
    assert scaled_of(columns_of(scaled)) == scaled and scaled_of({}) is UNSCALED


def test_a_range_holds_what_was_moved_within_it() -> None:
    assert [Range(2, 8, 5).at(moved) for moved in (None, 1, 6, 9)] == [5, 2, 6, 8]


def test_a_guarantee_of_its_own_beyond_the_bounds_is_refused() -> None:
    (line,) = outside(MOVED, Direction.EGRESS, Own(guarantee_kbps=250_000))
    assert line == (
        "its own egress guarantee of 250 mbit is not within 50 mbit to 200 mbit, where policy 'moved' moves it. Ask "
        "for guarantee=50 mbit at least and 200 mbit at most, or change its autoscale."
    )
    for own in (INHERITED, Own(guarantee_kbps=0), Own(guarantee_kbps=50_000)):
        assert not list(outside(MOVED, Direction.EGRESS, own))
    assert not list(outside(FIXED, Direction.EGRESS, Own(guarantee_kbps=250_000)))
