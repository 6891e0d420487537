"""Rules with the place where they stand, and how findings name them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policies.findings import Finding, field_path, node_steps
from policies.lint.endpoints import lineage
from policies.model import PolicySet, Rule
from policies.wording import quoted

LISTS = ("mandatory", "rules", "default")


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """list: one of LISTS, of the node with this path; number: where it stands in it, from 0."""

    rule: Rule
    node: str
    list: str
    number: int

    def __str__(self) -> str:
        name = "the rule" if self.rule.name is None else f"rule {quoted(self.rule.name)} of '{self.node}'"
        return f"{name} at {self.rule.at}"

    def finding(self, problem: str, remedy: str) -> Finding:
        step = self.rule.name or f"[{self.number}]"
        path = field_path(self.rule.at, *node_steps(self.node), self.list, step)
        return Finding(self.rule.at, path, problem, remedy)


def placed(policies: PolicySet) -> Iterator[Placed]:
    """Every rule of every node, parents before children."""
    for node in policies.nodes.values():
        for name in LISTS:
            for number, rule in enumerate(getattr(node, name)):
                yield Placed(rule, node.path, name, number)


def order(leaf: str) -> list[tuple[str, str]]:
    """Node and list, in the order in which rules decide at a leaf."""
    down = lineage(leaf)
    return [*((node, "mandatory") for node in down), (leaf, "rules"), *((node, "default") for node in reversed(down))]


def leaves_below(policies: PolicySet) -> dict[str, list[str]]:
    """The paths of the leaves at or below each node."""
    found: dict[str, list[str]] = {path: [] for path in policies.nodes}
    for node in policies.nodes.values():
        if node.is_leaf:
            for path in lineage(node.path):
                found[path].append(node.path)
    return found
