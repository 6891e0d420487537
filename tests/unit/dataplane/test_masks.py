from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dataplane.masks import range_masks

ends = st.tuples(st.integers(0, 255), st.integers(0, 255)).map(sorted)


@pytest.mark.parametrize(
    ("first", "last", "masks"),
    [
        (80, 80, [(80, 0xFFFF)]),
        (0, 65535, [(0, 0)]),
        (8000, 8099, [(8000, 0xFFC0), (8064, 0xFFE0), (8096, 0xFFFC)]),
        (1, 65535, [(1 << bit, 0xFFFF - (1 << bit) + 1 & 0xFFFF) for bit in range(16)]),
    ],
)
def test_known_ranges(first: int, last: int, masks: list[tuple[int, int]]) -> None:
    assert range_masks(first, last) == masks


@given(ends)
def test_masks_match_the_range_once_and_nothing_else(range_: list[int]) -> None:
    first, last = range_
    masks = range_masks(first, last, bits=8)
    for number in range(256):
        assert sum(number & mask == value for value, mask in masks) == (first <= number <= last)
    assert len(masks) <= 14


@pytest.mark.parametrize(("first", "last"), [(2, 1), (-1, 1), (1, 65536)])
def test_no_range(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="is no range"):
        range_masks(first, last)
