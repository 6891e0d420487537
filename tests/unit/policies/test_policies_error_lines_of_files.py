"""Wrong input in several files at once."""

import pytest

from policies.errors import PolicyErrors
from policies.parser import parse
from tests.support.policy_error_lines import lines


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("segments: {x: {type: internal}}", "segments.x"),
        ("links: {x: {capacity: 1 gbit}}", "links.x"),
        ("services: {x: tcp/1}", "services.x"),
        ("groups: {x: [u]}", "groups.x"),
        ("policies: {x: {}}", "policies.x"),
    ],
)
def test_a_name_defined_in_two_files(section, what):
    column = section.index("{") + 2
    text = f"weir: 1\n{section}"
    assert lines(a=text, b=text) == [
        f"b.yaml:2:{column}: {what}: 'x' is defined twice, first at a.yaml:2:{column}. Remove or rename one of them."
    ]


def test_every_error_of_every_file_is_reported_at_once_and_in_order():
    found = lines(b="weir: 1\npolicies: {r: {cpu: 1, egress: {limit: 1}}}", a="segments: {s: {type: x}, t: 1}", c="{")
    assert [line.split(" ")[0] for line in found] == [
        "a.yaml:1:1:",
        "a.yaml:1:22:",
        "a.yaml:1:29:",
        "b.yaml:2:21:",
        "b.yaml:2:40:",
        "c.yaml:2:1:",
    ]


def test_a_name_that_an_unreadable_file_may_define_is_not_an_error_too():
    found = lines(a="weir: 1\npolicies: {r: {rules: [allow: {service: s}]}}", b="weir: 1\nservices: {s: tcp/1")
    assert [line.split(":")[0] for line in found] == ["b.yaml"]


def test_what_has_a_wrong_name_is_read_too():
    text = "weir: 1\npolicies: {a/b: {cp: 1, children: {c: {cp: 1}}}, a: {children: {b: {children: {c/d: {cp: 1}}}}}}"
    assert [line.split(" ")[1] for line in lines(text)] == [
        "policies.a/b:",
        "policies.a/b.cp:",
        "policies.a/b.children.c.cp:",
        "policies.a.children.b.children.c/d:",
        "policies.a.children.b.children.c/d.cp:",
    ]


def test_a_wrong_service_is_one_error_and_not_one_at_each_use():
    text = "weir: 1\nservices: {s: tcp/99999}\npolicies: {r: {rules: [allow: {service: s}]}}"
    assert len(lines(text)) == 1


def test_a_file_name_cannot_break_the_line():
    with pytest.raises(PolicyErrors) as raised:
        parse({"a\nb": "weir: 3"})
    assert str(raised.value) == "a\\nb:1:7: weir: '3' is not understood here. Write 1."
