"""Properties of a compiled bridge that no law about verdicts sees."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from controller.compiler.compile import compile_bridge
from controller.compiler.forward import CHUNK_VIFS, MOST_IN_SEGMENT, SegmentTooLarge
from controller.compiler.parts import Contradiction
from controller.compiler.precedence import TooManyRules
from controller.dataplane.actions import Clone, Output, Resubmit
from controller.dataplane.cookies import CookieKind, decode
from controller.dataplane.entries import MeterBody, SwitchState
from controller.dataplane.macs import link_local
from controller.dataplane.pipeline import BY_ID, check
from controller.dataplane.protocols import ETH_ARP
from controller.dataplane.registers import RESENT
from controller.openflow.action_codec import encode_actions
from policies.rules import MOST_RULES
from tests.support.bridges import UPLINK_OFPORT, Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter

POLICY = """
weir: 1
segments:
  s: {type: bridged, uplink: wan, vlan: 120}
  t: {type: internal}
policies:
  p:
    rules:
      - allow: {direction: egress, to: [10.0.0.0/8, 'fd00::/8'], service: [tcp/80, tcp/8000-8003]}
  q: {unmatched: allow}
"""
DEEP = f"""
weir: 1
segments: {{s: {{type: bridged, uplink: wan, vlan: 120}}}}
classes: {{fast: {{share: 10 %}}, normal: {{share: 10 %}}}}
policies: {{{"q: {children: {" * 7}q: {{rules: [{{allow: {{class: fast}}}}]}}{"}}" * 7}}}
"""
BROADCAST = (1 << 48) - 1


def arp(switch: FlowInterpreter, vif: Vif, target: int) -> list[tuple[int, int]]:
    """Where the VIF's ARP request arrives: port and tag."""
    fields = {"eth_type": ETH_ARP, "arp_op": 1, "arp_sha": vif.mac, "arp_spa": 0, "vlan_vid": 0}
    sent = switch.send(vif.number, eth_src=vif.mac, eth_dst=target, **fields)
    return sorted((one.port, one.packet["vlan_vid"] & 0xFFF) for one in sent)


def some(count: int, segment: str = "s") -> list[Vif]:
    return [Vif(number, "q", (), segment) for number in range(1, count + 1)]


def test_nothing_asked_for_is_the_pipeline_alone() -> None:
    state = compile_bridge(bridge("weir: 1"))
    assert {decode(body.cookie).kind for body in state.flows.values()} == {CookieKind.PIPELINE}
    assert not state.meters and check(state) == []


def test_a_broadcast_reaches_everybody_else_of_the_segment_once_and_its_uplink_tagged() -> None:
    vifs = [*some(3), replace(some(4)[3], segment="t"), replace(some(5)[4], segment="t")]
    switch = FlowInterpreter(compile_bridge(bridge(POLICY, *vifs)))
    assert arp(switch, vifs[0], BROADCAST) == [(2, 0), (3, 0), (UPLINK_OFPORT, 120)]
    assert arp(switch, vifs[3], BROADCAST) == [(5, 0)]


def test_a_known_mac_is_here_any_other_outside() -> None:
    vifs = [*some(2), replace(some(3)[2], segment="t")]
    switch = FlowInterpreter(compile_bridge(bridge(POLICY, *vifs)))
    assert arp(switch, vifs[0], vifs[1].mac) == [(2, 0)]
    assert arp(switch, vifs[0], vifs[2].mac) == [(UPLINK_OFPORT, 120)]
    assert arp(switch, vifs[0], vifs[0].mac) == []
    assert arp(switch, vifs[2], vifs[0].mac) == []


def test_from_outside_only_known_macs_and_broadcast_come_in() -> None:
    switch = FlowInterpreter(compile_bridge(bridge(POLICY, *some(2))))

    def arrives(target: int, tag: int) -> list[int]:
        fields = {"eth_type": ETH_ARP, "arp_op": 1, "vlan_vid": tag and 0x1000 | tag}
        return sorted(one.port for one in switch.send(UPLINK_OFPORT, eth_src=9, eth_dst=target, **fields))

    assert arrives(some(1)[0].mac, 120) == [1]
    assert arrives(BROADCAST, 120) == [1, 2]
    assert arrives(0x020000000077, 120) == arrives(BROADCAST, 121) == arrives(BROADCAST, 0) == []


@pytest.mark.parametrize("text", [POLICY, DEEP])
def test_a_large_segment_is_flooded_in_chunks_that_fit_into_a_message(text: str) -> None:
    """At the full depth of the tree with classes a copy takes most actions."""
    vifs = [replace(vif, policy="/".join("qqqqqqqq") if text is DEEP else "q") for vif in some(2 * CHUNK_VIFS + 1)]
    state = compile_bridge(bridge(text, *vifs))
    assert check(state) == []
    floods = [body.instructions.apply for key, body in state.flows.items() if key.match.value("reg3") is not None]
    assert max(len(encode_actions(apply)) for apply in floods) < 60_000
    ports = [port for port, _ in arp(FlowInterpreter(state), vifs[0], BROADCAST)]
    assert ports == sorted([*range(2, len(vifs) + 1), UPLINK_OFPORT])


def test_more_than_a_broadcast_reaches_is_refused() -> None:
    with pytest.raises(SegmentTooLarge, match="s: 2001 VIFs"):
        compile_bridge(bridge(POLICY, *some(MOST_IN_SEGMENT + 1)))


def test_two_vifs_of_one_mac_in_a_segment_are_a_contradiction() -> None:
    one = bridge(POLICY, *some(2))
    with pytest.raises(Contradiction, match="one match, two meanings"):
        compile_bridge(replace(one, vifs=(one.vifs[0], replace(one.vifs[1], mac=one.vifs[0].mac))))


def test_more_rules_than_priorities_are_refused() -> None:
    one = bridge(POLICY, Vif(1, "p", ()))
    crowded = replace(one.policies.nodes["p"], rules=one.policies.nodes["p"].rules * (MOST_RULES["rules"] + 1))
    policies = replace(one.policies, nodes={**one.policies.nodes, "p": crowded})
    with pytest.raises(TooManyRules, match="p: rules: 28,001 rules"):
        compile_bridge(replace(one, policies=policies))


def test_meters_hold_those_that_have_a_limit() -> None:
    state = compile_bridge(bridge(POLICY, Vif(1, "p", (), meter=MeterBody(5, 6)), Vif(2, "p", ())))
    assert state.meters == {1: MeterBody(5, 6)}
    used = {
        (key.match.value("reg0"), key.match.value("reg3")): body.instructions.meter_id
        for key, body in entries(state, "egress_meter")
    }
    assert used == {(1, None): 1, (1, RESENT): None, (2, None): None}  # what is judged anew has been through it


def test_a_rule_costs_the_same_for_one_vif_and_for_many() -> None:
    def policy_entries(count: int) -> int:
        vifs = [Vif(number, "p", ("10.0.0.1/24",)) for number in range(1, count + 1)]
        tables = Counter(BY_ID[key.table].name for key in compile_bridge(bridge(POLICY, *vifs)).flows)
        return tables["egress_policy"] + tables["ingress_policy"]

    assert policy_entries(1) == policy_entries(50)
    # each way: 2 families x 2 masks by header, by tuple in first fragments, 2 for later ones; replies, errors alike
    # what is invalid, replies and others that no rule matches; what a DHCP server says or replies in fragments
    always = 2 * 3 + 2 * 2
    assert policy_entries(1) == always + 2 * (2 + 2 + 1) + 2 * (2 + 1) + 2 * 2


def test_the_link_local_address_is_that_of_rfc_4291() -> None:
    assert link_local(0x020000000001) == 0xFE80_0000_0000_0000_0000_00FF_FE00_0001
    assert link_local(0x5254_0012_3456) == 0xFE80_0000_0000_0000_5054_00FF_FE12_3456


def test_flood_entries_copy_by_resubmit_and_only_output_sends() -> None:
    for key, body in compile_bridge(bridge(POLICY, *some(3))).flows.items():
        copied = [one for action in body.instructions.apply if isinstance(action, Clone) for one in action.actions]
        for action in (*body.instructions.apply, *copied):
            assert not isinstance(action, Output) or BY_ID[key.table].name == "output"
            assert not isinstance(action, Resubmit) or BY_ID[key.table].name in ("forward", "ingress_current")


def entries(state: SwitchState, table: str):  # type: ignore[no-untyped-def]
    return [(key, body) for key, body in state.flows.items() if BY_ID[key.table].name == table]
