"""Rules under audit count what they would have decided, and change nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.dataplane.actions import Clone, Conntrack
from controller.dataplane.cookies import CookieKind, decode
from controller.dataplane.entries import SwitchState
from controller.dataplane.meter_ids import VIF_METERS
from controller.dataplane.pipeline import EGRESS_VERDICT, INGRESS_VERDICT, check
from policies.model import Node
from policies.rules import MOST_RULES
from tests.support.bridges import Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter
from tests.support.parties_and_packets import tcp
from tests.support.vif_packets import back, send

POLICY = """
weir: 1
segments: {s: {type: internal}}
policies:
  top:
    unmatched: allow
    mandatory:
      - deny: {name: before, direction: egress, service: tcp/80, stage: audit}
      - allow: {name: forced, direction: egress, service: tcp/80}
      - deny: {name: behind, direction: egress, service: tcp/80-81, stage: audit}
    default:
      - deny: {name: last, direction: egress, stage: audit}
      - allow: {name: rated, direction: egress, limit: 1 mbit, packets: 1 kpps, stage: audit}
      - allow: {name: fast, direction: egress, packets: 2 kpps, stage: audit}
    children:
      a:
        rules:
          - reject: {name: shut, direction: egress, service: tcp/82}
          - deny: {name: shut-too, service: tcp/82-83, stage: audit, log: true}
      b:
        rules:
          - reject: {name: of-all, direction: ingress, from: {vif: vif1}, stage: audit}
          - allow: {name: of-some, direction: ingress, from: 10.0.0.1, service: tcp, limit: 2 mbit, stage: audit}
"""
A, B = Vif(1, "top/a", ("10.0.0.1/24", "fd00::1/64")), Vif(2, "top/b", ("10.0.0.2/24", "fd00::2/64"))
THERE = {port: tcp("10.0.0.1", "10.0.0.2", port) for port in (80, 81, 82, 83)}
BEHIND_ALL = ["top:last", "top:rated", "top:fast"]


def counted(switch: FlowInterpreter, one: Bridge) -> dict[tuple[str, int], int]:
    """What audited rules have counted, by rule and VIF."""
    names = {number: identity for identity, number in one.rule_numbers.items()}
    found = {}
    for (table, cookie), hits in switch.hits.items():
        origin = decode(cookie)
        if table in (EGRESS_VERDICT.id, INGRESS_VERDICT.id) and origin and origin.kind is CookieKind.AUDIT:
            found[names[origin.of], origin.vif or 0] = hits
    return found


@pytest.mark.parametrize(
    ("port", "passes", "audited"),
    [
        (80, True, {1: ["top:before"]}),
        (81, True, {1: ["top:behind", *BEHIND_ALL]}),
        (82, False, {1: []}),
        (83, True, {1: ["top/a:shut-too", *BEHIND_ALL]}),
    ],
)
def test_counts_what_no_rule_in_force_decides_before(port: int, passes: bool, audited: dict[int, list[str]]) -> None:
    one = bridge(POLICY, A, B)
    switch = FlowInterpreter(compile_bridge(one))
    assert bool(send(switch, THERE[port], A, B)) == passes
    of_b = {("top/b:of-all", 2): 1, ("top/b:of-some", 2): 1} if passes else {}
    assert counted(switch, one) == {(rule, 1): 1 for rule in audited[1]} | of_b
    assert bool(switch.punted) == (port == 82)  # by the rule in force alone


def test_replies_and_the_other_direction_are_not_counted() -> None:
    """Not by those with a rate either, whose copies belong to no connection."""
    one = bridge(POLICY, A, B)
    switch = FlowInterpreter(compile_bridge(one))
    assert send(switch, THERE[80], A, B)
    before = counted(switch, one)
    assert send(switch, back(THERE[80]), B, A)
    assert counted(switch, one) == before


def test_replies_that_no_rule_decides_are_not_counted() -> None:
    one = bridge(POLICY.replace("- allow: {name: forced", "- allow: {name: forced, stage: audit"), A, B)
    switch = FlowInterpreter(compile_bridge(one))
    assert send(switch, THERE[80], A, B)
    before = counted(switch, one)
    assert send(switch, back(THERE[80]), B, A)
    assert counted(switch, one) == before


def test_each_vif_counts_apart() -> None:
    one = bridge(POLICY, A, B, Vif(3, "top/a", ("10.0.0.3/24",)))
    switch = FlowInterpreter(compile_bridge(one))
    send(switch, THERE[81], A, B)
    send(switch, tcp("10.0.0.3", "10.0.0.2", 81), Vif(3, "top/a", ()), B)
    assert {vif for rule, vif in counted(switch, one) if rule == "top:last"} == {1, 3}


def copies(state: SwitchState) -> list[Conntrack]:
    found = []
    for body in state.flows.values():
        for action in body.instructions.apply:
            if isinstance(action, Clone):
                found += [one for one in action.actions if isinstance(one, Conntrack)]
    return found


def test_only_a_copy_goes_through_the_meter_of_a_rule_under_audit() -> None:
    """It is tracked where no VIF is, each rule apart, so that the packet itself is not disturbed."""
    one = bridge(POLICY, A, B)
    state = compile_bridge(one)
    assert check(state) == []
    zones = {copy.zone for copy in copies(state)}
    assert len(zones) == 3 and all(isinstance(zone, int) and VIF_METERS.stop <= zone < 1 << 16 for zone in zones)
    assert not any(copy.commit for copy in copies(state))
    switch = FlowInterpreter(state)
    (sent,) = send(switch, THERE[81], A, B)
    assert len([number for number in switch.metered if number >= VIF_METERS.stop]) == 2 + 1 + 1
    assert [zone for zone in switch.zones if zone in VIF_METERS] == [1, 2] and sent.packet["reg1"] == 2


def without_audit(node: Node) -> Node:
    lists = {key: tuple(rule for rule in getattr(node, key) if not rule.audit) for key in MOST_RULES}
    return replace(node, **lists)


@pytest.mark.parametrize("port", THERE)
def test_rules_under_audit_change_nothing(port: int) -> None:
    one = bridge(POLICY, A, B)
    nodes = {path: without_audit(node) for path, node in one.policies.nodes.items()}
    bare = replace(one, policies=replace(one.policies, nodes=nodes))
    left = [send(FlowInterpreter(compile_bridge(each)), THERE[port], A, B) for each in (one, bare)]
    kept = ("reg0", "reg1", "reg4", "ip_dscp", "ct_state")
    with_audit, without = ([(sent.port, [sent.packet.get(key) for key in kept]) for sent in found] for found in left)
    assert with_audit == without


def test_a_rule_that_leaves_the_audit_stage_keeps_its_number_and_moves_nothing_else() -> None:
    """What leaves a VIF has another digest by then."""
    one, other = bridge(POLICY, A, B), bridge(POLICY.replace(", stage: audit, log: true", ""), A, B)
    assert one.rule_numbers == other.rule_numbers
    before, after = compile_bridge(one), compile_bridge(replace(other, rule_numbers=one.rule_numbers))
    number = one.rule_numbers["top/a:shut-too"]
    for key in before.flows.keys() ^ after.flows.keys():
        body = before.flows.get(key) or after.flows[key]
        origin = decode(body.cookie)
        assert origin is not None and (origin.of == number or origin.kind in (CookieKind.PIPELINE, CookieKind.VIF))
