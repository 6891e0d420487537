"""Cookies: 16 bits of tag, 8 bits of kind, 40 bits of origin. Any flow in a dump leads back to what asked for it.

The number of a rule, VIF or segment is stable across applies and restarts (Weir DB, table Identifier), so an apply
rewrites only what changed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

TAG = 0x5EE1  # marks a flow entry as ours; entries without it belong to somebody else and are left alone
TAG_MASK = 0xFFFF << 48
_ORIGIN_BITS = 40


class CookieKind(enum.IntEnum):
    PIPELINE = 0  # of the pipeline itself; origin = table id
    VIF = 1  # origin = VIF number
    SEGMENT = 2  # origin = segment number
    RULE = 3  # origin = rule number
    UNMATCHED = 4  # a node's `unmatched`; origin = node number


@dataclass(frozen=True, slots=True)
class Origin:
    kind: CookieKind
    number: int


def encode(kind: CookieKind, number: int) -> int:
    """Raises ValueError when the number does not fit into 40 bits."""
    if not 0 <= number < 1 << _ORIGIN_BITS:
        raise ValueError(f"origin {number} does not fit into {_ORIGIN_BITS} bits")
    return TAG << 48 | kind << _ORIGIN_BITS | number


def decode(cookie: int) -> Origin | None:
    """None when the cookie is not one of ours."""
    if cookie >> 48 != TAG:
        return None
    kind = cookie >> _ORIGIN_BITS & 0xFF
    if kind not in CookieKind._value2member_map_:
        return None
    return Origin(CookieKind(kind), cookie & (1 << _ORIGIN_BITS) - 1)
