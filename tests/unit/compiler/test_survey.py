"""What is known of leaves and rules before any entry is made: digests, paths, marks."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.compiler.parts import Memo
from controller.compiler.survey import LeafView, on_path, path_values, survey
from controller.dataplane.pipeline import check
from controller.dataplane.registers import SOURCE_PATH
from policies.model import MOST_LEVELS
from tests.support.bridges import Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter
from tests.support.parties_and_packets import udp
from tests.support.vif_packets import frame_fields

POLICY = """
weir: 1
segments: {s: {type: internal, subnets: [10.0.0.0/24]}}
groups: {staff: [alice, bob]}
classes: {fast: {share: 30 %}, normal: {share: 60 %}}
policies:
  top:
    mandatory:
      - deny: {name: meta, direction: egress, to: 10.9.9.9}
    children:
      web:
        rules:
          - allow: {name: lookups, direction: egress, service: udp/53}
          - allow: {name: staff, direction: ingress, from: {group: staff}, service: tcp/443}
          - deny: {name: tried, service: tcp/1, stage: audit}
      db:
        rules:
          - allow: {name: from-web, direction: ingress, from: {policy: top/web}, service: tcp/5432}
"""
WEB, DB = Vif(1, "top/web", ("10.0.0.1/24",)), Vif(2, "top/db", ("10.0.0.2/24",))


def leaf(one: Bridge, path: str = "top/web") -> LeafView:
    return survey(one, Memo()).leaves[path]


def digest(text: str, *vifs: Vif, path: str = "top/web") -> int:
    return leaf(bridge(text, *(vifs or (WEB, DB))), path).digest


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("udp/53}", "udp/53, dscp: ef}"),
        ("udp/53}", "udp/53, class: fast}"),
        ("udp/53}", "udp/53, limit: 1 mbit, packets: 1 kpps}"),
        ("udp/53}", "udp/53, log: true}"),
        ("name: lookups", "name: queries"),
        ("name: lookups, ", ""),
        ("  top:\n", "\n\n  top:\n    egress: {limit: 1 gbit}\n"),
        ("service: tcp/1, stage: audit", "service: tcp/2, stage: audit"),
        ("          - deny: {name: tried, service: tcp/1, stage: audit}\n", ""),
        ("service: tcp/5432", "service: tcp/5433"),  # of another leaf
    ],
)
def test_the_digest_stays_while_the_same_packets_leave(written: str, instead: str) -> None:
    assert written in POLICY
    assert digest(POLICY.replace(written, instead)) == digest(POLICY)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("udp/53}", "udp/54}"),
        ("allow: {name: lookups", "deny: {name: lookups"),
        ("allow: {name: lookups", "reject: {name: lookups"),
        ("10.9.9.9", "10.9.9.8"),
        (", direction: egress, service: udp/53", ", service: udp/53"),
        (", stage: audit", ""),
        ("service: tcp/443", "service: tcp/444"),  # which replies leave
        ("      web:\n", "      web:\n        unmatched: allow\n"),
    ],
)
def test_the_digest_is_another_when_others_leave(written: str, instead: str) -> None:
    assert written in POLICY
    assert digest(POLICY.replace(written, instead)) != digest(POLICY)


def test_the_digest_knows_the_order_of_rules() -> None:
    first = "          - allow: {name: lookups, direction: egress, service: udp/53}\n"
    closed = "          - deny: {name: none, direction: egress}\n"
    orders = [POLICY.replace(first, first + closed), POLICY.replace(first, closed + first)]
    assert digest(orders[0]) != digest(orders[1])


def test_the_digest_knows_who_is_where() -> None:
    alone = digest(POLICY)
    assert digest(POLICY, replace(WEB, users=frozenset({"carol"})), DB) == alone
    assert digest(POLICY, WEB, replace(DB, users=frozenset({"bob"}))) != alone
    assert digest(POLICY, WEB, replace(DB, users=frozenset({"bob"})), path="top/db") == digest(POLICY, path="top/db")
    assert digest(POLICY, replace(WEB, addresses=("10.0.0.7/24",)), DB, path="top/db") != digest(POLICY, path="top/db")
    one = bridge(POLICY, WEB, DB)
    bound = replace(one.identities, addresses={"alice": frozenset({ip_address("192.0.2.1")})})
    assert leaf(replace(one, identities=bound)).digest != alone


def test_the_digest_does_not_depend_on_the_numbers_of_rules() -> None:
    one = bridge(POLICY, WEB, DB)
    rules = {identity: number + 100 for identity, number in one.rule_numbers.items()}
    assert leaf(replace(one, rule_numbers=rules)).digest == leaf(one).digest


def test_leaves_of_the_same_rules_have_digests_of_their_own() -> None:
    """For the packets of a VIF that moves from one to the other carry the path of the one."""
    text = POLICY.replace("      db:\n", "      one: {}\n      other: {}\n      db:\n")
    vifs = Vif(1, "top/one", ()), Vif(2, "top/other", ())
    assert digest(text, *vifs, path="top/one") != digest(text, *vifs, path="top/other")


def test_acts_are_in_the_order_of_the_rules_and_marks_are_of_classes() -> None:
    one = bridge(POLICY.replace("udp/53}", "udp/53, class: fast}"), WEB, DB)
    found = survey(one, Memo())
    web, db = found.leaves["top/web"], found.leaves["top/db"]
    names = {number: identity for identity, number in one.rule_numbers.items()}
    acts = [(names[act.number].partition(":")[2], act.mark) for act in web.acts]
    assert acts == [("meta", 7), ("lookups", 3), ("staff", 7), ("tried", 7)]
    assert web.mark == 7 and db.mark is None and {act.mark for act in db.acts} == {None}
    assert [placed.number for placed in web.audited] == [one.rule_numbers["top/web:tried"]]
    assert found.marks == (3, 7)
    assert len(found.rules) == len(one.rule_numbers)


@pytest.mark.parametrize("depth", range(1, MOST_LEVELS + 1))
def test_what_a_path_sets_is_what_its_nodes_match(depth: int) -> None:
    numbers = [0x3FFE - level for level in range(depth)]
    held = dict(path_values(SOURCE_PATH, numbers))
    assert len(held) == (depth + 1) // 2
    for level in range(1, MOST_LEVELS + 1):
        for number in (*numbers, 1):
            register, (value, mask) = on_path(SOURCE_PATH, level, number)  # type: ignore[misc]
            assert (held.get(register, 0) & mask == value) == (level <= depth and numbers[level - 1] == number)


def nested(depth: int) -> str:
    """A tree of `depth` levels, each level but the last with a leaf beside the next; a port of their own opens each."""
    lines, margin = ["weir: 1", "segments: {s: {type: internal}}", "policies:"], "  "
    for level in range(1, depth + 1):
        lines += [f"{margin}n{level}:", f"{margin}  default: [{{allow: {{service: udp/{level}}}}}]"]
        if level < depth:
            lines += [f"{margin}  children:", f"{margin}    leaf{level + 1}: {{}}"]
        margin += "    "
    return "\n".join(lines)


def test_leaves_of_all_depths_are_judged_by_the_nodes_above_them_alone() -> None:
    """In one flood, so that each copy carries its own receiver's path and nothing of the one before."""
    paths = ["/".join(f"n{level}" for level in range(1, MOST_LEVELS + 1))]
    paths += [
        "/".join([*(f"n{level}" for level in range(1, depth)), f"leaf{depth}"]) for depth in range(2, MOST_LEVELS + 1)
    ]
    vifs = [Vif(number, path, (f"10.0.0.{number}/24",)) for number, path in enumerate(paths, start=1)]
    for order in (vifs, [replace(vif, policy=path) for vif, path in zip(vifs, reversed(paths), strict=True)]):
        state = compile_bridge(bridge(nested(MOST_LEVELS), *order))
        assert check(state) == []
        sender = next(vif for vif in order if vif.policy == paths[0])
        for level in range(1, MOST_LEVELS + 1):
            packet = udp(sender.addresses[0].partition("/")[0], "10.0.0.255", level)
            fields = {**frame_fields(packet, sender, None), "eth_dst": (1 << 48) - 1}
            arrived = {one.port for one in FlowInterpreter(state).send(sender.number, **fields)}
            below = {vif.number for vif in order if vif.policy.count("/") >= level} - {sender.number}
            assert arrived == below, level
