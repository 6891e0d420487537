"""What the language offers and this version reads without doing anything about it, as findings. Pure.

What a host or a kind of interface cannot keep is another matter, see `enforcement`.
"""

from __future__ import annotations

from policies.findings import Finding, Severity, field_path, node_steps
from policies.inheritance import origin
from policies.model import PolicySet

_WHY = {  # problem and remedy, by key
    "autoscale": (
        "moves guarantees of interfaces, and a node with children has none",
        "Write it at the leaves below it",
    ),
    "queues": (
        "nothing moves it in this range: a VM has as many queues as its device was made with",
        "Write one number",
    ),
}
_OR_KNOWINGLY = "or add 'best-effort: true' to the node to go on without it"
_KNOWINGLY = "The node is best-effort: it goes on without it"


Feature = tuple[str, str]  # path of the node that says it, and the key there


def unenforced(policies: PolicySet) -> list[Finding]:
    """Sorted by position. A refusal, or a warning where every node concerned is best-effort."""
    found = []
    for (node, key), best_effort in _features(policies).items():
        at = policies.nodes[node].at
        severity: Severity = "warning" if best_effort else "refusal"
        problem, remedy = _WHY[key]
        remedy = _KNOWINGLY if best_effort else f"{remedy}, {_OR_KNOWINGLY}"
        found.append(Finding(at, field_path(at, *node_steps(node), key), problem, remedy, severity))
    return sorted(found)


def _features(policies: PolicySet) -> dict[Feature, bool]:
    """By feature: whether all whom it concerns are best-effort. What is inherited concerns the leaves."""
    found: dict[Feature, bool] = {}
    for node in policies.nodes.values():
        if node.autoscale is not None and not node.is_leaf:
            found[node.path, "autoscale"] = node.best_effort
        moves_queues = node.queues is not None and node.queues.least < node.queues.most
        if node.is_leaf and moves_queues:
            feature = origin(policies, node, "queues").path, "queues"
            found[feature] = found.get(feature, True) and node.best_effort
    return found
