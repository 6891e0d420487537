"""What the linter says of guarantees, limits, links and names."""

from __future__ import annotations

from dataclasses import replace

from policies.hierarchy import Member, admission
from policies.lint import lint
from policies.model import Group, Node, PolicySet, Position
from policies.parser import parse

TEXT = """\
weir: 1
segments:
  office: {type: bridged, uplink: eth1}
links:
  eth1: {capacity: 100 mbit}
  eth9: {capacity: 1 mbit}
services: {https: tcp/443, gone: tcp/1, counted: tcp/2}
groups: {staff: [alice], nobody: [bob]}
classes: {realtime: {share: 10 %}, bulk: {share: 10 %}}
policies:
  t:
    egress: {limit: 200 mbit}
    children:
      web:
        egress: {guarantee: 50 mbit, limit: 60 mbit}
        rules:
          - allow: {direction: egress, service: https, to: {group: staff}, class: bulk, limit: LIMIT}
          - deny: {service: counted, stage: audit}
      db:
        egress: {guarantee: DB mbit}
"""


def findings(database: str = "40", limit: str = "10 mbit", members: tuple[Member, ...] = ()) -> dict[str, str]:
    """Problem by path."""
    policies = parse({"f": TEXT.replace("DB", database).replace("LIMIT", limit)})
    return {finding.path: finding.problem for finding in lint(policies, members)}


UNUSED = {
    "links.eth9": "no segment uses this link",
    "services.gone": "no rule names this service",
    "groups.nobody": "no rule names this group",
    "classes.realtime": "no rule names this class",
}


def test_names_that_nobody_uses():
    assert findings() == UNUSED


def test_a_link_that_one_interface_at_each_leaf_would_overcommit():
    more = findings(database="41")
    assert more.pop("links.eth1.capacity") == (
        "with one interface at each leaf the egress guarantees come to 91 mbit, 1 mbit more than 90 % of the capacity "
        "of 100 mbit"
    )
    assert more == UNUSED


def test_what_the_interfaces_there_are_would_lose():
    on_link = [Member(number, f"v{number}", "t/web", "eth1", "h1") for number in (1, 2)]
    astray = [Member(number, f"v{number}", path) for number, path in ((4, "t/gone"), (5, "else"))]
    members = (*on_link, Member(3, "v3", "t/db", "eth2"), *astray)
    policies = parse({"f": TEXT.replace("DB", "40").replace("LIMIT", "10 mbit")})
    found = [f for f in lint(policies, members) if f.path not in UNUSED]
    assert [(f.path, f.position.line) for f in found] == [
        ("links.eth1", 5), ("policies.t", 11), ("policies.t.children.db", 19), ("policies", 1)
    ]  # fmt: skip
    assert sorted(f"{f.problem}. {f.remedy}." for f in found) == sorted(admission(policies, members))


def test_with_interfaces_that_fit_nothing_is_said():
    assert findings(database="90", members=(Member(1, "v1", "t/web", "eth1"),)) == UNUSED


def test_a_limit_above_what_the_node_bounds():
    path = "policies.t.children.web.rules[0]"
    assert findings(limit="60 mbit") == UNUSED
    assert findings(limit="61 mbit")[path].startswith(
        "its limit of 61 mbit has no effect: the interfaces that it is for"
    )


def test_a_group_without_users_matches_nothing():
    policies = parse({"f": TEXT.replace("DB", "40").replace("LIMIT", "10 mbit")})
    policies = replace(policies, groups={**policies.groups, "staff": Group("staff", frozenset(), Position("f", 1, 1))})
    assert any(f.problem == "matches nothing: group 'staff' has no users" for f in lint(policies))


def test_findings_are_in_the_order_of_the_file():
    found = lint(parse({"f": TEXT.replace("DB", "41").replace("LIMIT", "61 mbit")}))
    assert found == sorted(found) and len(found) == 6


def test_an_empty_set_has_no_findings():
    assert lint(PolicySet()) == []
    assert lint(PolicySet(nodes={"a": Node("a", Position("f", 1, 1))})) == []
