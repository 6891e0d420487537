"""The tree of policies as written, with what is inherited filled in. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from policies.bandwidths import read_bandwidth, refuse_large_burst
from policies.errors import Place
from policies.expansion import MOST_OF_LEAF
from policies.grammar import NAME, NODE, UNMATCHED
from policies.model import MOST_LEVELS, Action, Direction, Node, Position
from policies.names import Names
from policies.node_values import (
    read_autoscale,
    read_buffer,
    read_congestion,
    read_cpu,
    read_objectives,
    read_queues,
)
from policies.reader import Reader
from policies.rules import TOO_MANY_REMEDY, NodeRules
from policies.source import Entry, Fields, Tree
from policies.wording import clipped

_TOP = Node(path="", at=Position("", 1, 1))  # above the nodes of the top: what is inherited where nobody says


@dataclass(frozen=True, slots=True)
class WrittenTree:
    """Nodes by path, parents before children; where their numbers stand, by path, direction and key."""

    nodes: dict[str, Node] = field(default_factory=dict)
    places: dict[tuple[str, Direction, str], Place] = field(default_factory=dict)


def read_nodes(reader: Reader, entries: Iterable[Entry], names: Names) -> WrittenTree:
    """The `policies` of all files; `entries` are the nodes below the root."""
    tree = _TreeReader(reader, names)
    for entry in entries:
        tree.node(entry, _TOP, 0)
    return tree.written


class _TreeReader:
    def __init__(self, reader: Reader, names: Names) -> None:
        self._reader = reader
        self._names = names
        self.written = WrittenTree()

    def node(self, entry: Entry, above: Node, entries_above: int) -> None:
        """entries_above: that the mandatory and default rules above it come to."""
        fields = self._reader.fields(entry.value, NODE)
        path = _joined(above, entry)
        bandwidth = {d: read_bandwidth(self._reader, fields.get(d.value), above.bandwidth(d)) for d in Direction}
        for direction, numbers in bandwidth.items():
            self.written.places.update({(path, direction, key): place for key, place in numbers.places.items()})
        node = Node(
            path=path,
            at=entry.key_place.at,
            parent=above.path or None,
            egress=bandwidth[Direction.EGRESS].numbers,
            ingress=bandwidth[Direction.INGRESS].numbers,
        )
        node = self._with_values(node, fields, above)
        if "autoscale" in fields:
            node = replace(node, autoscale=read_autoscale(self._reader, fields["autoscale"], bandwidth))
        node, entries = self._with_rules(node, fields)
        children = self._children(fields["children"], node) if "children" in fields else []
        node = replace(node, children=tuple(_joined(node, child) for child in children))
        self.written.nodes[path] = node
        inherited = entries_above + entries["mandatory"] + entries["default"]
        if "children" not in fields:
            self._refuse_on_leaf(inherited + entries["rules"], entry.key_place)
            for numbers in bandwidth.values():
                refuse_large_burst(self._reader.problems, numbers, entry.key_place)
        for child in children:
            self.node(child, node, inherited)

    def _with_values(self, node: Node, fields: Mapping[str, Tree], above: Node) -> Node:
        """What the leaves below take over: each key whole from the nearest node that has it."""
        reader = self._reader
        word = reader.word(fields["unmatched"], UNMATCHED) if "unmatched" in fields else None
        flag = reader.flag(fields["best-effort"]) if "best-effort" in fields else None
        return replace(
            node,
            unmatched=Action(word) if word else above.unmatched,
            buffer_bytes=read_buffer(reader, fields["buffer"]) if "buffer" in fields else above.buffer_bytes,
            queues=read_queues(reader, fields["queues"]) if "queues" in fields else above.queues,
            cpu=read_cpu(reader, fields["cpu"]) if "cpu" in fields else above.cpu,
            slo=read_objectives(reader, fields["slo"]) if "slo" in fields else above.slo,
            congestion=read_congestion(reader, fields["congestion"]) if "congestion" in fields else above.congestion,
            best_effort=above.best_effort if flag is None else flag,
        )

    def _with_rules(self, node: Node, fields: Mapping[str, Tree]) -> tuple[Node, Counter[str]]:
        """And how many flow entries they come to, by list."""
        rules = NodeRules(self._reader, self._names, node.path)
        if "children" in fields and "rules" in fields:
            remedy = "Move them to 'mandatory' (before the children's rules) or 'default' (after them)"
            self._reader.problems.add(fields["rules"].place, "a node with children has no rules of its own", remedy)
        node = replace(
            node,
            mandatory=rules.read(fields["mandatory"]) if "mandatory" in fields else (),
            rules=rules.read(fields["rules"]) if "rules" in fields else (),
            default=rules.read(fields["default"]) if "default" in fields else (),
        )
        return node, rules.entries

    def _children(self, tree: Tree, node: Node) -> list[Entry]:
        if isinstance(tree, Fields) and not tree.entries:
            self._reader.problems.add(tree.place, "there are no children in it", "Remove the key, or add a child")
        elif node.level >= MOST_LEVELS:
            problem = f"the tree of policies is more than {MOST_LEVELS} levels deep"
            self._reader.problems.add(tree.place, problem, "Move what stands here further up")
            return []
        return list(self._reader.named(self._reader.mapping(tree), "policy"))

    def _refuse_on_leaf(self, count: int, place: Place) -> None:
        """count: entries of its rules and those it inherits together."""
        if count > MOST_OF_LEAF:
            problem = (
                f"its rules and those it inherits make {count:,} flow entries, more than the {MOST_OF_LEAF:,} of a leaf"
            )
            self._reader.problems.add(place, problem, TOO_MANY_REMEDY)


def _joined(above: Node, entry: Entry) -> str:
    """A child's path. A wrong name is read on for errors below it, and must not look like another's path."""
    step = entry.key if NAME.fullmatch(entry.key) else f"?{clipped(entry.key).replace('/', '?')}"
    return f"{above.path}/{step}" if above.path else step
