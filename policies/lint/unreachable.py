"""Findings about rules that can never match: contradictory by themselves, or shadowed by rules before them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from policies.findings import Finding
from policies.lint.coverage import Coverage, Fate
from policies.lint.endpoints import at_leaf, flaw, identity
from policies.lint.extent import ONLY_IN, VERSIONS, sides
from policies.lint.placed import Placed, leaves_below
from policies.model import Action, Direction, Endpoint, PolicySet, Rule, ServiceMatch

_NAMED = 3  # rules that one finding names; others are counted
_DOES = {Action.ALLOW: ("allow", "allows"), Action.DENY: ("deny", "denies"), Action.REJECT: ("reject", "rejects")}


def unreachable(policies: PolicySet) -> Iterator[Finding]:
    after_all: dict[Placed, list[Placed]] = defaultdict(list)  # by a rule that leaves nothing to those after it
    leaves = leaves_below(policies)
    for one, fate in Coverage(policies).fates():
        if not fate.covers:
            yield one.finding(f"matches nothing: {_contradiction(one, policies, leaves)}", "Mend or remove it")
            continue
        first = next(iter(fate.covers))
        if len(fate.covers) == 1 and _matches_all(first.rule):
            after_all[first].append(one)
        else:
            yield _shadowed(one, fate)
    for cover, rest in after_all.items():
        beside = [one for one in rest if (one.node, one.list) == (cover.node, cover.list)]
        yield _shadowed((beside or rest)[0], Fate({cover: None}), len(rest) - 1)


def _matches_all(rule: Rule) -> bool:
    return rule.sources is None and rule.destinations is None and ServiceMatch() in rule.services


def _shadowed(one: Placed, fate: Fate, more: int = 0) -> Finding:
    covers = [cover.rule for cover in fate.covers]
    actions = {cover.action for cover in covers}
    if one.rule.audit:
        effect = "counts nothing"
    elif all(_treatment(cover) == _treatment(one.rule) for cover in covers):
        effect = "is redundant"
    else:
        effect = "has no effect"
    if one.rule.action not in actions and len(actions) == 1:
        how = f"and {_DOES[covers[0].action][len(covers) == 1]} it"
    else:
        how = "in the same way" if effect == "is redundant" else "in another way"
    others = f"; so it is with {more} more rule{'s' * (more > 1)}" if more else ""
    problem = f"{effect}: {_names(fate)} all that it matches, {how}{others}"
    return one.finding(problem, _remedy(one, fate, effect))


def _remedy(one: Placed, fate: Fate, effect: str) -> str:
    if effect == "is redundant":
        return "Remove it"
    that = "that rule" if len(fate.covers) == 1 else "those rules"
    if all((cover.node, cover.list) == (one.node, one.list) for cover in fate.covers):
        return f"Move it before {that}, or remove it"
    return f"Remove it, or let {that} match less"


def _names(fate: Fate) -> str:
    names = [str(cover) for cover in list(fate.covers)[:_NAMED]]
    if len(fate.covers) > _NAMED:
        names.append(f"{len(fate.covers) - _NAMED} more")
    if len(names) == 1:
        return f"{names[0]} already decides"
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} already decide" if fate.alone else f"{listed} together already decide"


def _treatment(rule: Rule) -> tuple[object, ...]:
    return rule.action, rule.traffic_class, rule.dscp, rule.limit_kbps, rule.packets_pps, rule.log


def _contradiction(one: Placed, policies: PolicySet, leaves: dict[str, list[str]]) -> str:
    """Why nothing at all can match the rule."""
    rule = one.rule
    for side in (rule.sources, rule.destinations):
        flaws = [flaw(endpoint, policies) for endpoint in side or ()]
        if side is not None and None not in flaws:
            return flaws[0] or "an endpoint is empty" if flaws else "an endpoint is an empty list"
    if not rule.services:
        return "its service is an empty list"
    for direction in sorted(rule.directions):
        own, _ = sides(rule, direction)
        if own is not None and not any(at_leaf(identity(end), leaf) for end in own for leaf in leaves[one.node]):
            return _elsewhere(one, direction, own)
    return _of_versions(rule)


def _elsewhere(one: Placed, direction: Direction, own: tuple[Endpoint, ...]) -> str:
    word = "from" if direction is Direction.EGRESS else "to"
    asked = next((end.policy for end in own if end.policy is not None), "")
    return f"'{word}' asks for policy '{asked}', which no interface of '{one.node}' is below"


def _of_versions(rule: Rule) -> str:
    """Which parts have no IP version in common."""
    ends = [(word, _versions(side)) for word, side in (("from", rule.sources), ("to", rule.destinations))]
    own = {version for s in rule.services for version in VERSIONS if ONLY_IN.get(s.protocol or 0, version) == version}
    parts = [*ends, ("service", own)]
    said = [f"'{word}' is IPv{min(versions)} only" for word, versions in parts if len(versions) == 1]
    return ", ".join(said[:-1]) + f" and {said[-1]}" if len(said) > 1 else "its parts exclude each other"


def _versions(side: tuple[Endpoint, ...] | None) -> set[int]:
    if side is None or any(endpoint.networks is None for endpoint in side):
        return set(VERSIONS)
    return {network.version for endpoint in side for network in endpoint.networks or ()}
