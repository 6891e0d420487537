"""What VIFs may have of the guarantees that nobody is promised: beyond what is written, within admission. Pure.

What is written always holds. What a VIF has beyond it, it has as long as nobody is promised it: all who want more share
what is free by weight, and nobody has more than it wants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from policies.hierarchy import Branch, Member, bandwidth_tree, by_link, reservable_kbps, reserved_below_kbps
from policies.model import Direction, PolicySet

_Bound = tuple[str, ...]  # the path of a node; or a host and its uplink


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a VIF wants beyond what is written. bounds: what it must stay within."""

    number: int
    kbps: int
    weight: float
    bounds: tuple[_Bound, ...]


def fitted(policies: PolicySet, members: Collection[Member]) -> list[Member]:
    """The members with what they have beyond what is written cut to what is free. At leaves of the policy set, all."""
    found = list(members)
    for direction in Direction:
        found = _fitted(policies, direction, found)
    return found


def _fitted(policies: PolicySet, direction: Direction, members: Sequence[Member]) -> list[Member]:
    claims, base = [], list(members)
    for at, member in enumerate(members):
        least = _down_to_written(policies, direction, member)
        if least is not None:
            base[at] = least
            claims.append(_claim(policies, direction, member, least))
    if not claims:
        return base
    granted = _shared(claims, _rooms(policies, direction, base))
    written = {one.number: one.bandwidth(policies, direction).guarantee_kbps for one in base if one.number in granted}
    return [
        member
        if member.number not in granted
        else replace(
            member,
            scaled=member.scaled.with_guarantee(direction, written[member.number] + granted[member.number]),
        )
        for member in members
    ]


def _down_to_written(policies: PolicySet, direction: Direction, member: Member) -> Member | None:
    """None: it has no more."""
    if member.scaled.guarantee_kbps(direction) is None:
        return None
    least = replace(member, scaled=member.scaled.with_guarantee(direction, None))
    has, written = (one.bandwidth(policies, direction).guarantee_kbps for one in (member, least))
    return least if has > written else None


def _claim(policies: PolicySet, direction: Direction, member: Member, least: Member) -> _Claim:
    has, written = (one.bandwidth(policies, direction) for one in (member, least))
    return _Claim(
        member.number, has.guarantee_kbps - written.guarantee_kbps, has.weight, _bounds(policies, direction, member)
    )


def _bounds(policies: PolicySet, direction: Direction, member: Member) -> tuple[_Bound, ...]:
    """A node with a guarantee of its own reserves just that, whatever is below: nothing above it is concerned."""
    found: list[_Bound] = []
    path = policies.nodes[member.policy].parent
    while path is not None:
        found.append((path,))
        node = policies.nodes[path]
        if node.bandwidth(direction).guarantee_kbps:
            return tuple(found)
        path = node.parent
    if member.uplink is not None:
        found.append((member.chassis or "", member.uplink))
    return tuple(found)


def _rooms(policies: PolicySet, direction: Direction, members: Sequence[Member]) -> dict[_Bound, int]:
    """What is free in kbit/s, never less than nothing, of everything that has a bound."""
    found: dict[_Bound, int] = {}
    for branch in _branches(bandwidth_tree(policies, direction, members)):
        own = policies.nodes[branch.path].bandwidth(direction)
        bound = own.guarantee_kbps or own.limit_kbps
        if bound is not None:
            found[branch.path,] = max(0, bound - reserved_below_kbps(branch))
    for (chassis, uplink), users in by_link(members):
        reservable = reservable_kbps(policies, uplink, chassis)
        if reservable is not None:
            reserved = bandwidth_tree(policies, direction, users).guarantee_kbps
            found[chassis or "", uplink] = max(0, reservable - reserved)
    return found


def _branches(branch: Branch) -> Iterator[Branch]:
    for below in branch.branches:
        yield below
        yield from _branches(below)


def _shared(claims: Sequence[_Claim], rooms: Mapping[_Bound, int]) -> dict[int, int]:
    """kbit/s by VIF number. The narrowest bound is divided first; who is in it has its part, and leaves the others."""
    within: dict[_Bound, dict[int, _Claim]] = defaultdict(dict)
    for claim in claims:
        for bound in claim.bounds:
            if bound in rooms:
                within[bound][claim.number] = claim
    left: dict[_Bound, float] = {bound: float(rooms[bound]) for bound in within}
    granted = {claim.number: claim.kbps for claim in claims}
    levels = {bound: _level(own.values(), left[bound]) for bound, own in within.items()}
    while levels and (narrowest := min(levels, key=lambda bound: (levels[bound], bound))):
        level = levels.pop(narrowest)
        if level == float("inf"):
            break
        touched = set()
        for claim in list(within[narrowest].values()):
            granted[claim.number] = int(min(claim.kbps, claim.weight * level))
            for bound in claim.bounds:
                if bound in within and within[bound].pop(claim.number, None) is not None:
                    left[bound] -= granted[claim.number]
                    touched.add(bound)
        for bound in touched & levels.keys():
            levels[bound] = _level(within[bound].values(), left[bound])
    return granted


def _level(claims: Collection[_Claim], room_kbps: float) -> float:
    """For each unit of weight, up to which all together fill the room; inf: they do not."""
    if sum(claim.kbps for claim in claims) <= room_kbps:
        return float("inf")
    weight = sum(claim.weight for claim in claims)
    for claim in sorted(claims, key=lambda claim: claim.kbps / claim.weight):
        level = max(0.0, room_kbps) / weight
        if claim.kbps / claim.weight >= level:
            return level
        room_kbps -= claim.kbps
        weight -= claim.weight
    return float("inf")
