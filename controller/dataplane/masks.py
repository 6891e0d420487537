"""Ranges of numbers as the fewest (value, mask) pairs, which is what a match field takes."""

from __future__ import annotations


def range_masks(first: int, last: int, bits: int = 16) -> list[tuple[int, int]]:
    """Disjoint pairs, ascending, that together match exactly first..last.

    Raises ValueError when the range is empty or does not fit into `bits`.
    """
    if not 0 <= first <= last < 1 << bits:
        raise ValueError(f"{first}-{last} is no range of {bits}-bit numbers")
    found = []
    while first <= last:
        size = first & -first or 1 << bits  # the largest aligned block that begins here
        while first + size - 1 > last:
            size >>= 1
        found.append((first, (1 << bits) - size))
        first += size
    return found
