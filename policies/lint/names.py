"""Findings about what is defined and never used. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policies.findings import Finding, field_path
from policies.lint.placed import placed
from policies.model import NORMAL, Group, PolicySet, Service, TrafficClass


def unused(policies: PolicySet) -> Iterator[Finding]:
    rules = [one.rule for one in placed(policies)]
    ends = [end for rule in rules for side in (rule.sources, rule.destinations) for end in side or ()]
    named: tuple[tuple[str, str, Mapping[str, Service | Group | TrafficClass], set[str | None]], ...] = (
        ("services", "service", policies.services, {name for rule in rules for name in rule.service_names}),
        ("groups", "group", policies.groups, {end.group for end in ends}),
        ("classes", "class", policies.classes, {NORMAL, *(rule.traffic_class for rule in rules)}),
    )
    for key, kind, defined, used in named:
        for name, value in defined.items():
            if name not in used:
                yield Finding(
                    value.at, field_path(value.at, key, name), f"no rule names this {kind}", "Use or remove it"
                )
    uplinks = {segment.uplink for segment in policies.segments.values()}
    for name, link in policies.links.items():
        if name not in uplinks:
            problem, remedy = "no segment uses this link", f"Give a segment 'uplink: {name}', or remove it"
            yield Finding(link.at, field_path(link.at, "links", name), problem, remedy)
