"""What of a VIF's numbers the loop may move, how, and what is measured of each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil, inf

from controller.allocation.autoscaler import Scale, Trigger, What
from controller.allocation.decision import Decision
from ovsdb.rows import VirtualInterface
from policies.enforcement import Abilities
from policies.model import Node, PolicySet, Threshold
from policies.own_numbers import own_of, with_own
from policies.packet_budget import packet_cost
from policies.scaling import PERMILLE, Range, Scaled, buffer_range, cpu_range, guarantee_range, scaled_of

BUFFER_DELAY_S = 0.05  # that a full buffer means at the measured rate, where the policy has no latency objective
FILLS, IDLES = Trigger(1.25, 2.0, 1.0), Trigger(0.8, 10.0, 1.0)  # of a buffer: when it has become too small, too large
ABOVE, BELOW = Threshold(0.9, 5.0), Threshold(0.4, 30.0)  # of processor time, where the policy has no autoscale
_NS = 1_000_000_000  # of a second

Ranges = Mapping[What, Range]


def moves_anything(leaf: Node) -> bool:
    return leaf.autoscale is not None or buffer_range(leaf) is not None or cpu_range(leaf) is not None


def ranges_of(vif: VirtualInterface, policies: PolicySet) -> Ranges:
    """Of the numbers of a VIF that its policy lets move."""
    leaf = policies.nodes.get(vif.policy)
    if leaf is None or not leaf.is_leaf:
        return {}
    own_egress, own_ingress = own_of(vif.egress), own_of(vif.ingress)
    whats: dict[What, Range | None] = {
        "egress": guarantee_range(leaf, with_own(leaf.egress, own_egress)),
        "ingress": guarantee_range(leaf, with_own(leaf.ingress, own_ingress)),
        "buffer": buffer_range(leaf),
        "cpu": cpu_range(leaf),
    }
    return {what: found for what, found in whats.items() if found is not None and found.least < found.most}


def of_what(scaled: Scaled, what: What) -> int | None:
    return getattr(scaled, _FIELDS[what])  # type: ignore[no-any-return]


def with_what(scaled: Scaled, what: What, moved: int | None) -> Scaled:
    return replace(scaled, **{_FIELDS[what]: moved})


_FIELDS: Mapping[What, str] = {
    "egress": "egress_kbps", "ingress": "ingress_kbps", "buffer": "buffer_bytes", "cpu": "cpu_permille",
}  # fmt: skip


def within(scaled: Scaled, ranges: Ranges) -> Scaled:
    """What of it holds: nothing that the policy does not let move, and nothing that is where it begins."""
    found = dict[str, int]()
    for what, bounds in ranges.items():
        value = bounds.at(of_what(scaled, what))
        if value != bounds.begin:
            found[_FIELDS[what]] = value
    return scaled_of(found)


def scale(what: What, bounds: Range, value: int, leaf: Node) -> Scale:
    if what == "buffer":
        return Scale(value, bounds.least, bounds.most, FILLS, IDLES, factor=inf)
    rule = leaf.autoscale
    up, down = (rule.up, rule.down) if rule is not None else (ABOVE, BELOW)
    triggers = [Trigger(one.part, one.for_s, one.part) for one in (up, down)]
    return Scale(value, bounds.least, bounds.most, triggers[0], triggers[1])


def delay_s(leaf: Node) -> float:
    """That a full buffer shall mean."""
    objective = leaf.slo.latency_s if leaf.slo is not None else None
    return BUFFER_DELAY_S if objective is None else objective


def demand_kbps(decision: Decision | None, headroom: float) -> float | None:
    """What it offers, less what its policy denies; inf where it is held back: nobody knows what it would. None: there
    are no statistics. headroom: times what it offers the loop takes for its demand, so that it can grow.
    """
    if decision is None or decision.offered_kbps is None:
        return None
    return inf if decision.limited else min(decision.offered_kbps, decision.demand_kbps / headroom)


def buffer_bytes(decisions: Sequence[Decision | None], delay_s: float) -> float | None:
    """What passes within the delay in the direction in which more does; None: there are no statistics."""
    passed = [one.passed_kbps for one in decisions if one is not None and one.passed_kbps is not None]
    return max(passed) * 125 * delay_s if passed else None


def cpu_permille(abilities: Abilities, packets_pps: float | None) -> float | None:
    """What so many packets a second cost on the host; None: nobody can tell."""
    cost = packet_cost(abilities)
    return None if cost is None or packets_pps is None else packets_pps * cost.ns / _NS * PERMILLE


def whole(value: float) -> int:
    """Never so little that what was measured is above its part again."""
    return ceil(value)


def differing(before: Scaled, after: Scaled) -> Iterator[What]:
    return (what for what in _FIELDS if of_what(before, what) != of_what(after, what))
