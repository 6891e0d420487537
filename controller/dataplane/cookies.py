"""Cookies: 16 bits of tag, 8 bits of kind, 40 bits of origin. Any flow in a dump leads back to what asked for it.

Where an entry is of a rule (or node) and a VIF, the origin holds both: the VIF's number in the low 16 bits.

The number of a rule, VIF or segment is stable across applies and restarts (Weir DB, table Identifier), so an apply
rewrites only what changed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

TAG = 0x5EE1  # marks a flow entry as ours; entries without it belong to somebody else and are left alone
LEARNED = 0x5EE2 << 48  # of entries that the switch learned by a Learn action of ours; with the segment's number
TAG_MASK = 0xFFFF << 48
_ORIGIN_BITS = 40
_VIF_BITS = 16
_VIF_MASK = (1 << _VIF_BITS) - 1


class CookieKind(enum.IntEnum):
    PIPELINE = 0  # of the pipeline itself; origin = table id
    VIF = 1  # origin = VIF number
    SEGMENT = 2  # origin = segment number
    RULE = 3  # finds the packets of a rule; origin = rule number
    UNMATCHED = 4  # a leaf's `unmatched` for one VIF; origin = node number and VIF number
    VERDICT = 5  # what a rule does for one VIF; origin = rule number and VIF number
    AUDIT = 6  # counts what an audited rule would do for one VIF; origin = rule number and VIF number
    REPLY = 7  # what a rule does for one VIF to replies of what it matches; origin = rule number and VIF number
    UNMATCHED_REPLY = 8  # a leaf's `unmatched` for replies that no rule matches; origin = node number and VIF number
    SERVICE = 9  # asks the controller to serve a VIF, see dataplane.asks; origin = VIF number, 0: the outside


COUNTED = frozenset({CookieKind.UNMATCHED, CookieKind.VERDICT, CookieKind.REPLY, CookieKind.AUDIT})
WITH_VIF = COUNTED | {CookieKind.UNMATCHED_REPLY}


@dataclass(frozen=True, slots=True)
class Origin:
    kind: CookieKind
    number: int

    @property
    def vif(self) -> int | None:
        """The VIF's number, None for a kind without one."""
        if self.kind in (CookieKind.VIF, CookieKind.SERVICE):
            return self.number
        return self.number & _VIF_MASK if self.kind in WITH_VIF else None

    @property
    def of(self) -> int:
        """The number of the rule, node, segment, table or VIF that the kind says."""
        return self.number >> _VIF_BITS if self.kind in WITH_VIF else self.number


def with_vif(number: int, vif: int) -> int:
    """The origin number of what a rule or node has for one VIF. Raises ValueError when one of them is too large."""
    if not (0 <= number < 1 << _ORIGIN_BITS - _VIF_BITS and 0 <= vif <= _VIF_MASK):
        raise ValueError(f"number {number} of VIF {vif} does not fit into a cookie")
    return number << _VIF_BITS | vif


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


def decode_learned(cookie: int) -> Origin | None:
    """The segment in which the switch learned an entry. None when the cookie is not one of such."""
    if cookie >> 48 != LEARNED >> 48:
        return None
    return Origin(CookieKind.SEGMENT, cookie & (1 << _ORIGIN_BITS) - 1)
