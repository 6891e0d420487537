"""Bounds of packets: whose meters a packet goes through, in which order, and at what price for those without any."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from controller.compiler import packet_rates as module
from controller.compiler.compile import compile_bridge
from controller.compiler.meter_places import TooManyMeters
from controller.compiler.packet_rates import BOTH, PacketBound, packet_bounds
from controller.compiler.parts import Memo
from controller.dataplane.diff import diff
from controller.dataplane.entries import MeterBody, PacketMeterBody
from controller.dataplane.meter_ids import OUR_METERS, PACKET_METERS, RULE_METERS, SERVICE_METERS, VIF_METERS
from controller.dataplane.pipeline import EGRESS_BOUNDS, EGRESS_METER, INGRESS_BOUNDS, OUTPUT, ROUTER, check
from controller.dataplane.protocols import ETH_ARP
from controller.dataplane.registers import FLOOD_CHUNK, RESENT
from policies.model import Direction
from policies.semantics import Packet
from tests.support.bridges import Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter
from tests.support.vif_packets import send

POLICY = """
weir: 1
segments: {s: {type: internal}}
policies:
  acme:
    unmatched: allow
    egress: {packets: 3 kpps}
    ingress: {packets: 4 kpps}
    children:
      web: {egress: {packets: 1 kpps}, ingress: {packets: 20 pps}}
      db: {}
  free: {unmatched: allow}
"""
WEB = Vif(1, "acme/web", ("10.0.0.1/24", "fd00::1/64"), meter=MeterBody(1000, 100))
BUSY = Vif(2, "acme/web", ("10.0.0.2/24",), cpu_pps=500)
DB = Vif(3, "acme/db", ("10.0.0.3/24",))
FREE = Vif(4, "free", ("10.0.0.4/24", "fd00::4/64"))
ALL = (WEB, BUSY, DB, FREE)
ACME = 1  # number of the node: the first by name
BROADCAST = (1 << 48) - 1
EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS


def met(switch: FlowInterpreter, source: Vif, target: Vif, version: int = 4) -> list[int]:
    """The meters that a packet goes through, in order."""
    switch.metered.clear()
    ends = ("10.0.0.{}" if version == 4 else "fd00::{}").format
    packet = Packet(ip_address(ends(source.number)), ip_address(ends(target.number)), 17, 1000, 2000)
    assert [one.port for one in send(switch, packet, source, target)] == [target.number]
    return list(switch.metered)


def test_own_bounds_come_first_and_those_of_nodes_are_shared() -> None:
    bounds = packet_bounds(bridge(POLICY, *ALL))
    uses = {
        vif: {direction: [bounds.uses[meter] for meter in meters] for direction, meters in of_vif.items()}
        for vif, of_vif in bounds.passing.items()
    }
    down, up = PacketBound(0, ACME, "ingress"), PacketBound(0, ACME, "egress")
    assert uses == {
        1: {EGRESS: [PacketBound(1, 0, "egress"), up], INGRESS: [PacketBound(1, 0, "ingress"), down]},
        2: {
            EGRESS: [PacketBound(2, 0, "egress"), PacketBound(2, 0, BOTH), up],
            INGRESS: [PacketBound(2, 0, "ingress"), PacketBound(2, 0, BOTH), down],
        },
        3: {EGRESS: [up], INGRESS: [down]},
    }
    assert {bounds.uses[number]: body for number, body in bounds.meters.items()} == {
        up: PacketMeterBody(3000, 600),
        down: PacketMeterBody(4000, 800),
        PacketBound(1, 0, "egress"): PacketMeterBody(1000, 200),
        PacketBound(2, 0, "egress"): PacketMeterBody(1000, 200),
        PacketBound(1, 0, "ingress"): PacketMeterBody(20, 10),
        PacketBound(2, 0, "ingress"): PacketMeterBody(20, 10),
        PacketBound(2, 0, BOTH): PacketMeterBody(500, 100),
    }


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize("target", ALL)
def test_a_packet_goes_through_each_of_its_meters_once(source: Vif, target: Vif) -> None:
    if source is target:
        return
    one = bridge(POLICY, *ALL)
    bounds, state = packet_bounds(one), compile_bridge(one)
    assert check(state) == []
    rate = [1] if source is WEB else []
    expected = [*rate, *bounds.of(source.number, EGRESS), *bounds.of(target.number, INGRESS)]
    assert met(FlowInterpreter(state), source, target) == expected
    if {source, target} <= {WEB, FREE}:
        assert met(FlowInterpreter(state), source, target, 6) == expected


def test_what_is_judged_again_is_not_counted_again() -> None:
    state = compile_bridge(bridge(POLICY, *ALL))
    again = {
        body.instructions.goto: body.instructions.meter_id
        for key, body in state.flows.items()
        if key.table == EGRESS_METER.id and key.match.value(FLOOD_CHUNK) == RESENT
    }
    assert again == {ROUTER.id: None}
    assert sum(key.table == EGRESS_METER.id and key.priority == 200 for key in state.flows) == 3


def test_a_broadcast_of_arp_is_counted_by_the_first_bound_of_each_receiver() -> None:
    one = bridge(POLICY, *ALL)
    bounds, switch = packet_bounds(one), FlowInterpreter(compile_bridge(one))
    asked = {"eth_type": ETH_ARP, "arp_op": 1, "arp_sha": FREE.mac, "arp_spa": 0, "vlan_vid": 0}
    sent = switch.send(FREE.number, eth_src=FREE.mac, eth_dst=BROADCAST, **asked)
    assert sorted(one.port for one in sent) == [1, 2, 3]
    assert sorted(switch.metered) == sorted(bounds.of(vif, INGRESS)[0] for vif in (1, 2, 3))
    switch.metered.clear()
    switch.send(FREE.number, eth_src=FREE.mac, eth_dst=BUSY.mac, **asked)
    assert tuple(switch.metered) == bounds.of(BUSY.number, INGRESS)


def test_a_vif_without_bounds_pays_nothing() -> None:
    """Its entries are the same beside bounded ones and alone, and none is in the tables of bounds."""
    with_others, alone = (compile_bridge(bridge(POLICY, *vifs)) for vifs in (ALL, (FREE,)))
    tables = {EGRESS_BOUNDS.id, INGRESS_BOUNDS.id, EGRESS_METER.id, OUTPUT.id}
    own = {key: body for key, body in alone.flows.items() if key.table in tables}
    assert {key.table for key in own} == {EGRESS_METER.id, OUTPUT.id} and not alone.meters
    assert all(with_others.flows[key].instructions == body.instructions for key, body in own.items())


def test_a_changed_rate_changes_its_meter_alone() -> None:
    text = POLICY.replace("3 kpps", "2 kpps")
    before, after = (bridge(policy, *vifs) for policy, vifs in ((POLICY, ALL), (text, ALL)))
    after = replace(after, vifs=tuple(replace(vif, cpu_pps=vif.cpu_pps and 600) for vif in after.vifs))
    memo = Memo()
    old, new = compile_bridge(before, memo), compile_bridge(after, memo)
    assert new == compile_bridge(after) and new.flows == old.flows
    changes = diff(new.meters, old.meters)
    assert not changes.add and not changes.delete
    assert sorted(body.rate_pps for body in changes.modify.values() if isinstance(body, PacketMeterBody)) == [600, 2000]


def test_bounds_that_come_and_go_leave_what_a_full_compile_leaves() -> None:
    memo = Memo()
    bare = POLICY.replace("packets: 4 kpps", "limit: 1 gbit").replace("packets: 20 pps", "limit: 1 mbit")
    for text in (POLICY, bare, POLICY, POLICY.replace("packets: 3 kpps", "limit: 1 gbit"), bare):
        one = bridge(text, *ALL)
        assert compile_bridge(one, memo) == compile_bridge(one)


def test_ids_are_of_their_own_and_run_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(PACKET_METERS) < set(OUR_METERS)
    assert not set(PACKET_METERS) & {*VIF_METERS, *RULE_METERS, *SERVICE_METERS}
    assert set(packet_bounds(bridge(POLICY, *ALL)).meters) <= set(PACKET_METERS)
    monkeypatch.setattr(module, "PACKET_METERS", PACKET_METERS[:6])
    with pytest.raises(TooManyMeters, match=r"7 times on one bridge, more than its 6 meters\. Bound fewer"):
        packet_bounds(bridge(POLICY, *ALL))
