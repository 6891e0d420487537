"""The policy language's law of allocation for one set of siblings, by filling up step by step. Pure.

It shares nothing with the allocator, against which what it gives is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Claim:
    """wanted, guarantee: kbit/s, both finite."""

    wanted: float
    guarantee: float
    weight: float


def divided(amount: float, claims: Sequence[Claim]) -> list[float]:
    """Of each min(wanted, min(guarantee, wanted) + weight * level), the level so high that the amount is used up.

    The guarantees that are demanded must fit.
    """
    found = [min(one.guarantee, one.wanted) for one in claims]
    left = amount - sum(found)
    while left > _NOTHING:
        asking = [place for place, one in enumerate(claims) if one.wanted - found[place] > _NOTHING]
        if not asking:
            break
        weights = sum(claims[place].weight for place in asking)
        rise = min(left / weights, *((claims[one].wanted - found[one]) / claims[one].weight for one in asking))
        for place in asking:
            found[place] += rise * claims[place].weight
        left -= rise * weights
    return found
