"""What of a policy an interface would not get, with the place in the text that asks for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policies.enforcement import VF, Abilities, Asked, Port, asked, keeping
from policies.findings import field_path, node_steps
from policies.model import PolicySet
from policies.own_numbers import Own

_KNOWINGLY = "The policy is best-effort: it goes on without"
_OR_KNOWINGLY = "or add 'best-effort: true' to the node to go on without"


@dataclass(frozen=True, slots=True)
class Shortcoming:
    """about: what, wherever it stands. is_refusal: else a warning. No text ends in a stop."""

    about: str
    problem: str
    remedy: str
    is_refusal: bool

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}."


@dataclass(frozen=True, slots=True)
class Interface:
    """As far as it matters here. policy: path of its leaf; egress, ingress: its own numbers."""

    port: Port
    policy: str
    egress: Own
    ingress: Own


def shortcomings(policies: PolicySet, interface: Interface, abilities: Abilities) -> Iterator[Shortcoming]:
    """Each promise that nothing keeps; one for all where no packet passes the bridge."""
    port, node = interface.port, policies.nodes.get(interface.policy)
    if port.kind == VF and not port.has_representor:
        best_effort = node is not None and node.best_effort
        yield Shortcoming(
            f"policy {interface.policy}",
            f"policy {interface.policy} cannot be enforced on a VF without a representor: its packets never pass the "
            "bridge",
            _KNOWINGLY if best_effort else f"Use a NIC in switchdev mode, {_OR_KNOWINGLY} enforcement",
            not best_effort,
        )
        return
    for one in asked(policies, interface.policy, interface.egress, interface.ingress):
        found = keeping(one.feature, port, abilities)
        if found.how is None:
            remedy = _KNOWINGLY if one.best_effort else f"{found.remedy}, {_OR_KNOWINGLY}"
            field, place = _names(policies, one)
            problem = f"{place} cannot be kept for kind {port.kind}: {found.why_not}"
            yield Shortcoming(field, problem, remedy, not one.best_effort)


def _names(policies: PolicySet, one: Asked) -> tuple[str, str]:
    """What is asked for, and where."""
    if one.node is None:
        own = f"its own {' '.join(one.steps)}"
        return own, own
    at = policies.nodes[one.node].at
    field = f"{field_path(at, *node_steps(one.node), *one.steps)}: {one.feature.value}"
    return field, f"{at}: {field}"
