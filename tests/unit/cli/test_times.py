from __future__ import annotations

from datetime import datetime

import pytest

from controller.cli.times import local, moment, span


def test_moments_are_exact_to_the_second_for_programs_and_for_people() -> None:
    assert moment(0.9) == "1970-01-01T00:00:00+00:00"
    assert datetime.fromisoformat(moment(1_700_000_000.0)).timestamp() == 1_700_000_000
    assert datetime.fromisoformat(local(1_700_000_000.0)).timestamp() == 1_700_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 m"), (28799.6, "7 h 59 m"), (86461, "1 d 1 m"), (-3, "0 s")],
)
def test_spans_are_said_in_their_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
