"""What is kept in another way than one might think is said, once where it stands."""

from __future__ import annotations

from policies.kept_otherwise import kept_otherwise, of_interface
from policies.own_numbers import INHERITED, Own
from policies.parser import parse

POLICIES = parse(
    {
        "p.yaml": """
weir: 1
classes:
  fast: {share: 40 %}
  normal: {share: 60 %}
policies:
  acme:
    ingress: {limit: 9 mbit, guarantee: 2 mbit}
    egress: {limit: 9 mbit}
    children:
      web: {egress: {limit: 5 mbit}, ingress: {guarantee: 1 mbit}, rules: [allow: {class: fast}]}
      wide: {rules: [allow: {class: fast}]}
      plain: {egress: {limit: 5 mbit}}
  apart:
    ingress: {limit: 9 mbit}
    children: {leaf: {}}
"""
    }
)
NARROW = "p.yaml:11:7: policies.acme.children.web.egress.limit: its classes divide what waits at the uplink, not what "
LOOSE = "p.yaml:7:3: policies.acme.ingress.limit: the loop divides it by the guarantees below, after a second or two"


def test_what_is_said_of_a_set() -> None:
    loose, narrow = kept_otherwise(POLICIES)
    assert str(loose).startswith(LOOSE) and str(narrow).startswith(NARROW)
    assert not loose.is_refusal and not narrow.is_refusal


def said(path: str, own: Own = INHERITED) -> list[tuple[str, bool]]:
    return list(of_interface(POLICIES, path, own))


def test_what_is_said_of_an_interface() -> None:
    ((line, is_of_leaf),) = said("acme/web")
    assert line == str(kept_otherwise(POLICIES)[1]) and is_of_leaf
    for path in ("acme/web", "acme/wide"):
        ((line, is_of_leaf),) = said(path, Own(limit_kbps=5))
        assert line.startswith("its classes divide what waits at the uplink, not what waits at its own egress limit. ")
        assert not is_of_leaf
    assert said("acme/wide") == said("acme/plain") == said("acme/plain", Own(limit_kbps=5)) == said("acme") == []


def test_an_objective_is_for_nothing_where_no_link_has_a_capacity() -> None:
    policy = "policies:\n  acme: {slo: {latency: 5 ms}, children: {web: {}, db: {slo: {loss: 1 %}}}}\n"
    lines = [str(found) for found in kept_otherwise(parse({"p.yaml": f"weir: 1\n{policy}"}))]
    assert [line.split(" ")[1] for line in lines] == ["policies.acme.slo:", "policies.acme.children.db.slo:"]
    assert "nobody gives way for it, as no uplink's capacity is named. Write it, as in 'links:" in lines[0]
    assert kept_otherwise(parse({"p.yaml": f"weir: 1\nlinks: {{up0: {{capacity: 1 gbit}}}}\n{policy}"})) == []
