"""Divides amounts among the members of many groups at once: the law of one sibling group. Pure.

A member has four numbers in kbit/s: what it must have (`hard`), what is reserved for it (`soft`), what would be if it
asked for more (`reserve`), what it could use (`demand`), with hard <= soft <= min(reserve, demand); and a weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.allocation.tree import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Claims:
    """float64[n_members] each."""

    hard: FloatArray
    soft: FloatArray
    reserve: FloatArray
    demand: FloatArray  # may be inf
    weight: FloatArray


def sums(group: IntArray, value: FloatArray, groups: int) -> FloatArray:
    """Sum of the values of each group's members: float64[groups]."""
    return np.asarray(np.bincount(group, weights=value, minlength=groups), dtype=np.float64)


def fill(group: IntArray, amount_kbps: FloatArray, claims: Claims) -> FloatArray:
    """Share of each member: min(demand, soft + weight * lambda), one lambda a group, raised until its amount is used.

    group: int64[n_members], index into amount_kbps (float64[n_groups], may be inf), at least the sum of hard of each.
    Where the amount does not reach the reserves, shares are min(soft, hard + (reserve - hard) * lambda).
    """
    groups = len(amount_kbps)
    share: FloatArray = claims.demand.copy()
    scarce = amount_kbps < sums(group, claims.demand, groups)
    members = np.flatnonzero(scarce[group])
    if not members.size:
        return share
    reserved = sums(group, claims.soft, groups)
    group, hard, soft = group[members], claims.hard[members], claims.soft[members]
    amount = amount_kbps[group]
    short = amount < reserved[group]
    floor = np.where(short, hard, soft)
    top = np.where(short, soft, np.minimum(claims.demand[members], amount))
    weight = np.where(short, claims.reserve[members] - hard, claims.weight[members])
    rest = np.where(scarce, amount_kbps, 0.0) - sums(group, floor, groups)
    share[members] = np.minimum(top, floor + _raised(group, rest, top - floor, weight))  # no rounding beyond the top
    return share


def _raised(group: IntArray, rest: FloatArray, gap: FloatArray, weight: FloatArray) -> FloatArray:
    """What each member gets of the rest of its group: min(gap, weight * lambda). rest: float64[n_groups].

    Newton's method: each step takes those who have enough at this lambda for satisfied and divides what they leave.
    Lambda only rises, and from step to step what is still to be divided times the weight of those who still take part
    falls to a quarter at most (a concave function; Dinkelbach), so the steps are few whatever the figures: as many as
    the logarithm of (rest * weight) has digits to base 4.
    """
    satisfied = gap <= 0
    level = np.zeros(len(rest))
    while True:
        used = sums(group, np.where(satisfied, gap, 0.0), len(rest))
        sharing = sums(group, np.where(satisfied, 0.0, weight), len(rest))
        np.divide(np.maximum(rest - used, 0.0), sharing, out=level, where=sharing > 0)
        offer = weight * level[group]
        more = (gap <= offer) & ~satisfied
        if not more.any():
            return np.where(satisfied, gap, offer)
        satisfied |= more
