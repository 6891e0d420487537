"""What a sketch says at its edges; what it says of many values is in tests/laws/test_sketch_laws.py."""

import pytest

from controller.measure import sketch


def test_nothing_was_seen() -> None:
    assert sketch.quantile_ms({}, 0.5) is None
    assert sketch.count({}) == 0


def test_what_is_too_small_or_too_large_is_told_as_the_bound() -> None:
    assert sketch.bucket_of(0.0) == sketch.bucket_of(-1.0) == 0
    assert sketch.value_ms(0) == sketch.LEAST_MS
    assert sketch.bucket_of(1e9) == sketch.LAST
    assert sketch.value_ms(sketch.LAST) == pytest.approx(sketch.MOST_MS, rel=sketch.RELATIVE_ERROR)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="nan is no time"):
        sketch.bucket_of(float("nan"))


def test_the_quantile_is_the_value_that_so_many_do_not_exceed() -> None:
    hundred = sketch.sketch_of(float(value) for value in range(1, 101))
    assert sketch.quantile_ms(hundred, 0.5) == pytest.approx(50, rel=sketch.RELATIVE_ERROR)
    assert sketch.quantile_ms(hundred, 0.99) == pytest.approx(99, rel=sketch.RELATIVE_ERROR)
    assert sketch.quantile_ms(hundred, 1.0) == pytest.approx(100, rel=sketch.RELATIVE_ERROR)
    assert sketch.quantile_ms(hundred, 0.0) == pytest.approx(1, rel=sketch.RELATIVE_ERROR)
