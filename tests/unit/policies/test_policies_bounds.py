"""What is right word by word and yet more than a switch can hold."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest

from policies import names, nodes
from policies.expansion import MOST_OF_LEAF, MOST_OF_RULE, entries
from policies.parser import parse
from tests.support.policy_error_lines import lines

REMEDY = "Write fewer and wider prefixes and port ranges."


def hosts(count: int, net: int = 10) -> str:
    return f"[{', '.join(f'{net}.{number >> 8}.{number & 255}.1' for number in range(count))}]"


def ports(numbers: Iterable[int]) -> str:
    return f"[{', '.join(f'tcp/{number}' for number in numbers)}]"


def text(*rules: str) -> str:
    return "weir: 1\npolicies:\n  p:\n    rules:\n" + "".join(f"      - {rule}\n" for rule in rules)


def count(body: str) -> int:
    (rule,) = parse({"p.yaml": text(body)}).nodes["p"].rules
    return entries(rule)


def test_sources_destinations_and_services_add_and_do_not_multiply() -> None:
    every = f"from: {hosts(30)}, to: {hosts(20, 11)}, service: {ports(range(100, 110))}"
    fragments = 30 + 20 + 1
    one_way = 4 * (30 + 20 + 10 + 1) + 2 * fragments
    assert count(f"allow: {{direction: egress, {every}}}") == one_way
    assert count(f"allow: {{{every}}}") == 2 * one_way
    assert count(f"deny: {{direction: egress, {every}}}") == one_way - 2 * fragments


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("{}", 2 * 3),
        ("{direction: egress}", 3),
        ("{direction: egress, to: 10.0.0.1}", 3),
        ("{direction: egress, to: [10.0.0.1, 10.0.0.2, 'fd00::1']}", 6 + 3),
        ("{direction: egress, from: 10.0.0.1, to: 'fd00::1'}", 0),
        ("{direction: egress, service: tcp/80}", 6 + 6),
        ("{direction: egress, service: {proto: tcp, port: 1-6, source_port: 1-2}}", 2 * (4 * 4 * 2 + 2)),
        ("{direction: egress, service: icmp/8}", 6),
        ("{direction: egress, service: icmp6/128}", 6),
        ("{direction: egress, service: icmp6/128, to: 10.0.0.1}", 0),
        ("{direction: egress, service: sctp/1}", 5 + 5),
        ("{direction: egress, to: {user: a}}", 3 + 3),
        ("{direction: egress, to: [{user: a}, {app: b}, 10.0.0.1]}", 9 + 6),
        ("{direction: egress, to: {user: a, cidr: [10.0.0.1, 10.0.0.2]}}", 6),
        ("{direction: egress, stage: audit}", 16),
    ],
)
def test_how_many_a_rule_makes(body: str, number: int) -> None:
    assert count(f"allow: {body}") == number


def test_a_rule_that_becomes_too_many_entries() -> None:
    ranges = ", ".join(f"{{proto: tcp, port: 1-{65534 - 2 * n}, source_port: 1-65534}}" for n in range(10))
    assert lines(text(f"deny: {{direction: egress, from: {hosts(150)}, service: [{ranges}]}}")) == [
        "p.yaml:5:9: policies.p.rules[0].deny: it makes up to 34,804 flow entries, more than the 30,000 of a rule. "
        f"{REMEDY}"
    ]


def test_a_rule_of_as_many_as_there_may_be() -> None:
    def rule(number: int) -> str:
        return text(f"allow: {{direction: egress, to: {hosts(number)}}}")

    (one,) = parse({"p.yaml": rule(MOST_OF_RULE // 3)}).nodes["p"].rules
    assert entries(one) == MOST_OF_RULE
    (line,) = lines(rule(MOST_OF_RULE // 3 + 1))
    assert "it makes up to 30,003 flow entries" in line


def test_a_leaf_bears_what_it_inherits_and_says_so_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "MOST_OF_LEAF", 3_000)
    rule = f"{{direction: egress, to: {hosts(80)}}}"  # 240 entries
    many = ", ".join([f"allow: {rule}", *[f"deny: {rule}"] * 4, *[f"allow: {rule}"] * 2])
    tree = (
        f"weir: 1\npolicies:\n  top:\n    mandatory: [{many}]\n    default: [deny: {rule}]\n    children:\n"
        f"      fits:\n        rules: [{', '.join([f'deny: {rule}'] * 4)}]\n"
        f"      not:\n        rules: [{', '.join([f'deny: {rule}'] * 5)}]\n"
    )
    assert MOST_OF_LEAF == 200_000
    assert lines(tree) == [
        "p.yaml:9:7: policies.top.children.not: its rules and those it inherits make 3,120 flow entries, "
        f"more than the 3,000 of a leaf. {REMEDY}"
    ]


def test_text_made_to_become_much_is_refused_without_making_it() -> None:
    ranges = ", ".join(f"{{proto: tcp, port: 1-{65534 - n}, source_port: 1-65534}}" for n in range(500))
    wide = text(f"allow: {{from: {hosts(250)}, to: {hosts(250, 11)}, service: [{ranges}]}}")
    tracemalloc.start()
    try:
        (line,) = lines(wide)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert "it makes up to" in line


def test_names_that_stand_for_much_do_not_make_much_of_little_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "MOST_MATCHES", 1_000)
    services = "weir: 1\nservices:\n" + "".join(f"  s{n}: {ports(range(300))}\n" for n in range(2))
    again = f"deny: {{service: [{', '.join(['s0'] * 500)}, s1]}}"  # 300 at once, however often they are named
    used = services + text(*[again] * 3).removeprefix("weir: 1\n")
    assert len(parse({"p.yaml": used}).nodes["p"].rules) == 3
    (line,) = lines(services + text(*[again] * 9).removeprefix("weir: 1\n"))
    assert line.startswith(
        "p.yaml:11:25: policies.p.rules[3].deny.service: the services of all rules come to more than"
    )


def test_nearest_names_are_not_looked_for_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_MOST_COMPARISONS", 20)
    groups = ", ".join(f"group{n}: [u]" for n in range(10))
    wrong = [f"allow: {{to: {{group: grup{n}}}}}" for n in range(4)]
    found = lines(text(*wrong) + f"groups: {{{groups}}}\n")
    assert ["The nearest name" in line for line in found] == [True, True, False, False]


BURSTS = [
    (
        "p: {egress: {limit: 100 gbit, burst: 60 s}}",
        "p.yaml:3:40: policies.p.egress.burst: a burst of 60 s at a limit of 100 gbit is more than '1024 mib'. "
        "Write a burst of at most '85 ms', or a lower limit.",
    ),
    (
        "p: {ingress: {burst: 60 s, limit: 1 gbit}}",
        "p.yaml:3:24: policies.p.ingress.burst: a burst of 60 s at a limit of 1 gbit is more than '1024 mib'. "
        "Write a burst of at most '8589 ms', or a lower limit.",
    ),
    (
        "p: {egress: {burst: 60 s}, children: {q: {egress: {limit: 10 gbit}}}}",
        "p.yaml:3:61: policies.p.children.q.egress.limit: a burst of 60 s at a limit of 10 gbit is more than "
        "'1024 mib'. Write a burst of at most '858 ms', or a lower limit.",
    ),
]


@pytest.mark.parametrize(("node", "line"), BURSTS)
def test_a_burst_that_no_bucket_holds(node: str, line: str) -> None:
    assert lines(f"weir: 1\npolicies:\n  {node}\n") == [line]


@pytest.mark.parametrize(
    "node",
    [
        "p: {egress: {limit: 100 mbit, burst: 60 s}}",
        "p: {egress: {limit: 100 gbit, burst: 85 ms}}",
        "p: {egress: {limit: 1000 gbit, burst: 1024 mib}}",
        "p: {egress: {limit: 100 gbit, burst: 60 s}, children: {q: {egress: {limit: 100 mbit}}}}",
    ],
)
def test_a_burst_that_a_bucket_holds(node: str) -> None:
    parse({"p.yaml": f"weir: 1\npolicies:\n  {node}\n"})
