"""Where a value that a leaf has from above was said. Pure."""

from __future__ import annotations

from policies.model import Node, PolicySet


def origin(policies: PolicySet, leaf: Node, attribute: str) -> Node:
    """The highest node from which the value comes down to the leaf."""
    node = leaf
    while node.parent is not None:
        above = policies.nodes[node.parent]
        if getattr(above, attribute) != getattr(node, attribute):
            break
        node = above
    return node
