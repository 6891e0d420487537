"""The table of dividing bandwidth, and the guard against its taking more."""

from __future__ import annotations

from dataclasses import replace

from bench.allocating import MANY, MOST, MOST_A_ROUND, MOST_ROUNDS, ONE, SPANNED, Divided, faults, table

LESS, MORE = Divided(ONE, 10_000, 1, 0.001, 0.01, 0.001), Divided(ONE, 100_000, 1, 0.012, 0.11, 0.015)
SPAN = Divided(SPANNED, 100_000, 5, 0.3, 0.5, 0.015)


def test_each_stands_beside_a_sort() -> None:
    found = table([LESS, MORE])
    assert "| 100,000 | one link | 1 | 12.0 ms | 120 ns | 15.0 ms | 0.8 | 110.0 ms |" in found
    assert table([]) == "" and faults([]) == [] and faults([LESS, MORE, SPAN]) == []


def test_what_takes_too_long_or_grows_too_fast_is_a_fault() -> None:
    (fault,) = faults([LESS, replace(MORE, seconds=0.031)])
    assert fault == "Dividing among 100,000 VIFs, one link: 3.1 times as long for each as among 10,000, more than 3."
    assert faults([replace(LESS, kind=MANY), replace(MORE, seconds=0.031)]) == []
    (fault,) = faults([replace(MORE, limit_s=0.012 / MOST / 1.01)])
    assert "4.0 times as long as to sort as many numbers" in fault
    (fault,) = faults([replace(SPAN, seconds=SPAN.limit_s * MOST_A_ROUND * 5 * 1.01)])
    assert "more than 60." in fault
    (fault,) = faults([replace(SPAN, rounds=MOST_ROUNDS + 1)])
    assert "26 rounds" in fault
