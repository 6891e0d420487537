"""Guarantees that no set of VIFs could have kept, seen from what is written alone. Pure.

How many VIFs a leaf will have is not known here, so what depends on it is left to `hierarchy.admission`.
"""

from __future__ import annotations

from collections.abc import Iterator

from policies.errors import Problems
from policies.model import Bandwidth, Direction, Node
from policies.nodes import WrittenTree
from policies.units import rate_text

_REMEDY = "Raise the one or lower the other"


def refuse_impossible_guarantees(problems: Problems, written: WrittenTree) -> None:
    """Certainly wrong: one guarantee above what a node above it has; inner children that are so together."""
    for direction in Direction:
        _refuse_single(problems, written, direction)
        _refuse_sums(problems, written, direction)


def _refuse_single(problems: Problems, written: WrittenTree, direction: Direction) -> None:
    for path, node in written.nodes.items():
        own = node.bandwidth(direction).guarantee_kbps
        for above in _upwards(written, node) if own else ():
            bound = _bound(above.bandwidth(direction))
            if bound is not None and own > bound[1]:
                problem = (
                    f"{rate_text(own)} is more than the {bound[0]} {rate_text(bound[1])} of '{above.path}' above it"
                )
                problems.add(written.places[path, direction, "guarantee"], problem, _REMEDY)
                break


def _refuse_sums(problems: Problems, written: WrittenTree, direction: Direction) -> None:
    below: dict[str, int] = {}  # by path of an inner node: what its inner children reserve together
    for path, node in reversed(written.nodes.items()):  # children before parents
        if node.is_leaf:
            continue
        inner = [child for child in node.children if not written.nodes[child].is_leaf]
        stated = [written.nodes[child].bandwidth(direction).guarantee_kbps for child in inner]
        below[path] = sum(max(own, below[child]) for own, child in zip(stated, inner, strict=True))
        bound = _bound(node.bandwidth(direction))
        if bound is not None and below[path] > bound[1] >= max(stated):
            problem = f"{rate_text(bound[1])} is less than the {rate_text(below[path])} that its children reserve"
            problems.add(written.places[path, direction, bound[0]], problem, _REMEDY)


def _bound(bandwidth: Bandwidth) -> tuple[str, int] | None:
    """What the guarantees below a node may come to: its own guarantee where it has one, else its limit."""
    if bandwidth.guarantee_kbps:
        return "guarantee", bandwidth.guarantee_kbps
    return None if bandwidth.limit_kbps is None else ("limit", bandwidth.limit_kbps)


def _upwards(written: WrittenTree, node: Node) -> Iterator[Node]:
    while node.parent is not None:
        node = written.nodes[node.parent]
        yield node
