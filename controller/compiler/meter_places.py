"""Ids of meters that are for something. Meters have no cookie, and ids must not move when others come and go, for a
meter that is written anew forgets what it has let through: so an id is a hash of what the meter is for, the next free
one where two meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

U = TypeVar("U")


class TooManyMeters(ValueError):
    """More rates are bounded than there are meter ids."""


def meter_places(uses: Iterable[U], place_of: Callable[[U], int], ids: range) -> dict[U, int]:
    """An id for each use. uses: sorted, no more than `ids`. place_of: where among the ids it should be."""
    taken: set[int] = set()
    found: dict[U, int] = {}
    for use in uses:
        place = place_of(use)
        while place in taken:
            place = (place + 1) % len(ids)
        taken.add(place)
        found[use] = ids[place]
    return found


def spread(words: Iterable[int], places: int) -> int:
    """One of `places`; multiplicative hashing by odd constants spreads neighbours apart."""
    mixed = 0
    for word in words:
        mixed = (mixed ^ word) * 0x9E3779B1 & 0xFFFFFFFF
    return (mixed >> 8) % places
