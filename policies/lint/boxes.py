"""Boxes of whole numbers, and whether some of them cover another. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

Range = tuple[int, int]  # first and last, inclusive
Box = tuple[Range, ...]  # a range on each axis

MOST_PIECES = 1_000  # that a box is cut into before the search is given up


def covered(box: Box, find: Callable[[Box], Box | None]) -> bool:
    """Whether the boxes behind `find` cover this one together. False also where that takes too long to tell.

    find: one of them that holds the lowest corner of the box it is given; None: there is none.
    """
    rest = [box]
    for _ in range(MOST_PIECES):
        if not rest:
            return True
        piece = rest.pop()
        cover = find(piece)
        if cover is None:
            return False
        rest += _beyond(piece, cover)
    return not rest


def _beyond(box: Box, cover: Box) -> Iterator[Box]:
    """What the cover leaves of the box, in pieces that are apart: as it holds the lowest corner, all is above it."""
    inside = list(box)
    for axis, ((low, high), (_, end)) in enumerate(zip(box, cover, strict=True)):
        if end < high:
            yield (*inside[:axis], (end + 1, high), *box[axis + 1 :])
            inside[axis] = (low, end)


def is_within(box: Box, other: Box) -> bool:
    return all(first <= low and high <= last for (low, high), (first, last) in zip(box, other, strict=True))


def has_corner(box: Box, other: Box) -> bool:
    """Whether `other` holds the lowest corner of `box`."""
    return all(first <= low <= last for (low, _), (first, last) in zip(box, other, strict=True))


def among(boxes: Sequence[Box]) -> Callable[[Box], Box | None]:
    """For `covered`: looks at one after the other."""
    return lambda box: next((other for other in boxes if has_corner(box, other)), None)


class Ranges:
    """The union of ranges."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def hold(self, one: Range) -> bool:
        at = bisect_right(self._firsts, one[0]) - 1
        return at >= 0 and one[1] <= self._lasts[at]


def blocks(numbers: Range) -> Iterator[tuple[int, int]]:
    """The aligned blocks, of sizes that are powers of two, that make up a range: first number and log2 of the size."""
    first, last = numbers
    while first <= last:
        bits = (first & -first).bit_length() - 1 if first else (last + 1).bit_length() - 1
        while first + (1 << bits) - 1 > last:
            bits -= 1
        yield first, bits
        first += 1 << bits
