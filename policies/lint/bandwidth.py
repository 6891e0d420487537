"""Findings about guarantees that links and nodes cannot keep, and limits that never hold anything back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from policies.findings import Finding, field_path, node_steps
from policies.hierarchy import RESERVABLE_PERCENT, Breach, Member, bandwidth_tree, breaches
from policies.lint.endpoints import lineage
from policies.lint.placed import Placed, leaves_below, placed
from policies.model import Action, Direction, PolicySet, Position
from policies.units import rate_text

_NOWHERE = Position("policy", 1, 1)


def overcommitted(policies: PolicySet, members: Collection[Member]) -> Iterator[Finding]:
    """With these VIFs; without any, with one VIF at each leaf."""
    if members:
        yield from (_of_breach(policies, breach) for breach in breaches(policies, members))
        return
    uplinks = {segment.uplink for segment in policies.segments.values()}
    leaves = [node for node in policies.nodes.values() if node.is_leaf]
    each = [Member(number, leaf.path, leaf.path) for number, leaf in enumerate(leaves)]
    for direction in Direction:
        reserved = bandwidth_tree(policies, direction, each).guarantee_kbps
        for link in policies.links.values():
            reservable = link.capacity_kbps * RESERVABLE_PERCENT // 100
            if link.uplink in uplinks and reserved > reservable:
                problem = (
                    f"with one interface at each leaf the {direction.value} guarantees come to {rate_text(reserved)}, "
                    f"{rate_text(reserved - reservable)} more than {RESERVABLE_PERCENT} % of the capacity of "
                    f"{rate_text(link.capacity_kbps)}"
                )
                remedy = "Lower some guarantees, raise the capacity, or divide the interfaces among links and hosts"
                yield Finding(link.at, field_path(link.at, "links", link.uplink, "capacity"), problem, remedy)


def _of_breach(policies: PolicySet, breach: Breach) -> Finding:
    problem = f"{breach.subject}: {breach.problem}"
    if breach.uplink is not None and breach.uplink in policies.links:
        at = policies.links[breach.uplink].at
        return Finding(at, field_path(at, "links", breach.uplink), problem, breach.remedy)
    known = [path for path in lineage(breach.policy or "") if path in policies.nodes]
    at = policies.nodes[known[-1]].at if known else _NOWHERE
    steps = node_steps(known[-1]) if known else ("policies",)
    return Finding(at, field_path(at, *steps), problem, breach.remedy)


def idle_limits(policies: PolicySet) -> Iterator[Finding]:
    """Limits of rules above what bounds every VIF that they are for."""
    leaves = leaves_below(policies)
    for one in placed(policies):
        if one.rule.limit_kbps is None or one.rule.action is not Action.ALLOW or one.rule.audit:
            continue
        bounds = [_bound_kbps(policies, leaf, d) for leaf in leaves[one.node] for d in one.rule.directions]
        known = [bound for bound in bounds if bound is not None]
        if known and len(known) == len(bounds) and max(known) < one.rule.limit_kbps:
            yield _idle(one, one.rule.limit_kbps, max(known))


def _idle(one: Placed, limit_kbps: int, bound_kbps: int) -> Finding:
    problem = (
        f"its limit of {rate_text(limit_kbps)} has no effect: the interfaces that it is for are held to "
        f"{rate_text(bound_kbps)} {'each' if one.list == 'rules' else 'or less'} by their node"
    )
    return one.finding(problem, f"Write a limit below {rate_text(bound_kbps)}, or remove it")


def _bound_kbps(policies: PolicySet, leaf: str, direction: Direction) -> int | None:
    limits = [policies.nodes[path].bandwidth(direction).limit_kbps for path in lineage(leaf)]
    return min((limit for limit in limits if limit is not None), default=None)
