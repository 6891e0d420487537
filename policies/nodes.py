"""The tree of policies as written, with what is inherited filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from policies import expansion, units
from policies.errors import BadValue, Place
from policies.expansion import MOST_OF_LEAF
from policies.grammar import BANDWIDTH, NAME, NODE, UNMATCHED
from policies.model import Action, Bandwidth, Direction, Node, Rule
from policies.reader import Reader
from policies.rules import TOO_MANY_REMEDY, NodeRules
from policies.services import Services
from policies.source import Entry, Fields, Tree
from policies.units import rate_text
from policies.wording import clipped, quoted

_WEIGHT = re.compile(r"[0-9]{1,7}(\.[0-9]{1,3})?")
_HEAVIEST = 1_000_000
_LONGEST_BURST_S = 60.0


@dataclass(frozen=True, slots=True)
class WrittenTree:
    """Nodes by path, parents before children; where their numbers stand, by path, direction and key."""

    nodes: dict[str, Node] = field(default_factory=dict)
    places: dict[tuple[str, Direction, str], Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Above:
    """What a node inherits."""

    path: str | None = None
    unmatched: Action = Action.DENY
    entries: int = 0  # that its mandatory and default rules come to
    bandwidth: Mapping[Direction, Bandwidth] = field(default_factory=lambda: {d: Bandwidth() for d in Direction})


def read_nodes(reader: Reader, entries: Iterable[Entry], services: Services) -> WrittenTree:
    """The `policies` of all files; `entries` are the nodes below the root."""
    tree = _TreeReader(reader, services)
    for entry in entries:
        tree.node(entry, _step(entry), _Above())
    return tree.written


class _TreeReader:
    def __init__(self, reader: Reader, services: Services) -> None:
        self._reader = reader
        self._services = services
        self.written = WrittenTree()

    def node(self, entry: Entry, path: str, above: _Above) -> None:
        fields = self._reader.fields(entry.value, NODE)
        children = self._children(fields["children"]) if "children" in fields else []
        bandwidth = {d: self._bandwidth(fields.get(d.value), (path, d), above) for d in Direction}
        word = self._reader.word(fields["unmatched"], UNMATCHED) if "unmatched" in fields else None
        node_rules = NodeRules(self._reader, self._services, path)
        lists = {key: node_rules.read(fields[key]) for key in ("mandatory", "rules", "default") if key in fields}
        if "children" in fields and "rules" in fields:
            remedy = "Move them to 'mandatory' (before the children's rules) or 'default' (after them)"
            self._reader.problems.add(fields["rules"].place, "a node with children has no rules of its own", remedy)
        node = Node(
            path=path,
            at=entry.key_place.at,
            parent=above.path,
            children=tuple(f"{path}/{_step(child)}" for child in children),
            egress=bandwidth[Direction.EGRESS],
            ingress=bandwidth[Direction.INGRESS],
            unmatched=Action(word) if word else above.unmatched,
            **lists,
        )
        self.written.nodes[path] = node
        inherited = above.entries + _entries(*node.mandatory, *node.default)
        if "children" not in fields:
            self._refuse_on_leaf(node, entry.key_place, inherited)
        for child in children:
            self.node(child, f"{path}/{_step(child)}", _Above(path, node.unmatched, inherited, bandwidth))

    def _refuse_on_leaf(self, leaf: Node, place: Place, inherited: int) -> None:
        """What depends on the nodes above it too: their rules, and their burst."""
        count = inherited + _entries(*leaf.rules)
        if count > MOST_OF_LEAF:
            problem = (
                f"its rules and those it inherits make {count:,} flow entries, more than the {MOST_OF_LEAF:,} of a leaf"
            )
            self._reader.problems.add(place, problem, TOO_MANY_REMEDY)
        for direction in Direction:
            own = leaf.bandwidth(direction)
            if own.limit_kbps is not None and own.burst_s is not None:
                places = [self.written.places.get((leaf.path, direction, key)) for key in ("burst", "limit")]
                self._refuse_large_burst(places[0] or places[1] or place, own.burst_s, own.limit_kbps)

    def _refuse_large_burst(self, place: Place, burst_s: float, limit_kbps: int) -> None:
        most_ms = units.SIZE.most * 8 // limit_kbps
        if burst_s * 1000 > most_ms:
            problem = f"a burst of {burst_s:g} s at a limit of {rate_text(limit_kbps)} is more than '1024 mib'"
            self._reader.problems.add(place, problem, f"Write a burst of at most '{most_ms} ms', or a lower limit")

    def _children(self, tree: Tree) -> list[Entry]:
        if isinstance(tree, Fields) and not tree.entries:
            self._reader.problems.add(tree.place, "there are no children in it", "Remove the key, or add a child")
        return list(self._reader.named(self._reader.mapping(tree), "policy"))

    def _bandwidth(self, tree: Tree | None, of: tuple[str, Direction], above: _Above) -> Bandwidth:
        """A node's numbers in one direction; only the burst is inherited."""
        inherited = above.bandwidth[of[1]]
        own = Bandwidth(burst_s=inherited.burst_s, burst_bytes=inherited.burst_bytes)
        if tree is None:
            return own
        fields = self._reader.fields(tree, BANDWIDTH)
        self.written.places.update({(*of, key): value.place for key, value in fields.items()})
        if "burst" in fields and (burst := self._reader.value(fields["burst"], _burst)):
            own = replace(own, burst_s=burst[0], burst_bytes=burst[1])
        if "weight" in fields:
            own = replace(own, weight=self._reader.value(fields["weight"], _weight) or 1.0)
        if "limit" in fields:
            own = replace(own, limit_kbps=self._reader.value(fields["limit"], _limit))
        if "guarantee" in fields:
            own = replace(own, guarantee_kbps=self._reader.value(fields["guarantee"], units.rate_kbps) or 0)
        if own.limit_kbps is not None and own.guarantee_kbps > own.limit_kbps:
            problem = f"{rate_text(own.guarantee_kbps)} is more than the limit {rate_text(own.limit_kbps)}"
            self._reader.problems.add(fields["guarantee"].place, problem, "Raise the limit or lower the guarantee")
        return own


def _entries(*rules: Rule) -> int:
    """Those of a rule that is refused for their number do not count a second time."""
    return sum(count for rule in rules if (count := expansion.entries(rule)) <= expansion.MOST_OF_RULE)


def _step(entry: Entry) -> str:
    """A name's part of a path. A wrong name is read on for errors below it, and must not look like another's path."""
    return entry.key if NAME.fullmatch(entry.key) else f"?{clipped(entry.key).replace('/', '?')}"


def _limit(text: str) -> int:
    limit = units.rate_kbps(text)
    if limit == 0:
        raise BadValue(f"{quoted(text)} lets nothing pass", "Write a limit, or deny by rules and 'unmatched: deny'")
    return limit


def _weight(text: str) -> float:
    weight = float(text) if _WEIGHT.fullmatch(text) else 0.0
    if not 0.001 <= weight <= _HEAVIEST:
        raise BadValue(
            f"{quoted(text)} is not a weight",
            f"Write a number without a unit, above 0, at most {_HEAVIEST}, such as 2.5",
        )
    return weight


def _burst(text: str) -> tuple[float | None, int | None]:
    burst_s, burst_bytes = units.time_or_size(text)
    if (burst_s or burst_bytes or 0) <= 0:
        raise BadValue(f"{quoted(text)} lets nothing pass", "Write a burst such as '20 ms' or '64 kib', or remove it")
    if burst_s is not None and burst_s > _LONGEST_BURST_S:
        raise BadValue(f"{quoted(text)} is longer than a burst can be", "Write at most '60 s'; '20 ms' is usual")
    return burst_s, burst_bytes
