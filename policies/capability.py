"""What the language offers and this version reads without enforcing it yet, as findings. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from policies.findings import Finding, Severity, field_path, node_steps
from policies.model import Congestion, Direction, Node, PolicySet, Segment, SegmentType

_INHERITED = {  # field of a node -> its key: what inner nodes say of the leaves below them
    "buffer_bytes": "buffer",
    "queues": "queues",
    "cpu": "cpu",
    "slo": "slo",
    "congestion": "congestion",
}
_PROBLEM = "is not enforced by this version"
_REMEDY = "Remove it, or add 'best-effort: true' to the node to go on without it"
_KNOWINGLY = "The node is best-effort: it goes on without it"


Feature = tuple[str, tuple[str, ...]]  # path of the node that says it, and the steps from there


def unenforced(policies: PolicySet) -> list[Finding]:
    """Sorted by position. A refusal, or a warning where every node concerned is best-effort."""
    found = [_of_segment(own) for own in policies.segments.values() if own.type is SegmentType.ROUTED]
    for (node, steps), best_effort in _features(policies).items():
        at = policies.nodes[node].at
        path = field_path(at, *node_steps(node), *steps)
        severity: Severity = "warning" if best_effort else "refusal"
        remedy = _KNOWINGLY if best_effort else _REMEDY
        found.append(Finding(at, path, _PROBLEM, remedy, severity))
    return sorted(found)


def _of_segment(segment: Segment) -> Finding:
    path = field_path(segment.at, "segments", segment.name, "type")
    problem = "this version does not route between segments"
    return Finding(segment.at, path, problem, "Make the segment internal or bridged", "refusal")


def _features(policies: PolicySet) -> dict[Feature, bool]:
    """By feature: whether all whom it concerns are best-effort. What is inherited concerns the leaves."""
    found: dict[Feature, bool] = {}
    for node in policies.nodes.values():
        for feature in _own(node):
            found[feature] = node.best_effort
        for attribute, key in _INHERITED.items() if node.is_leaf else ():
            if _asks(getattr(node, attribute)):
                feature = (_origin(policies, node, attribute).path, (key,))
                found[feature] = found.get(feature, True) and node.best_effort
    return found


def _own(node: Node) -> Iterator[Feature]:
    """What is never inherited."""
    for direction in Direction:
        if node.bandwidth(direction).packets_pps is not None:
            yield node.path, (direction.value, "packets")
    if node.autoscale is not None:
        yield node.path, ("autoscale",)


def _asks(value: object) -> bool:
    return value is not None and value != Congestion()  # a plain queue is what every leaf has


def _origin(policies: PolicySet, node: Node, attribute: str) -> Node:
    """The highest node from which the value comes down to this one."""
    while node.parent is not None:
        above = policies.nodes[node.parent]
        if getattr(above, attribute) != getattr(node, attribute):
            break
        node = above
    return node
