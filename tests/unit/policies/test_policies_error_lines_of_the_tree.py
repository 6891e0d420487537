"""Each wrong input and the exact line it gives: nodes."""

import textwrap

import pytest

from policies.parser import parse
from tests.support.policy_error_lines import EMPTY, NAME, WRITE_LINES, lines

NODES = [
    ("~", f"3:6: policies.p: a text stands where a mapping should. {WRITE_LINES}"),
    ("", f"3:5: policies.p: {EMPTY}"),
    ("{egres: {}}", "3:7: policies.p.egres: unknown key 'egres'. The nearest valid key is 'egress'."),
    ("{unmatched: no}", "3:18: policies.p.unmatched: 'no' is not understood here. Write allow, deny or reject."),
    ("{children: {}}", "3:17: policies.p.children: there are no children in it. Remove the key, or add a child."),
    ("{children: {a/b: {}}}", f"3:18: policies.p.children.a/b: 'a/b' cannot be the name of a policy. {NAME}"),
    (
        "{rules: [allow: {}], children: {a: {}}}",
        "3:14: policies.p.rules: a node with children has no rules of its own. "
        "Move them to 'mandatory' (before the children's rules) or 'default' (after them).",
    ),
    (
        "{rules: [allow: {name: a}], default: [deny: {name: a}]}",
        "3:57: policies.p.default[0].deny.name: 'a' names a rule of this node already, at p.yaml:3:29. "
        "Choose another name.",
    ),
    (
        "{egress: {limit: 10 mbps}}",
        "3:23: policies.p.egress.limit: '10 mbps' is not a rate. Write '10 mbit' (bits) or '80 mbit' (10 megabytes).",
    ),
    (
        "{egress: {limit: 0 bit}}",
        "3:23: policies.p.egress.limit: '0 bit' lets nothing pass. "
        "Write a limit, or deny by rules and 'unmatched: deny'.",
    ),
    (
        "{ingress: {weight: 0}}",
        "3:25: policies.p.ingress.weight: '0' is not a weight. "
        "Write a number without a unit, above 0, at most 1000000, such as 2.5.",
    ),
    (
        "{egress: {burst: 0 ms}}",
        "3:23: policies.p.egress.burst: '0 ms' lets nothing pass. "
        "Write a burst such as '20 ms' or '64 kib', or remove it.",
    ),
    (
        "{egress: {burst: 5 m}}",
        "3:23: policies.p.egress.burst: '5 m' is longer than a burst can be. Write at most '60 s'; '20 ms' is usual.",
    ),
    (
        "{egress: {guarantee: 20 mbit, limit: 10 mbit}}",
        "3:27: policies.p.egress.guarantee: 20 mbit is more than the limit 10 mbit. "
        "Raise the limit or lower the guarantee.",
    ),
]


@pytest.mark.parametrize(("node", "line"), NODES)
def test_node(node, line):
    assert lines(f"weir: 1\npolicies:\n  p: {node}\n") == [f"p.yaml:{line}"]


def test_the_name_of_a_policy_has_no_slash():
    assert lines("weir: 1\npolicies: {a/b: {}}") == [
        f"p.yaml:2:12: policies.a/b: 'a/b' cannot be the name of a policy. {NAME}"
    ]


@pytest.mark.parametrize("direction", ["egress", "ingress"])
@pytest.mark.parametrize("bound", ["guarantee", "limit"])
def test_a_guarantee_that_no_vif_could_have(direction, bound):
    text = f"""\
        weir: 1
        policies:
          p:
            {direction}: {{{bound}: 10 mbit}}
            children:
              a: {{children: {{b: {{{direction}: {{guarantee: 20 mbit}}}}}}}}
        """
    path = f"policies.p.children.a.children.b.{direction}.guarantee"
    (line,) = lines(textwrap.dedent(text))
    assert line.split(": ", 1)[1] == (
        f"{path}: 20 mbit is more than the {bound} 10 mbit of 'p' above it. Raise the one or lower the other."
    )


@pytest.mark.parametrize("bound", ["guarantee", "limit"])
def test_inner_children_that_promise_too_much_together(bound):
    text = f"""\
        weir: 1
        policies:
          p:
            egress: {{{bound}: 10 mbit}}
            children:
              a: {{egress: {{guarantee: 6 mbit}}, children: {{x: {{}}}}}}
              b: {{children: {{c: {{egress: {{guarantee: 6 mbit}}, children: {{x: {{}}}}}}}}}}
        """
    column = 14 + len(bound) + 2
    assert lines(textwrap.dedent(text)) == [
        f"p.yaml:4:{column}: policies.p.egress.{bound}: 10 mbit is less than the 12 mbit that its children reserve. "
        "Raise the one or lower the other."
    ]


def test_leaves_are_not_summed_because_each_may_be_without_vifs():
    leaves = "{a: {egress: {guarantee: 6 mbit}}, b: {egress: {guarantee: 6 mbit}}}"
    parse({"p": f"weir: 1\npolicies: {{p: {{egress: {{guarantee: 10 mbit}}, children: {leaves}}}}}"})
