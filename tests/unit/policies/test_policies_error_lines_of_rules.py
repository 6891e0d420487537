"""Each wrong input and the exact line it gives: rules, their endpoints and what they do."""

import pytest

from policies.errors import PolicyErrors
from policies.parser import parse
from policies.rules import MOST_RULES
from tests.support.policy_error_lines import EMPTY, NAME, lines

ACTIONS = "Write '- allow: {...}', '- deny: {...}' or '- reject: {...}'"
ENDPOINTS = "Write 'any', an address, a prefix such as 10.0.0.0/8, a mapping such as {user: alice}, or a list"
KEYS = "name, direction, from, to, service, class, dscp, limit, packets, log, stage"
CODE_POINTS = "Write ef, af11 to af43, cs0 to cs7, be or 0 to 63"
PRINTABLE = "Use 1 to 255 printable characters"

RULES = [
    ("allow", f"[0]: a text stands where a rule should. {ACTIONS}; '{{}}' matches everything."),
    ("{}", f"[0]: a rule without an action. {ACTIONS}."),
    ("alow: {}", "[0].alow: unknown key 'alow'. The nearest valid key is 'allow'."),
    ("drop: {}", "[0].drop: unknown key 'drop'. Valid here: allow, deny, reject."),
    ("allow: ", f"[0].allow: {EMPTY}"),
    ("{allow: {}, deny: {}}", "[0].deny: 'allow' has the rule already. Begin a rule of its own: '- deny: ...'."),
    (
        "{allow: {}, to: any}",
        "[0].to: 'to' stands beside the rule's action. Put it inside: '- allow: {name: ..., to: ...}'.",
    ),
    ("allow: {servce: any}", "[0].allow.servce: unknown key 'servce'. The nearest valid key is 'service'."),
    ("allow: {xyz: any}", f"[0].allow.xyz: unknown key 'xyz'. Valid here: {KEYS}."),
    ("allow: {direction: up}", "[0].allow.direction: 'up' is not understood here. Write egress or ingress."),
    ("allow: {name: a/b}", f"[0].allow.name: 'a/b' cannot be the name of a rule. {NAME}"),
    ("allow: {service: htps}", "[0].allow.service: no service is named 'htps'. The nearest name is 'https'."),
    (
        "allow: {service: 443}",
        "[0].allow.service: no service is named '443'. "
        "Define it under 'services', or write tcp/443, udp/53, tcp/8000-8099, icmp/8, ip/47 or any.",
    ),
    (
        "allow: {service: {proto: tcp, port: [80, 81]}}",
        "[0].allow.service.port: a list stands where one value should. Write one value.",
    ),
]
EFFECTS = [
    ("allow: {class: fats}", "[0].allow.class: no class is named 'fats'. The nearest name is 'fast'."),
    ("allow: {class: xyz}", "[0].allow.class: no class is named 'xyz'. Define it under 'classes'."),
    ("allow: {dscp: fe}", f"[0].allow.dscp: 'fe' is not a code point. {CODE_POINTS}."),
    ("allow: {dscp: efx}", "[0].allow.dscp: 'efx' is not a code point. The nearest name is 'ef'."),
    ("allow: {dscp: 64}", f"[0].allow.dscp: '64' is not a code point. {CODE_POINTS}."),
    (
        "allow: {dscp: ef}",
        "[0].allow.dscp: 'ef' is the code point of class 'fast', and the rule's class is 'normal'. "
        "Write 'class: fast' too, or choose another code point.",
    ),
    (
        "allow: {limit: 5}",
        "[0].allow.limit: '5' has no unit. Write '5 bit', '5 kbit', '5 mbit' or '5 gbit'.",
    ),
    (
        "allow: {limit: 0 mbit}",
        "[0].allow.limit: '0 mbit' lets nothing pass. Write a rate above 0, or make the rule 'deny'.",
    ),
    (
        "allow: {packets: 0 pps}",
        "[0].allow.packets: '0 pps' lets nothing pass. Write a rate above 0, or make the rule 'deny'.",
    ),
    (
        "allow: {packets: 5 mbit}",
        "[0].allow.packets: '5 mbit' is not a packet rate. Write '5 pps', '5 kpps' or '5 mpps'.",
    ),
    ("allow: {log: yes}", "[0].allow.log: 'yes' is not understood here. Write true or false."),
    ("allow: {stage: off}", "[0].allow.stage: 'off' is not understood here. Write audit or enforce."),
    *(
        (
            f"{action}: {{{key}: {value}}}",
            f"[0].{action}.{key}: '{key}' is about what passes, and a rule that says '{action}' lets nothing pass. "
            "Remove it, or make the rule 'allow'.",
        )
        for action in ("deny", "reject")
        for key, value in (("class", "fast"), ("dscp", "ef"), ("limit", "1 mbit"), ("packets", "1 kpps"))
    ),
]
ENDPOINT = [
    ("{}", ": an endpoint that says nothing. Write 'any', or {cidr: 10.0.0.0/8}."),
    ("[]", ": the list is empty. Remove the key, or put something into the list."),
    ("[[any]]", "[0]: a list stands where one value should. Write one value."),
    ("red", f": 'red' is not an address or prefix. {ENDPOINTS}."),
    ("staff", ": 'staff' is not an address or prefix. The group of this name is written {group: staff}."),
    (
        "[any, 10.0.0.300]",
        "[1]: '10.0.0.300' is not an address or prefix. Write one such as 10.0.0.1, 10.0.0.0/8 or fd00::/64.",
    ),
    (
        "{cidr: 'fd00::1/64'}",
        ".cidr: 'fd00::1/64' has bits beyond its prefix length. "
        "Write 'fd00::/64' for the network or 'fd00::1' for the one address.",
    ),
    ("{cidr: []}", ".cidr: the list is empty. Remove the key, or put something into the list."),
    ("{usr: a}", ".usr: unknown key 'usr'. The nearest valid key is 'user'."),
    (
        "{user: [a, b]}",
        ".user: a list stands where one user should. Write an endpoint for each, as in [{user: a}, {user: b}].",
    ),
    ("{user: }", ".user: is empty. Write a value, or remove the key."),
    ('{user: "a\\nb"}', f".user: 'a\\nb' is not a name. {PRINTABLE}."),
    (f"{{app: {'x' * 256}}}", f".app: '{'x' * 45}...{'x' * 12}' is not a name. {PRINTABLE}."),
    ("{group: stafff}", ".group: no group is named 'stafff'. The nearest name is 'staff'."),
    ("{group: xyz}", ".group: no group is named 'xyz'. Define it under 'groups'."),
    ("{segment: lba}", ".segment: no segment is named 'lba'. The nearest name is 'lab'."),
    ("{policy: p/wbe}", ".policy: no policy has the path 'p/wbe'. The nearest name is 'p/web'."),
    (
        "{policy: xyz}",
        ".policy: no policy has the path 'xyz'. Write the whole path from the top of the tree, as in acme/web.",
    ),
    (
        "{vif: a/b}",
        ".vif: 'a/b' cannot be the name of a VIF. Use letters, digits, '.', '_' and '-', at most 63.",
    ),
    ("{label: {}}", ".label: there are no labels in it. Remove the key, or write {tier: front}."),
    ("{label: tier}", ".label: a text stands where a mapping should. Write 'key: value' lines."),
    (
        "{label: {a b: c}}",
        ".label.a b: 'a b' cannot be a label. Use letters, digits, '.', '_' and '-', at most 63.",
    ),
    ("{label: {tier: [a, b]}}", ".label.tier: a list stands where one value should. Write one value."),
]


def document(*rules: str, stage: str = "default") -> str:
    return (
        "weir: 1\nservices: {https: tcp/443}\ngroups: {staff: [alice]}\nsegments: {lab: {type: internal}}\n"
        "classes: {fast: {share: 50 %, dscp: ef}, slow: {share: 10 %, dscp: cs1}}\n"
        f"policies:\n  p:\n    {stage}:\n"
        + "".join(f"      - {rule}\n" for rule in rules)
        + "    children: {web: {}}\n"
    )


@pytest.mark.parametrize(("rule", "line"), [*RULES, *EFFECTS])
@pytest.mark.parametrize("stage", ["mandatory", "default"])
def test_rule(stage, rule, line):
    (found,) = lines(document(rule, stage=stage))
    assert found.split(": ", 1)[1] == f"policies.p.{stage}{line}"
    assert found.startswith("p.yaml:9:")


@pytest.mark.parametrize(("endpoint", "line"), ENDPOINT)
@pytest.mark.parametrize("end", ["from", "to"])
def test_endpoint(end, endpoint, line):
    (found,) = lines(document(f"reject: {{{end}: {endpoint}}}"))
    assert found.split(": ", 1)[1] == f"policies.p.default[0].reject.{end}{line}"


def test_one_code_point_in_two_classes():
    assert lines(document("allow: {dscp: af11}", "allow: {class: fast, dscp: 10}", "allow: {dscp: 10}")) == [
        "p.yaml:10:36: policies.p.default[1].allow.dscp: 'af11' marks class 'normal' at p.yaml:9:23, and the rule's "
        "class is 'fast'. Choose another code point, or the same class for both."
    ]


def test_the_code_point_of_a_class_may_be_written_where_the_class_is():
    parse({"p": document("allow: {class: fast, dscp: ef}", "allow: {class: fast, dscp: af11}", "allow: {dscp: be}")})


def test_the_same_name_twice_in_a_node():
    text = document("allow: {name: a}").replace("    children", "    mandatory: [reject: {name: a}]\n    children")
    assert lines(text) == [
        "p.yaml:9:23: policies.p.default[0].allow.name: 'a' names a rule of this node already, at p.yaml:10:32. "
        "Choose another name."
    ]


def test_what_an_unreadable_file_may_define_is_not_an_error_too():
    ends = "{group: g, segment: s, policy: q}"
    text = f"weir: 1\npolicies: {{p: {{rules: [allow: {{to: {ends}, class: c, service: s}}]}}}}"
    assert [line.split(":")[0] for line in lines(a=text, b="weir: 1\nlinks: {")] == ["b.yaml"]


def test_what_rules_name_may_stand_in_any_file_before_or_after():
    rules = "weir: 1\npolicies: {p: {rules: [allow: {from: {group: g, segment: s, policy: z}, class: c}]}}"
    others = "weir: 1\ngroups: {g: [u]}\nsegments: {s: {type: internal}}\npolicies: {z: {}}\nclasses: {c: {share: 1 %}}"
    for first, second in (("a", "b"), ("b", "a")):
        assert parse({first: rules, second: others}).nodes["p"].rules[0].traffic_class == "c"
    with pytest.raises(PolicyErrors) as raised:
        parse({"a": rules})
    assert len(raised.value.errors) == 4


@pytest.mark.parametrize(("key", "most"), [("mandatory", 1_900), ("rules", 28_000), ("default", 1_900)])
def test_more_rules_than_a_list_has_priorities(monkeypatch, key, most):
    def text(count: int) -> str:
        return f"weir: 1\npolicies: {{p: {{{key}: [{', '.join(['deny: {}'] * count)}]}}}}"

    assert MOST_RULES[key] == most
    monkeypatch.setitem(MOST_RULES, key, 5)
    assert len(getattr(parse({"p": text(5)}).nodes["p"], key)) == 5
    assert lines(text(6)) == [
        f"p.yaml:2:{len(key) + 18}: policies.p.{key}: 6 rules, more than the 5 that '{key}' of a node can have. "
        "Write fewer rules: a list in 'from', 'to' or 'service' means any of its items."
    ]
