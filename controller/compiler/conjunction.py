"""Clauses to entries: A sources, B destinations, C services make A + B + C of them where A x B x C would be more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from controller.compiler.flow import Flow, flow
from controller.compiler.views import Clauses, Fields
from controller.dataplane.actions import Conjunction, Instructions
from controller.dataplane.cookies import CookieKind
from controller.dataplane.pipeline import Table

_VERSION_BITS = {None: 0, 4: 1, 6: 2}

Origin = tuple[CookieKind, int]


def entries(table: Table, priority: int, found: Clauses, rule: int, instructions: Instructions) -> Iterator[Flow]:
    """What does `instructions` to the packets that show so. rule: its number, of which the conjunction's id is made."""
    origin = CookieKind.RULE, rule
    unique = [_unique(clause) for clause in found.clauses]
    several = [clause for clause in unique if len(clause) != 1]
    common = _all([clause[0] for clause in unique if len(clause) == 1], found.common)
    if prod(map(len, several)) <= sum(map(len, several)) + 1:
        for one_of_each in product(*several):
            yield flow(table, priority, _all(one_of_each, common), origin, instructions)
        return
    conjunction = rule << 5 | found.view << 2 | _VERSION_BITS[found.version]
    for place, clause in enumerate(several, start=1):
        part = Instructions(apply=(Conjunction(conjunction, place, len(several)),))
        for fields in clause:
            yield flow(table, priority, {**fields, **common}, origin, part)
    yield flow(table, priority, {"conj_id": conjunction}, origin, instructions)


def _all(parts: Sequence[Fields], common: Fields) -> Fields:
    """What is common holds also where a part would say less: which fragments it may be."""
    fields: Fields = {}
    for part in parts:
        fields |= part
    return fields | common


def _unique(clause: Sequence[Fields]) -> Sequence[Fields]:
    """Each once; where one of them is no restriction at all, that one alone."""
    if len(clause) == 1:
        return clause
    if any(not fields for fields in clause):
        return ({},)
    return list({frozenset(fields.items()): fields for fields in clause}.values())
