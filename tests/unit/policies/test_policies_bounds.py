"""What is right word by word and yet more than a switch can hold."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest

from policies.expansion import MOST_OF_LEAF, MOST_OF_RULE, entries
from policies.parser import parse
from tests.support.policy_error_lines import lines

REMEDY = "Write fewer and wider prefixes and port ranges, and leave out 'from' or 'to' where either will do."


def hosts(count: int, net: int = 10) -> str:
    return f"[{', '.join(f'{net}.{number >> 8}.{number & 255}.1' for number in range(count))}]"


def ports(numbers: Iterable[int]) -> str:
    return f"[{', '.join(f'tcp/{number}' for number in numbers)}]"


def text(*rules: str) -> str:
    return "weir: 1\npolicies:\n  p:\n    rules:\n" + "".join(f"      - {rule}\n" for rule in rules)


def test_a_rule_that_becomes_too_many_entries() -> None:
    wide = f"deny: {{direction: egress, from: {hosts(150)}, to: {hosts(150, 11)}, service: {ports(range(10))}}}"
    assert lines(text(wide)) == [
        "p.yaml:5:9: policies.p.rules[0].deny: 150 sources x 150 destinations x 10 services make at least 675,000 flow "
        f"entries, more than the 10,000 of a rule. {REMEDY}"
    ]


def test_a_rule_of_as_many_as_there_may_be() -> None:
    def rule(count: int) -> str:
        return text(f"allow: {{direction: egress, to: {hosts(count)}}}")

    (one,) = parse({"p.yaml": rule(MOST_OF_RULE // 2)}).nodes["p"].rules
    assert entries(one) == MOST_OF_RULE
    (line,) = lines(rule(MOST_OF_RULE // 2 + 1))
    assert "5001 destinations x 1 service make at least 10,002 flow entries" in line


def test_a_leaf_bears_what_it_inherits_and_says_so_where_it_stands() -> None:
    rule = f"{{direction: egress, to: {hosts(2000)}}}"  # 4,000 entries
    many = ", ".join([f"allow: {rule}", *[f"deny: {rule}"] * 4, *[f"allow: {rule}"] * 2])
    tree = (
        f"weir: 1\npolicies:\n  top:\n    mandatory: [{many}]\n    default: [deny: {rule}]\n    children:\n"
        f"      fits:\n        rules: [{', '.join([f'deny: {rule}'] * 4)}]\n"
        f"      not:\n        rules: [{', '.join([f'deny: {rule}'] * 5)}]\n"
    )
    assert lines(tree) == [
        "p.yaml:9:7: policies.top.children.not: its rules and those it inherits make 52,000 flow entries, "
        f"more than the {MOST_OF_LEAF:,} of a leaf. {REMEDY}"
    ]


def test_text_made_to_become_much_is_refused_without_making_it() -> None:
    ranges = ", ".join(f"{{proto: tcp, port: 1-{65534 - n}, source_port: 1-65534}}" for n in range(2000))
    wide = text(f"allow: {{from: {hosts(1000)}, to: {hosts(1000, 11)}, service: [{ranges}]}}")
    tracemalloc.start()
    try:
        (line,) = lines(wide)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert "1000 sources x 1000 destinations x 2000 services make at least" in line


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
