"""What holds at one leaf once the tree above it is taken into account."""

from __future__ import annotations

from dataclasses import dataclass

from policies.model import Action, Node, PolicySet, Rule


@dataclass(frozen=True, slots=True)
class ResolvedNode:
    """The rules of a leaf in the order in which they decide (mandatory, own, default), then `unmatched`."""

    path: str
    rules: tuple[Rule, ...]
    unmatched: Action


def resolve(policies: PolicySet, path: str) -> ResolvedNode:
    """Order: `mandatory` from the root down, the leaf's own `rules`, `default` from the leaf up; the first match wins.

    Raises KeyError when no node has this path.
    """
    downwards = ancestry(policies, path)
    leaf = downwards[-1]
    mandatory = [rule for node in downwards for rule in node.mandatory]
    default = [rule for node in reversed(downwards) for rule in node.default]
    return ResolvedNode(path, (*mandatory, *leaf.rules, *default), leaf.unmatched)


def ancestry(policies: PolicySet, path: str) -> tuple[Node, ...]:
    """The nodes from the top of the tree down to this one. Raises KeyError when no node has this path."""
    upwards = [policies.nodes[path]]
    while upwards[-1].parent is not None:
        upwards.append(policies.nodes[upwards[-1].parent])
    return tuple(reversed(upwards))
