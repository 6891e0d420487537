"""Which rules no packet reaches, because rules before them decide all that they match. Pure.

Exact but for three things, and never wrong: two identities are only compared by their keys, not by who has them at this
moment; what takes too long to tell is not said; and the parts of a very large rule are not put together with others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from policies.lint.boxes import Box, covered, is_within
from policies.lint.endpoints import Identities, lineage
from policies.lint.extent import Atom, Extent, Reading, atoms, effort, sides, size
from policies.lint.extent import is_within as is_extent_within
from policies.lint.index import Entry, Index
from policies.lint.placed import Placed, leaves_below, order, placed
from policies.lint.work import OutOfWork, Work
from policies.model import Direction, PolicySet

MOST_ATOMS = 1_000  # of a rule that is put together with others
MOST_WORK = 5_000_000  # a few seconds
MOST_INDEX_WORK = 3_000_000  # likewise
_OF_EACH = 20  # what looking at a rule costs, beside its parts
MOST_TRIED = 16  # rules that are compared with one as a whole

_Key = tuple[str, str, Direction]  # path of the node, list, direction
_Before = list[tuple[_Key, int]]  # lists that decide before a rule, and how many rules of each


@dataclass(slots=True)
class Fate:
    """Of a rule that no packet reaches. covers: what decides instead; none: it matches nothing by itself."""

    covers: dict[Placed, None] = field(default_factory=dict)  # in the order in which they were found
    alone: bool = True  # at each leaf and in each direction one of them does it by itself


class Coverage:
    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._placed = tuple(placed(policies))
        self._leaves = leaves_below(policies)
        self._rules: dict[_Key, dict[int, Placed]] = defaultdict(dict)
        self._extents: dict[_Key, dict[int, Extent]] = defaultdict(dict)
        self._large: dict[_Key, list[int]] = defaultdict(list)
        self._indices: dict[_Key, Index] = {}
        self._readings: dict[Placed, Reading] = {}
        self._work = Work(MOST_WORK)
        self._identities = Identities(policies, self._work)
        self._fill()

    def fates(self) -> Iterator[tuple[Placed, Fate]]:
        """The rules that no packet reaches, parents before children."""
        try:
            for one in self._placed:
                fate = self._fate(one)
                if fate is not None:
                    yield one, fate
        except OutOfWork:
            return

    def _fill(self) -> None:
        work = Work(MOST_INDEX_WORK)
        for one in self._placed:
            if one.rule.audit:
                continue
            for direction in one.rule.directions:
                try:
                    self._add(one, direction, work)
                except OutOfWork:
                    return

    def _add(self, one: Placed, direction: Direction, work: Work) -> None:
        key = (one.node, one.list, direction)
        extent = self._reading(one, work).covering(direction)
        self._rules[key][one.number], self._extents[key][one.number] = one, extent
        if size(extent) > MOST_ATOMS:
            self._large[key].append(one.number)
            return
        index = self._indices.setdefault(key, Index(self._identities))
        for atom in atoms(extent):
            index.add(one.number, atom, work)

    def _fate(self, one: Placed) -> Fate | None:
        """None: a packet may reach it."""
        fate = Fate()
        for direction in sorted(one.rule.directions):
            for leaf in self._leaves[one.node]:
                extent = self._matched(one, direction, leaf)
                if not extent:
                    continue
                covers = self._covers(extent, self._before(one, direction, leaf))
                if not covers:
                    return None
                fate.alone &= len(covers) == 1
                fate.covers.update(dict.fromkeys(covers))
                if self._hold_everywhere(one, covers, direction):
                    break
        return fate

    def _matched(self, one: Placed, direction: Direction, leaf: str) -> Extent:
        reading = self._reading(one, self._work)
        self._work.spend(_OF_EACH + len(sides(one.rule, direction)[0] or ()))
        return reading.matched(direction, leaf)

    def _reading(self, one: Placed, work: Work) -> Reading:
        if one not in self._readings:
            sizes = (one.rule.sources or (), one.rule.destinations or (), one.rule.services)
            work.spend(_OF_EACH + 4 * sum(map(len, sizes)))
            self._readings[one] = Reading(one.rule, self._policies)
        return self._readings[one]

    def _before(self, one: Placed, direction: Direction, leaf: str) -> _Before:
        found: _Before = []
        for node, name in order(leaf):
            own = (node, name) == (one.node, one.list)
            if (node, name, direction) in self._rules:
                found.append(((node, name, direction), one.number if own else 1 << 30))
            if own:
                break
        return found

    def _hold_everywhere(self, one: Placed, covers: list[Placed], direction: Direction) -> bool:
        """Whether what decides at one leaf below the rule's node does so at each."""
        above = lineage(one.node)
        return not _names_policy(one, direction) and all(
            cover.node in above and not _names_policy(cover, direction) for cover in covers
        )

    def _covers(self, extent: Extent, before: _Before) -> list[Placed]:
        """One rule that decides all of it; else several that do together; empty: part of it is left."""
        first = next(atoms(extent))
        tried = 0
        for key, number in self._candidates(first, before):
            tried += 1
            other = self._extents[key][number]
            self._work.spend(_OF_EACH + effort(extent) + effort(other))
            if is_extent_within(extent, other, self._identities):
                return [self._rules[key][number]]
            if tried == MOST_TRIED:
                break
        return self._together(extent, before) if tried and size(extent) <= MOST_ATOMS else []

    def _candidates(self, atom: Atom, before: _Before) -> list[tuple[_Key, int]]:
        """Rules that match the first packet of the atom, and large ones, which may; in their order."""
        found: list[tuple[_Key, int]] = []
        for key, end in before:
            numbers = {number for number in self._large[key] if number < end} if key in self._large else set()
            if key in self._indices:
                numbers |= {entry.number for entry in self._indices[key].at(atom, atom.box, end, self._work)}
            found += [(key, number) for number in sorted(numbers)]
        return found

    def _together(self, extent: Extent, before: _Before) -> list[Placed]:
        used: dict[tuple[_Key, int], None] = {}
        for atom in atoms(extent):
            if not covered(atom.box, lambda box, atom=atom: self._largest(atom, box, before, used)):  # type: ignore[misc]
                return []
        return [self._rules[key][number] for key, number in used]

    def _largest(self, atom: Atom, box: Box, before: _Before, used: dict[tuple[_Key, int], None]) -> Box | None:
        """Of the boxes that hold the lowest corner, the first that holds it all, else the one that holds most of it."""
        best: tuple[int, _Key, Entry] | None = None
        for key, end in before:
            for entry in self._indices[key].at(atom, box, end, self._work) if key in self._indices else ():
                self._work.spend(2)
                held = _held(box, entry.box)
                if best is None or held > best[0]:
                    best = (held, key, entry)
            if best is not None and is_within(box, best[2].box):
                break
        if best is None:
            return None
        used[best[1], best[2].number] = None
        return best[2].box


def _held(box: Box, cover: Box) -> int:
    """How many points of the box the cover holds; it holds the lowest."""
    return prod(min(high, end) - low + 1 for (low, high), (_, end) in zip(box, cover, strict=True))


def _names_policy(one: Placed, direction: Direction) -> bool:
    own, _ = sides(one.rule, direction)
    return any(endpoint.policy is not None for endpoint in own or ())
