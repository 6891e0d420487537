"""The table of creating VIFs, and what must not be."""

from __future__ import annotations

from bench.creating import MOST, MOST_OF_COMMAND, Row, faults, table

ONE = Row("one", 0.12, 0.1, "command 0.1", MOST_OF_COMMAND)
MANY = Row("each of 100", 0.12, 0.1, "command 20")


def test_each_stands_beside_the_same_by_hand() -> None:
    assert "| one | 0.120 s | 0.100 s | 1.2 | command 0.1 |" in table([ONE])


def test_what_takes_too_long_is_a_fault() -> None:
    assert faults([ONE]) == []
    assert faults([ONE, MANY]) == [f"each of 100: 1.2 times as long as by hand, more than {MOST}."]
