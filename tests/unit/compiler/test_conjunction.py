"""Entries of clauses: as few as they can be, and all the same packets."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.compiler.compile import compile_bridge
from controller.compiler.conjunction import entries
from controller.compiler.flow import Flow
from controller.compiler.views import ORIGINALS, REPLIES, Clauses, Fields, View
from controller.dataplane.actions import Conjunction, Instructions, Output
from controller.dataplane.cookies import CookieKind, decode
from controller.dataplane.entries import FlowBody, FlowKey, SwitchState
from controller.dataplane.pipeline import CLASSIFY
from controller.dataplane.protocols import CT_RELATED, CT_REPLY
from tests.support.bridges import Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter

HIT = Instructions(apply=(Output(9),))


def made(*clauses: list[Fields], common: Fields | None = None, version: int | None = 4) -> list[Flow]:
    return list(entries(CLASSIFY, 7, Clauses(View.HEADER, version, common or {}, clauses), 3, HIT))


def some(name: str, count: int) -> list[Fields]:
    return [{name: number} for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ((1, 1, 1), 1),
        ((50, 1, 1), 50),  # one dimension
        ((2, 2, 1), 4),  # no more than its conjunction would be
        ((2, 3, 1), 6),
        ((3, 3, 1), 3 + 3 + 1),
        ((2, 2, 2), 2 + 2 + 2 + 1),
        ((20, 30, 40), 20 + 30 + 40 + 1),
        ((20, 0, 40), 0),
        ((0, 0, 0), 0),
        ((0, 1, 1), 0),
    ],
)
def test_sums_where_products_would_be_larger(sizes: tuple[int, int, int], count: int) -> None:
    flows = made(*(some(name, size) for name, size in zip(("reg0", "reg1", "reg2"), sizes, strict=True)))
    assert len(flows) == len(dict(flows)) == count
    parts = [action for _, body in flows for action in body.instructions.apply if isinstance(action, Conjunction)]
    assert len({part.id for part in parts}) <= 1
    for place in {part.clause for part in parts}:
        assert sum(part.clause == place for part in parts) in sizes


def test_no_restriction_makes_a_dimension_vanish_and_equal_ones_count_once() -> None:
    assert len(made([*some("reg0", 30), {}], some("reg1", 30), [{}])) == 30
    assert len(made(some("reg0", 2) * 5, some("reg1", 2), [{}])) == 4
    ((key, _),) = made([{}], [{}], [{}], common={"reg5": 5})
    assert key.match.fields == (("reg5", 5, 0xFFFFFFFF),)


def test_each_family_and_view_has_a_conjunction_of_its_own() -> None:
    def numbers(version: int | None, view: View, rule: int) -> set[int]:
        found = Clauses(view, version, {}, (some("reg0", 5), some("reg1", 5), [{}]))
        return {key.match.value("conj_id") or 0 for key, _ in entries(CLASSIFY, 7, found, rule, HIT)} - {0}

    found = [
        numbers(version, view, rule) for rule in (1, 2, (1 << 24) - 1) for view in View for version in (None, 4, 6)
    ]
    assert all(len(one) == 1 for one in found) and len(set().union(*found)) == len(found)
    assert max(set().union(*found)) < 1 << 32


parts = st.dictionaries(st.sampled_from(["reg0", "reg1"]), st.integers(1, 3), max_size=2)
others = st.dictionaries(st.sampled_from(["reg2", "reg3"]), st.integers(1, 3), max_size=2)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.lists(parts, max_size=6), st.lists(others, max_size=6), st.lists(st.integers(1, 3), max_size=3))
def test_a_packet_is_found_when_it_matches_something_of_each_clause(
    first: list[Fields], second: list[Fields], third: list[int]
) -> None:
    clauses = first, second, [{"reg4": number} for number in third]
    switch = FlowInterpreter(SwitchState(dict(made(*clauses))))
    for values in product((1, 2, 3), repeat=5):
        packet = {f"reg{number}": value for number, value in enumerate(values)}
        means = all(any(packet.items() >= one.items() for one in clause) for clause in clauses)
        assert bool(switch.send(1, **packet)) == means


MANY = """
weir: 1
segments: {s: {type: internal}}
policies:
  top:
    mandatory:
      - deny: {name: one, from: [10.0.0.1, 10.0.0.2, fd00::1], to: [10.1.0.1, 10.1.0.2, fd01::1, fd01::2], service: [tcp/1-6, udp/53, icmp/8]}
      - allow: {name: two, from: [10.0.0.1, 10.0.0.2, 10.0.0.3], to: [10.1.0.1, 10.1.0.2], service: [tcp, tcp/80]}
    children:
      a:
        rules:
          - allow: {name: x, to: [10.1.0.1, 10.1.0.2, 10.1.0.3], service: [tcp/80, tcp/443, udp/53]}
          - allow: {name: y, service: [any, tcp/7], stage: audit, from: [10.0.0.1, 10.0.0.2, 10.0.0.4]}
      b:
        rules:
          - allow: {name: z, to: [10.1.0.1, 10.1.0.2, 10.1.0.3], service: [tcp/80, tcp/443, udp/53]}
          - reject: {name: w, direction: ingress, from: [10.2.0.0/16, 10.3.0.0/16, fd00::/16]}
"""  # noqa: E501


def test_nothing_that_differs_overlaps_at_one_priority() -> None:
    """Open vSwitch says nothing of which entry wins then, least of all where conjunctions are among them."""
    state = compile_bridge(bridge(MANY, Vif(1, "top/a", ("10.0.0.1/8",)), Vif(2, "top/b", ("10.0.0.2/8",))))
    at_one_priority = defaultdict(list)
    conjunctions: dict[tuple[int, int], set[int]] = defaultdict(set)
    for key, body in state.flows.items():
        origin = decode(body.cookie)
        assert origin is not None
        if origin.kind is not CookieKind.RULE:
            continue
        at_one_priority[key.table, key.priority].append((key, body))
        for action in body.instructions.apply:
            if isinstance(action, Conjunction):
                conjunctions[key.table, action.id].add(origin.of)
    assert len(conjunctions) > 5 and all(len(rules) == 1 for rules in conjunctions.values())
    for found in at_one_priority.values():
        for (one, its), (other, others_body) in combinations(found, 2):
            if its.cookie != others_body.cookie or which(one, its) != which(other, others_body):
                assert are_apart(one, other), (one, other)


def which(key: FlowKey, body: FlowBody) -> object:
    """Of what an entry of a rule is: packets that open or go on with a connection, replies, errors."""
    for action in body.instructions.apply:
        if isinstance(action, Conjunction):
            view = View(action.id >> 2 & 7)
            return view in ORIGINALS, view in REPLIES
    if (conjunction := key.match.value("conj_id")) is not None:
        return View(conjunction >> 2 & 7) in ORIGINALS, View(conjunction >> 2 & 7) in REPLIES
    ((value, mask),) = [(value, mask) for name, value, mask in key.match.fields if name == "ct_state"]
    return not value & (CT_REPLY | CT_RELATED) and bool(mask & CT_REPLY), bool(value & CT_REPLY)


def are_apart(one: FlowKey, other: FlowKey) -> bool:
    mine, its = ({name: (value, mask) for name, value, mask in key.match.fields} for key in (one, other))
    if "conj_id" in mine or "conj_id" in its:
        return mine.get("conj_id") != its.get("conj_id")
    return any((mine[name][0] ^ its[name][0]) & mine[name][1] & its[name][1] for name in mine.keys() & its.keys())
