"""Laws of values: what is written is what is meant, in any unit and any case."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from policies import units
from policies.errors import BadValue

WHOLE = st.integers(0, 10**9)


@given(WHOLE)
def test_a_rate_round_trips(kbps):
    assert units.rate_kbps(units.rate_text(kbps)) == kbps


@given(st.integers(0, 10**6), st.sampled_from(["kbit", "mbit"]), st.sampled_from(["", " ", "  "]), st.booleans())
def test_space_and_case_do_not_matter(number, unit, space, upper):
    text = f"{number}{space}{unit.upper() if upper else unit}"
    expected = number * {"kbit": 1, "mbit": 1000}[unit]
    assert expected > units.RATE.most or units.rate_kbps(text) == expected


@given(st.integers(0, 10**6))
def test_steps_are_of_a_thousand_for_rates_and_of_1024_for_binary_sizes(number):
    assert units.rate_kbps(f"{number} kbit") == units.rate_kbps(f"{number * 1000} bit")
    assert units.size_bytes(f"{number} kib") == units.size_bytes(f"{number * 1024} b")
    assert units.size_bytes(f"{number % 1000} mb") == units.size_bytes(f"{number % 1000 * 1000} kb")


@given(st.integers(0, 10**4), st.integers(0, 999))
def test_a_decimal_part_is_exact(whole, thousandths):
    assert units.rate_kbps(f"{whole}.{thousandths:03d} mbit") == whole * 1000 + thousandths
    assert math.isclose(units.time_s(f"{whole}.{thousandths:03d} s"), whole + thousandths / 1000)


@given(st.text(), st.sampled_from([units.rate_kbps, units.packets_per_s, units.size_bytes, units.time_s, units.part]))
def test_any_text_is_a_value_or_a_bad_value(text, read):
    try:
        assert read(text) >= 0
    except BadValue as bad:
        assert bad.problem and bad.remedy and "\n" not in str(bad)


@given(WHOLE)
def test_a_bare_number_is_an_error_that_names_units(number):
    for read, unit in ((units.rate_kbps, "mbit"), (units.size_bytes, "kib"), (units.time_s, "ms"), (units.part, "%")):
        try:
            read(str(number))
        except BadValue as bad:
            assert f"'{number} {unit}'" in bad.remedy
        else:
            raise AssertionError("a bare number was accepted")
