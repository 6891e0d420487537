"""A bridge whose uplink has several ports: a switch between them, which learns who is behind which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.compiler.bridge import Bridge
from controller.compiler.classify import MOST_OUTSIDE
from controller.compiler.compile import compile_bridge
from controller.dataplane.actions import Learn
from controller.dataplane.macs import PROBES
from controller.dataplane.pipeline import BY_NAME, check
from controller.dataplane.protocols import VLAN_PRESENT
from tests.support.bridges import UPLINK_OFPORT, Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter

POLICY = """
weir: 1
segments:
  here: {type: bridged, uplink: core, vlan: 120}
  elsewhere: {type: bridged, uplink: core, vlan: 130}
  inside: {type: internal}
policies:
  open: {unmatched: allow}
"""
FIRST, SECOND, THIRD = PORTS = (UPLINK_OFPORT, 101, 102)
A, B = (Vif(number, "open", (f"10.0.0.{number}/24",), "here") for number in (1, 2))
X, Y = 0x0200AA000001, 0x0200AA000002  # somebody outside
BROADCAST, ARP = (1 << 48) - 1, 0x0806


def of_ports(*ports: int) -> Bridge:
    made = bridge(POLICY, A, B, Vif(3, "open", ("10.9.0.3/24",), "inside"))
    segments = {
        name: replace(segment, uplink_ofports=ports if segment.uplink_ofports else ())
        for name, segment in made.segments.items()
    }
    return replace(made, segments=segments)


@pytest.fixture
def switch() -> FlowInterpreter:
    state = compile_bridge(of_ports(*PORTS))
    assert check(state) == []
    return FlowInterpreter(state)


def out(switch: FlowInterpreter, port: int, source: int, target: int, vlan: int | None = 120) -> list[tuple[int, int]]:
    """Where an ARP answer leaves, and the VLAN that it then has, 0: none."""
    tag = 0 if vlan is None else VLAN_PRESENT | vlan
    fields = {"eth_src": source, "eth_dst": target, "vlan_vid": tag, "eth_type": ARP, "arp_op": 2}
    own = {"arp_sha": source, "arp_spa": 0x0A000000 + source % 256}
    sent = switch.send(port, **fields, **own)
    return sorted((one.port, one.packet["vlan_vid"] & 0xFFF) for one in sent)


def tagged(*ports: int, vlan: int = 120) -> list[tuple[int, int]]:
    return [(port, vlan) for port in ports]


def test_a_broadcast_from_one_port_reaches_the_vifs_and_the_other_ports(switch: FlowInterpreter) -> None:
    assert out(switch, SECOND, X, BROADCAST) == [(1, 0), (2, 0), *tagged(FIRST, THIRD)]
    assert out(switch, A.number, A.mac, BROADCAST, None) == [(2, 0), *tagged(*PORTS)]


def test_what_nobody_was_heard_of_goes_to_all_other_ports_and_to_no_vif(switch: FlowInterpreter) -> None:
    assert out(switch, FIRST, X, Y) == tagged(SECOND, THIRD)
    assert out(switch, A.number, A.mac, Y, None) == tagged(*PORTS)


def test_who_was_heard_is_found_behind_that_port_and_nowhere_else(switch: FlowInterpreter) -> None:
    out(switch, SECOND, X, BROADCAST)
    assert out(switch, FIRST, Y, X) == tagged(SECOND)
    assert out(switch, B.number, B.mac, X, None) == tagged(SECOND)
    assert out(switch, SECOND, Y, X) == []  # it never leaves where it came in
    out(switch, THIRD, X, A.mac)  # it has moved
    assert out(switch, FIRST, Y, X) == tagged(THIRD)


def test_segments_learn_apart_also_where_no_vif_is(switch: FlowInterpreter) -> None:
    assert out(switch, SECOND, X, BROADCAST, 130) == tagged(FIRST, THIRD, vlan=130)
    assert out(switch, FIRST, Y, X, 130) == tagged(SECOND, vlan=130)
    assert out(switch, FIRST, Y, X, 120) == tagged(SECOND, THIRD)
    assert out(switch, FIRST, Y, X, 140) == []


def test_nobody_outside_takes_the_place_of_a_vif(switch: FlowInterpreter) -> None:
    out(switch, SECOND, A.mac, BROADCAST)
    assert out(switch, FIRST, X, A.mac) == [(A.number, 0)]
    assert out(switch, B.number, B.mac, A.mac, None) == [(A.number, 0)]


def test_a_group_is_no_sender(switch: FlowInterpreter) -> None:
    group = 0x01005E000001
    out(switch, SECOND, group, BROADCAST)
    assert out(switch, FIRST, X, group) == [(1, 0), (2, 0), *tagged(SECOND, THIRD)]


def test_hosts_that_probe_take_no_place_of_others_that_were_heard(switch: FlowInterpreter) -> None:
    asker = PROBES[0] | 0x1234
    out(switch, SECOND, asker, BROADCAST)
    assert out(switch, FIRST, X, asker) == tagged(SECOND, THIRD)


def test_one_port_costs_nothing_more() -> None:
    state = compile_bridge(of_ports(FIRST))
    more = {BY_NAME[name].id for name in ("learning", "outside")}
    assert not [key for key in state.flows if key.table in more]
    assert not [body for body in state.flows.values() if any(isinstance(one, Learn) for one in body.instructions.apply)]
    assert out(FlowInterpreter(state), FIRST, X, Y) == []


def test_what_is_learned_is_bounded() -> None:
    flows = compile_bridge(of_ports(*PORTS)).flows.values()
    learns = [one for body in flows for one in body.instructions.apply if isinstance(one, Learn)]
    assert len(learns) == 2 * len(PORTS)
    assert {one.most for one in learns} == {MOST_OUTSIDE} and all(one.idle_s for one in learns)
    assert len({one.cookie for one in learns}) == 2  # by segment
