"""The rules of one list of a node by what they match: those that match a packet are found among thousands. Pure.

Within each pair of identities, boxes whose ranges have the same sizes share a table with a key for each place where
such a box can lie (tuple space search, Srinivasan et al., SIGCOMM 1999). Ranges of ports are cut into aligned blocks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from policies.lint.boxes import Box, blocks
from policies.lint.endpoints import Identities, Identity
from policies.lint.extent import Atom
from policies.lint.work import Work

_MOST_ALIKE = 16  # boxes with one key; those that follow match nothing that these do not, or little


class Entry(NamedTuple):
    number: int  # of the rule within its list
    box: Box


Shape = tuple[int, int, bool, int]  # log2 of the sizes of both address ranges, any protocol, log2 of the first numbers
Key = tuple[int, int, int, int]  # the place of each
Space = dict[Shape, dict[Key, list[Entry]]]


class Index:
    def __init__(self, identities: Identities) -> None:
        self._identities = identities
        self._spaces: dict[tuple[Identity, Identity, int], Space] = defaultdict(lambda: defaultdict(dict))
        self._owners: set[Identity] = set()
        self._remotes: set[Identity] = set()
        self._seen: dict[tuple[Identity, Identity, int], list[Space]] = {}

    def add(self, number: int, atom: Atom, work: Work) -> None:
        """Rules are added in their order. Raises OutOfWork."""
        own, remote, (protocol, last_protocol), numbers, _ = atom.box
        self._owners.add(atom.own)
        self._remotes.add(atom.remote)
        space = self._spaces[atom.own, atom.remote, atom.version]
        own_bits, remote_bits = _bits(*own), _bits(*remote)
        any_protocol = protocol != last_protocol
        place = (own[0] >> own_bits, remote[0] >> remote_bits, -1 if any_protocol else protocol)
        for first, bits in blocks(numbers):
            work.spend(2)
            alike = space[own_bits, remote_bits, any_protocol, bits].setdefault((*place, first >> bits), [])
            if len(alike) < _MOST_ALIKE:
                alike.append(Entry(number, atom.box))

    def at(self, atom: Atom, box: Box, before: int, work: Work) -> Iterator[Entry]:
        """The boxes of rules before this number that hold the lowest corner of a piece of the atom.

        Raises OutOfWork.
        """
        own, remote, protocol, number, other = (low for low, _ in box)
        for space in self._spaces_for(atom):
            work.spend(len(space))
            for (own_bits, remote_bits, any_protocol, bits), table in space.items():
                place = (own >> own_bits, remote >> remote_bits, -1 if any_protocol else protocol, number >> bits)
                for entry in table.get(place, ()):
                    if entry.number >= before:
                        break
                    work.spend(1)
                    if entry.box[-1][0] <= other <= entry.box[-1][1]:  # the key says the rest
                        yield entry

    def _spaces_for(self, atom: Atom) -> list[Space]:
        key = atom[:3]
        if key not in self._seen:
            pairs = (
                (own, remote, atom.version)
                for own in self._identities.wider(atom.own, self._owners)
                for remote in self._identities.wider(atom.remote, self._remotes)
            )
            self._seen[key] = [self._spaces[pair] for pair in pairs if pair in self._spaces]
        return self._seen[key]


def _bits(first: int, last: int) -> int:
    return (last - first).bit_length()
