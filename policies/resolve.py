"""What holds at one leaf once the tree above it is taken into account."""

from __future__ import annotations

from dataclasses import dataclass

from policies.model import Action, PolicySet, Rule


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
    leaf = policies.nodes[path]
    upwards = [leaf]
    while upwards[-1].parent is not None:
        upwards.append(policies.nodes[upwards[-1].parent])
    mandatory = [rule for node in reversed(upwards) for rule in node.mandatory]
    default = [rule for node in upwards for rule in node.default]
    return ResolvedNode(path, (*mandatory, *leaf.rules, *default), leaf.unmatched)
