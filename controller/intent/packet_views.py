"""What bounds the packets of a VIF, and how its share of processor time became a number of them. Pure."""

from __future__ import annotations

from typing import Any

from ovsdb.rows import Chassis
from policies.inheritance import origin
from policies.model import Direction, PolicySet
from policies.packet_budget import budget
from policies.resolve import ancestry
from policies.scaling import Scaled, cpu_in_force


def packet_bounds(policies: PolicySet, leaf: str, direction: Direction) -> list[dict[str, Any]]:
    """In the order in which its packets meet them: pps, node that says it, together: with all others below that."""
    nodes = reversed(ancestry(policies, leaf)) if leaf in policies.nodes else ()
    bounds = [(node, node.bandwidth(direction).packets_pps) for node in nodes]
    return [{"pps": pps, "node": node.path, "together": not node.is_leaf} for node, pps in bounds if pps is not None]


def processor(policies: PolicySet, leaf: str, scaled: Scaled, host: Chassis | None) -> dict[str, Any] | None:
    """None: the VIF has no bound of it.

    share: of one datapath core, as a part, in force now; node: which says it; packet_ns: what a packet costs on the
    host; packets_measured: over how many, 0: that is assumed; budget_pps: of both directions together. The last three
    are None where nobody can tell.
    """
    node = policies.nodes.get(leaf)
    if node is None or node.cpu is None:
        return None
    found = budget(node, scaled, host.capabilities) if host is not None else None
    return {
        "share": cpu_in_force(node, scaled),
        "node": origin(policies, node, "cpu").path,
        "packet_ns": None if found is None else found.cost.ns,
        "packets_measured": None if found is None else found.cost.packets,
        "budget_pps": None if found is None else found.pps,
    }
