"""Traffic classes: the code point that each is marked with, and who is concerned. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from policies.model import NORMAL, PolicySet, Rule
from policies.resolve import resolve

LOCAL_USE = range(3, 64, 4)  # code points xxxx11, which RFC 2474 leaves to whoever runs the network


class NoCodePointLeft(ValueError):
    """More classes without a code point of their own than there are for local use. name: of the first of these."""

    def __init__(self, name: str) -> None:
        super().__init__(f"class '{name}': no code point for local use is left. Give it a 'dscp'.")
        self.name = name


def code_points(policies: PolicySet) -> Mapping[str, int]:
    """The DSCP (0..63) that the packets of each class carry, by the class's name.

    Its own where it has one; else one for local use that neither a class nor a rule names, in the order of the classes.
    Raises NoCodePointLeft.
    """
    taken = {own.dscp for own in policies.classes.values()} | {rule.dscp for rule in _rules(policies)}
    free = iter([number for number in LOCAL_USE if number not in taken])
    found: dict[str, int] = {}
    for name, own in policies.classes.items():
        number = own.dscp if own.dscp is not None else next(free, None)
        if number is None:
            raise NoCodePointLeft(name)
        found[name] = number
    return found


def uses_classes(policies: PolicySet, path: str) -> bool:
    """Whether the traffic of VIFs at this leaf is divided into classes and marked: a rule in force there names one.

    Raises KeyError when no node has this path.
    """
    if len(policies.classes) < 2:
        return False
    return any(rule.traffic_class is not None and not rule.audit for rule in resolve(policies, path).rules)


def chosen_code_points(policies: PolicySet, path: str, own: Mapping[str, int]) -> Mapping[str, tuple[int, ...]]:
    """The DSCPs that packets of each class but NORMAL carry at this leaf, by the class's name, its own first.

    own: as from `code_points`; the others are those that a rule there chooses. NORMAL has all that no class names.
    """
    chosen: dict[str, set[int]] = {name: set() for name in own}
    for rule in resolve(policies, path).rules:
        if rule.traffic_class is not None and rule.dscp is not None:
            chosen[rule.traffic_class].add(rule.dscp)
    return {name: (own[name], *sorted(chosen[name] - {own[name]})) for name in own if name != NORMAL}


def queue_of(code_points: tuple[int, ...]) -> int:
    """Number of the queue, of a port of DPDK, of the class with these code points; (): of NORMAL, and of all others."""
    return code_points[0] + 1 if code_points else 0


def _rules(policies: PolicySet) -> list[Rule]:
    return [rule for node in policies.nodes.values() for rule in (*node.mandatory, *node.rules, *node.default)]
