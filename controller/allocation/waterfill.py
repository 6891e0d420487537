"""Divides amounts among the members of many groups at once: the law of one sibling group. Pure.

A member has four numbers in kbit/s: what it must have (`hard`), what is reserved for it (`soft`), what it could use
(`demand`), with hard <= soft <= demand, and a weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from controller.allocation.tree import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Claims:
    """float64[n_members] each."""

    hard: FloatArray
    soft: FloatArray
    demand: FloatArray  # may be inf
    weight: FloatArray

    def of(self, chosen: IntArray) -> Claims:
        return Claims(self.hard[chosen], self.soft[chosen], self.demand[chosen], self.weight[chosen])


def sums(group: IntArray, value: FloatArray, groups: int) -> FloatArray:
    """Sum of the values of each group's members: float64[groups]."""
    return np.asarray(np.bincount(group, weights=value, minlength=groups), dtype=np.float64)


def fill(group: IntArray, amount_kbps: FloatArray, claims: Claims) -> FloatArray:
    """Share of each member: min(demand, soft + weight * lambda), one lambda a group, raised until its amount is used.

    group: int64[n_members], index into amount_kbps (float64[n_groups], may be inf), at least the sum of hard of each.
    Where the amount does not reach the reserves, each member gets its hard part and the same fraction of the rest of
    its reserve. Cost: one sort of the members.
    """
    groups = len(amount_kbps)
    want = sums(group, claims.demand, groups)
    reserved = sums(group, claims.soft, groups)
    short = amount_kbps < reserved
    rising = ~short & (amount_kbps < want)
    share: FloatArray = claims.demand.copy()
    members = np.flatnonzero(short[group])
    if members.size:
        share[members] = _reserve(group[members], amount_kbps, claims.of(members))
    members = np.flatnonzero(rising[group])
    if members.size:
        share[members] = _raise(group[members], amount_kbps, reserved, claims.of(members))
    return share


def _reserve(group: IntArray, amount_kbps: FloatArray, claims: Claims) -> FloatArray:
    hard = sums(group, claims.hard, len(amount_kbps))
    extra = sums(group, claims.soft - claims.hard, len(amount_kbps))
    fraction: FloatArray = np.clip((amount_kbps - hard)[group] / np.maximum(extra[group], 1e-300), 0.0, 1.0)
    return claims.hard + fraction * (claims.soft - claims.hard)


def _raise(group: IntArray, amount_kbps: FloatArray, reserved: FloatArray, claims: Claims) -> FloatArray:
    """Every amount here is finite, at least the reserves and less than the demands of its group."""
    groups = len(amount_kbps)
    rest = amount_kbps - reserved
    gap = np.minimum(claims.demand, amount_kbps[group]) - claims.soft  # to the point where the member is satisfied
    satisfied = _satisfied(group, rest, gap, claims.weight)
    used = sums(group, np.where(satisfied, gap, 0.0), groups)
    weight = sums(group, np.where(satisfied, 0.0, claims.weight), groups)
    level = np.full(groups, np.inf)
    np.divide(np.maximum(rest - used, 0.0), weight, out=level, where=weight > 0)
    share: FloatArray = claims.soft + np.minimum(gap, claims.weight * level[group])
    return share


def _satisfied(group: IntArray, rest: FloatArray, gap: FloatArray, weight: FloatArray) -> BoolArray:
    """Which members reach their demand before the rest of their group's amount is used up."""
    level = gap / weight
    order = np.lexsort((level, group))
    in_group, gap, weight = group[order], gap[order], weight[order]
    total_weight = sums(in_group, weight, len(rest))[in_group]
    used = _before(in_group, gap) + level[order] * (total_weight - _before(in_group, weight))
    satisfied = np.empty(len(order), dtype=np.bool_)
    satisfied[order] = used <= rest[in_group]
    return satisfied


def _before(group: IntArray, value: FloatArray) -> FloatArray:
    """Sum of the values that precede each element in its group. group: in ascending order."""
    running = np.cumsum(value) - value
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    counts = np.diff(starts, append=len(group))
    return running - np.repeat(running[starts], counts)
