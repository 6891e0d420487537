"""What the endpoints of a rule mean, what it does beside its verdict, and what it is known by."""

from ipaddress import ip_network

import pytest

from policies.model import Action, Direction, Endpoint, Rule
from policies.parser import parse

BOTH, EGRESS, INGRESS = set(Direction), {Direction.EGRESS}, {Direction.INGRESS}
TEXT = """\
weir: 1
services: {web: [tcp/80, tcp/443], also-web: [tcp/443, tcp/80]}
groups: {staff: [alice]}
segments: {lab: {type: internal}}
classes: {fast: {share: 50 %, dscp: ef}}
policies:
  other: {}
  p:
    children:
      q:
        rules: [RULES]
      r: {}
"""


def rules(*texts: str) -> tuple[Rule, ...]:
    """The rules of the leaf p/q."""
    return parse({"p": TEXT.replace("RULES", ", ".join(texts))}).nodes["p/q"].rules


def networks(*texts: str) -> tuple:
    return tuple(map(ip_network, texts))


ENDPOINTS = [
    ("any", None),
    ("ANY", None),
    ("[{user: alice}, any]", None),
    ("10.0.0.1", (Endpoint(networks("10.0.0.1")),)),
    ("0.0.0.0/0", (Endpoint(networks("0.0.0.0/0")),)),
    (
        "['fd00::/8', 10.0.0.0/8, {cidr: 10.0.0.1}, 'fd00::/8']",
        (Endpoint(networks("fd00::/8", "10.0.0.0/8", "10.0.0.1")),),
    ),
    ("{user: bob b}", (Endpoint(user="bob b"),)),
    ("{user: no}", (Endpoint(user="no"),)),
    ("{group: staff}", (Endpoint(group="staff"),)),
    ("{app: payroll}", (Endpoint(app="payroll"),)),
    ("{policy: p}", (Endpoint(policy="p"),)),
    ("{policy: p/q}", (Endpoint(policy="p/q"),)),
    ("{vif: -.x_1}", (Endpoint(vif="-.x_1"),)),
    ("{segment: lab}", (Endpoint(segment="lab"),)),
    ("{label: {z: '1', a: b c}}", (Endpoint(labels=(("a", "b c"), ("z", "1"))),)),
    (
        "{cidr: [10.0.0.0/8, 'fd00::/8', 10.0.0.0/8], user: alice, group: staff, app: a, policy: p, vif: v, "
        "segment: lab, label: {k: v}}",
        (Endpoint(networks("10.0.0.0/8", "fd00::/8"), "alice", "staff", "a", "p", "v", "lab", (("k", "v"),)),),
    ),
    (
        "[{user: alice}, 10.0.0.1, {app: a}, {user: alice}, 10.0.0.2]",
        (Endpoint(networks("10.0.0.1", "10.0.0.2")), Endpoint(user="alice"), Endpoint(app="a")),
    ),
]


@pytest.mark.parametrize(("text", "endpoints"), ENDPOINTS)
def test_endpoints(text, endpoints):
    (rule,) = rules(f"allow: {{from: {text}, to: {text}}}")
    assert rule.sources == rule.destinations == endpoints


DIRECTIONS = [
    ("{}", BOTH),
    ("{from: {user: alice}, to: {segment: lab}}", BOTH),
    ("{direction: Ingress}", INGRESS),
    ("{from: {policy: other}}", INGRESS),  # no VIF below p/q is below it, so it can only be the other end
    ("{to: {policy: p/r}}", EGRESS),
    ("{from: {policy: p/q}, to: {policy: other}}", EGRESS),
    ("{from: {policy: p}}", BOTH),
    ("{from: [{policy: other}, 10.0.0.1]}", BOTH),
    ("{from: {policy: other}, to: {policy: p/r}}", BOTH),  # it matches nothing, which lint says
    ("{direction: egress, from: {policy: other}}", EGRESS),
]


@pytest.mark.parametrize(("body", "directions"), DIRECTIONS)
def test_a_rule_without_a_direction_has_those_in_which_it_can_hold(body, directions):
    assert rules(f"allow: {body}")[0].directions == directions


def test_a_path_that_only_begins_like_another_is_another():
    text = "weir: 1\npolicies: {a: {}, a-b: {rules: [allow: {from: {policy: a}}]}, ab: {}}"
    assert parse({"p": text}).nodes["a-b"].rules[0].directions == INGRESS


def test_what_a_rule_does():
    full, plain, audited, enforced, refusal = rules(
        "allow: {class: fast, dscp: EF, limit: 5 mbit, packets: 2 kpps, log: true, stage: audit}",
        "allow: {class: normal, log: False}",
        "deny: {stage: audit, log: true}",
        "reject: {stage: Enforce}",
        "reject: {to: {user: alice}}",
    )
    assert (full.traffic_class, full.dscp, full.limit_kbps, full.packets_pps) == ("fast", 46, 5000, 2000)
    assert (full.log, full.audit) == (True, True)
    assert (plain.traffic_class, plain.dscp, plain.limit_kbps, plain.packets_pps) == ("normal", None, None, None)
    assert (plain.log, plain.audit) == (False, False)
    assert (audited.action, audited.audit, audited.log) == (Action.DENY, True, True)
    assert (enforced.action, enforced.audit, refusal.action) == (Action.REJECT, False, Action.REJECT)


def test_unmatched_may_reject():
    text = "weir: 1\npolicies: {p: {unmatched: reject, children: {q: {}}}}"
    assert parse({"p": text}).nodes["p/q"].unmatched is Action.REJECT


def identity(text: str) -> str:
    return rules(text)[0].identity


SAME = [
    ("allow: {log: true, stage: audit}", "allow: {}"),
    ("allow: {stage: enforce, log: false}", "allow: {}"),
    ("allow: {service: web}", "allow: {service: [tcp/80, tcp/443]}"),
    ("allow: {service: web}", "allow: {service: [also-web, web]}"),
    ("allow: {to: [10.0.0.2, 10.0.0.1]}", "allow: {to: {cidr: [10.0.0.1, 10.0.0.2]}}"),
    ("allow: {to: [{user: a}, {app: b}, 10.0.0.1]}", "allow: {to: [10.0.0.1, {app: b}, {user: a}]}"),
    (
        "allow: {to: {cidr: [10.0.0.0/8, 11.0.0.0/8], label: {a: b, c: d}}}",
        "allow: {to: {label: {c: d, a: b}, cidr: [11.0.0.0/8, 10.0.0.0/8]}}",
    ),
    ("allow: {dscp: ef, class: fast}", "allow: {class: fast, dscp: 46}"),
    ("allow: {limit: 1 mbit}", "allow: {limit: 1000 kbit}"),
]
OTHER = [
    "deny: {}",
    "reject: {}",
    "allow: {direction: egress}",
    "allow: {to: any, from: 0.0.0.0/0}",
    "allow: {to: 0.0.0.0/0}",
    "allow: {to: {user: a}}",
    "allow: {to: {app: a}}",
    "allow: {to: {user: a, app: a}}",
    "allow: {to: [{user: a}, {app: a}]}",
    "allow: {to: {cidr: 0.0.0.0/0, user: a}}",
    "allow: {to: [{user: a}, 0.0.0.0/0]}",
    "allow: {to: {label: {a: b}}}",
    "allow: {to: {label: {app: a}}}",
    "allow: {service: tcp}",
    "allow: {service: {proto: tcp, port: 1}}",
    "allow: {service: {proto: tcp, source_port: 1}}",
    "allow: {service: {proto: tcp, port: 1, source_port: 1}}",
    "allow: {service: icmp/1}",
    "allow: {service: icmp/1/1}",
    "allow: {class: fast}",
    "allow: {class: normal}",
    "allow: {dscp: af11}",
    "allow: {limit: 1 mbit}",
    "allow: {packets: 1 kpps}",
    "allow: {packets: 1 mpps}",
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_an_unnamed_rule_is_known_by_what_it_matches_and_does(one, other):
    assert identity(one) == identity(other)


def test_rules_that_differ_in_what_they_match_or_do_are_different():
    known = [identity(text) for text in ("allow: {}", *OTHER)]
    assert len(set(known)) == len(known)
    assert all(name.startswith("p/q:#") and len(name) == len("p/q:#") + 12 for name in known)


def test_equal_rules_are_counted_and_a_name_is_an_identity():
    found = rules("allow: {}", "allow: {name: a}", "allow: {log: true}", "deny: {}", "allow: {stage: audit}")
    first = found[0].identity
    assert [rule.identity for rule in found[1:]] == ["p/q:a", f"{first}-2", found[3].identity, f"{first}-3"]
