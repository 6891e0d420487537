"""What the agent refuses of a VIF: whoever asked for it should have, from what this host said of itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.host.desired import Limits
from controller.host.kinds.kind import Made
from ovsdb.rows import VirtualInterface
from policies.enforcement import Abilities, Port
from policies.model import Node, PolicySet
from policies.own_numbers import own_of
from policies.shortcomings import Interface, shortcomings


class Refusals:
    """Of VIFs that are alike one is looked at, and none again while policies and host stay what they are."""

    def __init__(self) -> None:
        self._asked_of: tuple[PolicySet, Mapping[str, str]] | None = None
        self._known: dict[Interface, str | None] = {}

    def of(self, vif: VirtualInterface, policies: PolicySet, abilities: Abilities) -> str | None:
        """The first, as `problem. Remedy.`; None: its policy can be kept. abilities: as this host has told them."""
        if self._asked_of is None or self._asked_of[0] is not policies or self._asked_of[1] != abilities:
            self._asked_of, self._known = (policies, abilities), {}
        port = Port(vif.kind, vif.options.get("representor") != "none")
        interface = Interface(port, vif.policy, own_of(vif.egress), own_of(vif.ingress))
        if interface not in self._known:
            refused = (str(one) for one in shortcomings(policies, interface, abilities) if one.is_refusal)
            self._known[interface] = next(refused, None)
        return self._known[interface]


def of_device(made: Made, limits: Limits, leaf: Node | None) -> tuple[Made, str | None]:
    """Likewise of its device, which the kind alone does not tell. Whoever is best-effort goes on, with a note.

    leaf: of the VIF's policy; None: the policies have none such.
    """
    if made.no_ingress_limit is None or not limits.ingress_by_policy:
        return made, None
    if leaf is None or not leaf.best_effort:
        return made, made.no_ingress_limit
    return replace(made, details={**made.details, "note": made.no_ingress_limit}), None
