"""What the linter says of rules: which can never match, and why."""

from __future__ import annotations

import pytest

from policies.lint import lint
from policies.lint.coverage import MOST_ATOMS
from policies.parser import parse

HEAD = """\
weir: 1
segments:
  lab: {type: internal, subnets: [10.30.0.0/24]}
  bare: {type: internal}
groups: {staff: [alice, bob], all: [alice, bob, carol], root: [alice]}
classes: {realtime: {dscp: ef, share: 30 %}}
policies:
  t:
    children:
      leaf:
        rules:
          - allow: {name: uses, direction: egress, from: {group: staff, vif: x}, service: ip/200, class: realtime}
          - allow: {name: uses2, direction: egress, from: {group: all, vif: y}, to: {group: root}, service: ip/200}
"""


def said(*rules: str) -> list[str]:
    """Of rules that follow one another in a leaf: PATH: PROBLEM. REMEDY."""
    text = HEAD + "".join(f"          - {rule}\n" for rule in rules)
    return [str(finding).split(": ", 1)[1] for finding in lint(parse({"f": text}))]


def test_what_can_match_is_not_spoken_of():
    assert said("allow: {to: 10.0.0.0/8}", "deny: {to: 0.0.0.0/0}", "allow: {}") == []


def test_a_finding_names_place_path_and_the_rule_that_decides():
    text = HEAD + "          - allow: {name: web, service: tcp/80}\n          - deny: {to: 10.0.0.1, service: tcp/80}\n"
    (finding,) = lint(parse({"f": text}))
    assert str(finding) == (
        "f:15:13: policies.t.children.leaf.rules[3]: has no effect: rule 'web' of 't/leaf' at f:14:13 already decides "
        "all that it matches, and allows it. Move it before that rule, or remove it."
    )
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{}", "{to: '::1'}"),
        ("{to: any}", "{to: [10.0.0.1, 'fd00::/8']}"),
        ("{to: [10.0.0.0/9, 10.128.0.0/9]}", "{to: 10.0.0.0/8}"),
        ("{service: [tcp/1-10, tcp/11-20]}", "{service: tcp/5-15}"),
        ("{service: tcp}", "{service: {proto: tcp, port: 80, source_port: 1-9}}"),
        ("{service: ip/6}", "{service: tcp/80}"),
        ("{service: icmp/8}", "{service: icmp/8/0}"),
        ("{from: {policy: t}}", "{from: {policy: t/leaf}}"),
        ("{direction: egress}", "{direction: egress, from: {policy: t}, to: 10.0.0.1}"),
        ("{direction: egress, from: {policy: t}}", "{direction: egress, to: 10.0.0.1}"),
        ("{to: {group: all}}", "{to: {group: staff}}"),
        ("{to: {group: staff}}", "{to: {user: bob}}"),
        ("{to: {user: alice}}", "{to: {group: root}}"),
        ("{to: {app: web}}", "{to: {app: web, user: bob}}"),
        ("{to: {app: web}}", "{to: {label: {app: web, tier: front}}}"),
        ("{to: {label: {app: web}}}", "{to: {app: web, cidr: 10.0.0.0/8}}"),
        ("{to: {vif: a}}", "{to: {vif: a, segment: bare}}"),
        ("{direction: egress, to: {segment: lab}}", "{direction: egress, to: 10.30.0.7}"),
    ],
)
def test_one_rule_covers_another(first, second):
    for action, effect in (("allow", "is redundant: "), ("deny", "has no effect: ")):
        (line,) = said(f"allow: {first}", f"{action}: {second}")
        assert f"rules[3]: {effect}the rule at f:14:13 already decides all" in line


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{to: 10.0.0.0/9}", "{to: 10.0.0.0/8}"),
        ("{to: 0.0.0.0/0}", "{to: any}"),
        ("{direction: egress}", "{to: 10.0.0.1}"),
        ("{to: {group: staff}}", "{to: {group: all}}"),
        ("{to: {user: bob}}", "{to: {group: staff}}"),
        ("{to: {user: carol}}", "{to: {user: bob}}"),
        ("{to: {app: web, user: bob}}", "{to: {app: web}}"),
        ("{to: {label: {a: b}}}", "{to: {label: {a: c}}}"),
        ("{to: {segment: lab}}", "{to: {user: bob}}"),
        ("{direction: ingress, to: {segment: lab}}", "{direction: ingress, to: 10.30.0.7}"),
        ("{service: icmp}", "{service: icmp6}"),
        ("{service: {proto: tcp, source_port: 1-9}}", "{service: tcp/80}"),
        ("{stage: audit}", "{to: 10.0.0.1}"),
    ],
)
def test_one_rule_does_not_cover_another(first, second):
    assert said(f"allow: {first}", f"deny: {second}") == []


def test_several_rules_cover_one_together():
    (line,) = said(
        "allow: {name: a, to: 10.0.0.0/9, service: tcp/0-99}",
        "allow: {name: b, to: 10.128.0.0/9, service: tcp}",
        "allow: {name: c, to: 10.0.0.0/9, service: tcp/100-65535}",
        "deny: {to: 10.0.0.0/8, service: tcp}",
    )
    assert "has no effect: rule 'a' of 't/leaf' at f:14:13, rule" in line
    assert line.endswith(
        "together already decide all that it matches, and allow it. Move it before those rules, or remove it."
    )


def test_the_same_action_with_another_treatment_is_not_redundant():
    (line,) = said("allow: {to: 10.0.0.0/8}", "allow: {to: 10.0.0.1, class: realtime}")
    assert "has no effect" in line and "in another way" in line


def test_a_covered_rule_under_audit_counts_nothing():
    (line,) = said("allow: {to: 10.0.0.0/8}", "deny: {to: 10.0.0.1, stage: audit}")
    assert "rules[3]: counts nothing: " in line


def test_after_a_rule_that_matches_everything_there_is_one_finding():
    (line,) = said("deny: {}", "deny: {to: 10.0.0.1}", *["allow: {service: tcp}"] * 5)
    assert "rules[3]: is redundant" in line and line.count("; so it is with 5 more rules") == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{to: 'fd00::/8', service: icmp}", "'to' is IPv6 only and 'service' is IPv4 only"),
        ("{to: 10.0.0.1, service: [icmp6, icmp6/1]}", "'to' is IPv4 only and 'service' is IPv6 only"),
        ("{from: 10.0.0.1, to: 'fd00::/8'}", "'from' is IPv4 only and 'to' is IPv6 only"),
        ("{to: {cidr: 10.1.0.0/16, segment: lab}}", "10.1.0.0/16 is outside segment 'lab', which has 10.30.0.0/24"),
        ("{direction: egress, from: {policy: t/other}}", "'from' asks for policy 't/other', which no interface of"),
        ("{to: {app: a, label: {app: b}}}", "app 'a' excludes the label app 'b'"),
    ],
)
def test_a_rule_that_contradicts_itself(body, why):
    text = HEAD + f"          - deny: {body}\n" + "      other: {}\n"
    (finding,) = lint(parse({"f": text}))
    assert finding.problem.startswith(f"matches nothing: {why}")


@pytest.mark.parametrize(
    "body",
    [
        "{to: {cidr: 10.1.0.0/16, segment: bare}}",
        "{to: {cidr: 10.0.0.0/8, segment: lab}}",
        "{to: {cidr: [10.1.0.0/16, 10.30.0.9], segment: lab}}",
        "{to: {cidr: 'fe80::/64', segment: lab}}",
        "{direction: ingress, to: {cidr: 224.0.0.0/4, segment: lab}}",
        "{direction: egress, from: {policy: t}}",
        "{from: [10.0.0.1, 'fd00::1'], to: 'fd00::/8'}",
        "{service: [icmp, icmp6], to: 'fd00::/8'}",
    ],
)
def test_a_rule_that_only_seems_to_contradict_itself(body):
    assert said(f"deny: {body}") == []


TREE = """\
weir: 1
policies:
  t:
    mandatory:
      - deny: {name: metadata, direction: egress, to: 169.254.0.0/16}
    default:
      - allow: {name: late, direction: egress, to: 10.0.0.0/8}
      - allow: {name: of-a, direction: egress, from: {policy: t/a}, to: 192.0.2.1}
    children:
      a: {rules: [deny: {name: close, direction: egress, to: any}]}
      b: {rules: [RULE]}
"""


def paths(rule: str) -> list[str]:
    return [finding.path for finding in lint(parse({"f": TREE.replace("RULE", rule)}))]


def test_a_rule_must_be_covered_at_every_leaf_that_inherits_it():
    of_a = "policies.t.default.of-a"
    assert paths("allow: {name: x, direction: egress, to: 10.0.0.0/9}") == [of_a]
    assert paths("allow: {name: x, direction: ingress}") == [of_a]
    assert paths("deny: {name: x, direction: egress, to: [10.0.0.0/8, 11.0.0.0/8]}") == [
        "policies.t.default.late",
        of_a,
    ]


def test_rules_of_nodes_above_cover_those_below():
    path = "policies.t.children.b.rules.x"
    (line,) = [
        str(f)
        for f in lint(parse({"f": TREE.replace("RULE", "allow: {name: x, direction: egress, to: 169.254.1.1}")}))
        if f.path == path
    ]
    assert (
        "rule 'metadata' of 't' at f:5:9 already decides all that it matches, and denies it. "
        "Remove it, or let that rule match less." in line
    )


def test_very_large_rules_are_compared_as_wholes():
    many = ", ".join(f"10.{i}.{j}.0/25" for i in range(10) for j in range(10))
    body = f"{{from: [{many}], to: [{many}], service: tcp/80}}"
    assert MOST_ATOMS < 100 * 100
    (line,) = said(f"allow: {body}", f"allow: {body}")
    assert "rules[3]: is redundant" in line


def test_the_double_of_one_among_thousands_is_found():
    hosts = [f"allow: {{to: 10.{i // 250}.{i % 250}.0/24, service: tcp/{i}}}" for i in range(3000)]
    (line,) = said(*hosts, hosts[1234].replace("0/24", "9"))
    assert f"at f:{14 + 1234}:13 already decides" in line
