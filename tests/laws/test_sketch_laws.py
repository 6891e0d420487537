"""Laws: sketches merge in whatever order, and tell every quantile within their error."""

import math

from hypothesis import given
from hypothesis import strategies as st

from controller.measure import sketch

times_ms = st.floats(min_value=sketch.LEAST_MS, max_value=sketch.MOST_MS)
many = st.lists(times_ms, max_size=200)
ROUNDING = 1e-9  # of the logarithm of a value that lies on a bucket's bound


@given(many, many, many)
def test_how_sketches_are_merged_does_not_matter(one: list[float], two: list[float], three: list[float]) -> None:
    parts = [sketch.sketch_of(values) for values in (one, two, three)]
    whole = sketch.sketch_of(one + two + three)
    assert sketch.merged(parts) == sketch.merged(reversed(parts)) == whole
    assert sketch.merged([sketch.merged(parts[:2]), parts[2]]) == sketch.merged([parts[0], sketch.merged(parts[1:])])
    assert sketch.count(whole) == len(one) + len(two) + len(three)


@given(st.lists(times_ms, min_size=1, max_size=200), st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_is_within_the_stated_error_of_the_exact_one(values: list[float], part: float) -> None:
    exact = sorted(values)[max(1, math.ceil(part * len(values))) - 1]
    told = sketch.quantile_ms(sketch.sketch_of(values), part)
    assert told is not None
    assert abs(told - exact) <= (sketch.RELATIVE_ERROR + ROUNDING) * exact


@given(times_ms, times_ms)
def test_what_is_longer_is_never_told_as_shorter(one: float, other: float) -> None:
    shorter, longer = sorted((sketch.bucket_of(one), sketch.bucket_of(other)))
    assert sketch.bucket_of(min(one, other)) == shorter
    assert 0 <= shorter <= longer <= sketch.LAST
