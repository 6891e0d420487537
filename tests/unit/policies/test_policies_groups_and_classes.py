"""Groups, classes and code points: what they mean, and each wrong input with the line it gives."""

import pytest

from policies.class_documents import IMPLIED
from policies.classes import code_points
from policies.dscp import code_point, code_point_text
from policies.errors import BadValue
from policies.model import NORMAL, Group, PolicySet, Position, TrafficClass
from policies.parser import parse
from tests.support.policy_error_lines import NAME, lines


def classes(text: str) -> list[TrafficClass]:
    return list(parse({"p.yaml": f"weir: 1\nclasses: {text}"}).classes.values())


def test_groups():
    groups = parse({"p.yaml": "weir: 1\ngroups: {eng: [alice, 'bob b', alice], ops: [no, '007']}"}).groups
    assert groups == {
        "eng": Group("eng", frozenset({"alice", "bob b"}), Position("p.yaml", 2, 10)),
        "ops": Group("ops", frozenset({"no", "007"}), Position("p.yaml", 2, 40)),
    }


def test_without_classes_there_is_normal_alone():
    only = TrafficClass(NORMAL, 1.0, IMPLIED)
    assert parse({}).classes == parse({"p": "weir: 1"}).classes == {NORMAL: only}
    assert classes("{}") == [only]


def test_classes_keep_their_order_and_normal_its_place():
    found = classes("{fast: {share: 30 %, dscp: EF}, normal: {share: 60 %}, bulk: {share: 10%, dscp: 8}}")
    assert [(own.name, own.share, own.dscp) for own in found] == [
        ("fast", 0.3, 46),
        ("normal", 0.6, None),
        ("bulk", 0.1, 8),
    ]
    assert found[1].at == Position("p.yaml", 2, 42)


def test_normal_comes_last_with_the_rest_when_it_is_not_given():
    assert [(own.name, own.share) for own in classes("{b: {share: 33.3 %}, a: {share: 0.7 %}}")] == [
        ("b", 0.333),
        ("a", 0.007),
        ("normal", 0.66),
    ]


def test_shares_that_only_a_sum_of_floats_would_refuse():
    assert len(classes("{normal: {share: 70 %}, a: {share: 10 %}, b: {share: 10 %}, c: {share: 10 %}}")) == 4


def test_as_many_classes_without_a_code_point_as_there_are_for_local_use():
    policies = parse({"p": f"weir: 1\nclasses: {{{', '.join(f'c{n}: {{share: 1 %}}' for n in range(15))}}}"})
    assert set(code_points(policies).values()) == set(range(3, 64, 4))


CODE_POINTS = [
    ("ef", 46), ("EF", 46), ("be", 0), ("default", 0), ("cs0", 0), ("cs7", 56), ("af11", 10), ("af43", 38),
    ("63", 63), ("0", 0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "number"), CODE_POINTS)
def test_code_points(text, number):
    assert code_point(text) == number


@pytest.mark.parametrize("text", ["64", "-1", "cs8", "af10", "af44", "", "0x2e", "4.6", "٣", "1" * 1000])
def test_what_is_no_code_point(text):
    with pytest.raises(BadValue):
        code_point(text)


def test_names_of_code_points():
    assert [code_point_text(number) for number in (0, 8, 10, 46, 3)] == ["be", "cs1", "af11", "ef", "3"]
    assert all(code_point(code_point_text(number)) == number for number in range(64))


GROUPS = [
    ("alice", "3:6: groups.g: a text stands where a list should. Put it into brackets, as in [a, b]."),
    ("[]", "3:6: groups.g: the list is empty. Remove the key, or put something into the list."),
    ("[[a]]", "3:7: groups.g[0]: a list stands where one value should. Write one value."),
    ('["a\\tb"]', "3:7: groups.g[0]: 'a\\tb' is not a name. Use 1 to 255 printable characters."),
]
CLASSES = [
    ("{}", "3:6: classes.g.share: is missing. Add 'share: 30 %'."),
    ("{share: 30}", "3:14: classes.g.share: '30' has no unit. Write '30 %'."),
    (
        "{share: 0 %}",
        "3:14: classes.g.share: '0 %' leaves the class without a rate. Write a share above 0 %, such as '5 %'.",
    ),
    ("{share: 101 %}", "3:14: classes.g.share: '101 %' is more than Weir can keep. Write at most '100 %'."),
    ("{shares: 1 %, share: 1 %}", "3:7: classes.g.shares: unknown key 'shares'. The nearest valid key is 'share'."),
    (
        "{share: 1 %, dscp: cs9}",
        "3:25: classes.g.dscp: 'cs9' is not a code point. The nearest name is 'cs7'.",
    ),
    (
        "{share: 100 %}",
        "3:6: classes.g: the shares come to 100 %, which leaves nothing for the class 'normal' of what no rule names. "
        "Lower one of them, or add 'normal' to the classes.",
    ),
    (
        "{share: 60 %}\n  h: {share: 50 %}\n  i: {share: 0.5 %}",
        "4:6: classes.h: with this one the shares come to 110 %. Lower some of them: all together at most 100 %.",
    ),
    (
        "{share: 1 %, dscp: ef}\n  h: {share: 1 %, dscp: 46}",
        "4:25: classes.h.dscp: 'ef' is the code point of class 'g' already, at p.yaml:3:3. "
        "Choose another code point, or leave it out.",
    ),
]


@pytest.mark.parametrize(("text", "line"), GROUPS)
def test_group(text, line):
    assert lines(f"weir: 1\ngroups:\n  g: {text}\n") == [f"p.yaml:{line}"]


@pytest.mark.parametrize(("text", "line"), CLASSES)
def test_class(text, line):
    assert lines(f"weir: 1\nclasses:\n  g: {text}\n") == [f"p.yaml:{line}"]


@pytest.mark.parametrize(
    ("section", "what"), [("groups: {a b: [u]}", "group"), ("classes: {a b: {share: 1 %}}", "class")]
)
def test_names(section, what):
    (line,) = lines(f"weir: 1\n{section}")
    assert line.endswith(f"'a b' cannot be the name of a {what}. {NAME}")


def test_the_order_of_classes_in_two_files_is_not_known():
    assert lines(a="weir: 1\nclasses: {x: {share: 1 %}}", b="weir: 1\nclasses: {y: {share: 1 %}}") == [
        "b.yaml:2:11: classes.y: other classes stand in another file, at a.yaml:2:11, so their order is not known. "
        "Write all classes into one file, best first."
    ]


REMEDY = "Write its own, as in 'classes: {NAME: {share: 10 %, dscp: af11}}'."


def test_more_classes_than_code_points_for_local_use():
    many = ", ".join(f"c{n}: {{share: 1 %}}" for n in range(16))
    assert lines(f"weir: 1\nclasses: {{normal: {{share: 1 %}}, {many}}}") == [
        "p.yaml:2:308: classes.c15: no code point for local use is left for the class 'c15'. "
        + REMEDY.replace("NAME", "c15")
    ]
    (line,) = lines(f"weir: 1\nclasses: {{{many}}}")
    assert "no code point for local use is left for the class 'normal'" in line


def test_rules_that_leave_no_code_point():
    rules = ", ".join(f"allow: {{dscp: {number}}}" for number in range(3, 64, 4))
    (line,) = lines(f"weir: 1\npolicies: {{p: {{rules: [{rules}]}}}}")
    assert line.endswith(
        "policies.p.rules[15].allow.dscp: no code point for local use is left for the class 'normal'. "
        + REMEDY.replace("NAME", "normal")
    )


def test_the_empty_policy_set_is_that_of_no_files_but_for_normal():
    assert parse({}) == PolicySet(classes={NORMAL: TrafficClass(NORMAL, 1.0, IMPLIED)})
    assert parse({}) == parse({"a": "weir: 1", "b": "\ufeff---\r\nweir: 1\r\n"})
