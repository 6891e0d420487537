"""What a policy promises and what is kept of it in another way than one might think, as findings. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from policies.classes import uses_classes
from policies.findings import Finding, field_path, node_steps
from policies.inheritance import origin
from policies.model import Direction, Node, PolicySet
from policies.own_numbers import Own
from policies.resolve import ancestry

_NARROW = "its classes divide what waits at the uplink, not what waits at {}"
_WIDEN = "Leave out that limit where classes are to divide it"
_LOOSE = "the loop divides it by the guarantees below, after a second or two: what reaches several VIFs shares no queue"
_WATCHED = "it is measured, and nobody gives way for it, as no uplink's capacity is named"
_NAME = "Write it, as in 'links: {eth1: {capacity: 1 gbit}}'"
_TIGHTEN = "Limit the leaves below where guarantees must hold for every packet"


def kept_otherwise(policies: PolicySet) -> list[Finding]:
    """Sorted by position."""
    return sorted([*_narrow(policies), *_loose(policies), *_watched(policies)])


def of_interface(policies: PolicySet, path: str, own_egress: Own) -> Iterator[tuple[str, bool]]:
    """Likewise of one interface at the leaf `path`: lines, and whether each is of the leaf as such."""
    node = policies.nodes.get(path)
    if node is None or not node.is_leaf or not uses_classes(policies, path):
        return
    if own_egress.limit_kbps is not None:
        yield f"{_NARROW.format('its own egress limit')}. {_WIDEN}.", False
    elif node.egress.limit_kbps is not None:
        yield str(_narrow_leaf(node)), True


def _narrow(policies: PolicySet) -> Iterator[Finding]:
    for path, node in policies.nodes.items():
        if node.is_leaf and node.egress.limit_kbps is not None and uses_classes(policies, path):
            yield _narrow_leaf(node)


def _narrow_leaf(leaf: Node) -> Finding:
    return Finding(leaf.at, _limit(leaf, Direction.EGRESS), _NARROW.format("this limit"), _WIDEN)


def _loose(policies: PolicySet) -> Iterator[Finding]:
    promising = {
        above.path
        for node in policies.nodes.values()
        if node.ingress.guarantee_kbps
        for above in ancestry(policies, node.path)[:-1]
    }
    for path in sorted(promising):
        node = policies.nodes[path]
        if node.ingress.limit_kbps is not None:
            yield Finding(node.at, _limit(node, Direction.INGRESS), _LOOSE, _TIGHTEN)


def _watched(policies: PolicySet) -> Iterator[Finding]:
    """Where no uplink's capacity is known there is no queue in which anybody could give way."""
    if policies.links:
        return
    said = {origin(policies, node, "slo").path for node in policies.nodes.values() if node.is_leaf and node.slo}
    for path in sorted(said):
        at = policies.nodes[path].at
        yield Finding(at, field_path(at, *node_steps(path), "slo"), _WATCHED, _NAME)


def _limit(node: Node, direction: Direction) -> str:
    return field_path(node.at, *node_steps(node.path), direction.value, "limit")
