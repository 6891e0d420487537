"""Tables of counters mean what mappings of rows mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.measure.counted import added, changed, counted, in_order, merged, nothing

COUNTERS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
ROWS = st.dictionaries(st.integers(0, 20), COUNTERS, max_size=6)
SMALL = st.dictionaries(st.integers(0, 20), st.tuples(st.integers(0, 2**50), st.integers(0, 2**50)), max_size=6)
Rows = dict[int, tuple[int, int]]


@given(ROWS, ROWS)
def test_a_part_is_put_in_the_place_of_rows_or_beside_them(before: Rows, part: Rows) -> None:
    table = counted(before, 2)
    assert table.rows() == before and merged(table, counted(part, 2)).rows() == {**before, **part}
    assert table.rows() == before, "what was there is left as it was"


@given(ROWS, ROWS)
def test_what_has_changed_makes_the_one_of_the_other(before: Rows, now: Rows) -> None:
    part = changed(counted(before, 2), counted(now, 2))
    assert (part is None) == (before.keys() != now.keys())
    if part is not None:
        assert part.rows() == {key: row for key, row in now.items() if before[key] != row}
        assert merged(counted(before, 2), part).rows() == now


@given(SMALL, SMALL)
def test_what_others_have_counted_is_added_to_what_is_there(one: Rows, other: Rows) -> None:
    def sums(key: int) -> tuple[int, int]:
        more = other.get(key, (0, 0))
        return one[key][0] + more[0], one[key][1] + more[1]

    assert added(counted(one, 2), counted(other, 2)).rows() == {key: sums(key) for key in one}


@given(ROWS, st.lists(st.integers(-1, 21), max_size=8))
def test_rows_are_found_by_number_and_unknown_where_there_are_none(rows: Rows, keys: list[int]) -> None:
    table = counted(rows, 2)
    assert [table.row(key) for key in keys] == [rows.get(key) for key in keys]
    found = table.of(np.array(keys, dtype=np.int64))
    assert found.shape == (len(keys), 2)
    for key, row in zip(keys, found.tolist(), strict=True):
        assert row == [float(one) for one in rows[key]] if key in rows else np.isnan(row).all()


def test_of_two_alike_the_first_counts_and_what_is_no_counter_is_refused() -> None:
    twice = in_order(np.array([3, 1, 3]), np.array([[1], [2], [3]], dtype=np.uint64))
    assert twice.rows() == {1: (2,), 3: (1,)} and nothing(2).rows() == {}
    for wrong in (-1, 2**64):
        with pytest.raises(OverflowError):
            counted({1: (wrong,)}, 1)
