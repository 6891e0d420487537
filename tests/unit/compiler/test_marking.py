"""Which code point a packet leaves with, and that nobody marks for himself."""

from __future__ import annotations

import pytest

from controller.compiler.compile import compile_bridge
from controller.dataplane.pipeline import MARKING
from controller.dataplane.protocols import ETH_ARP
from tests.support.bridges import UPLINK_OFPORT, Vif, bridge
from tests.support.flow_interpreter import FlowInterpreter
from tests.support.parties_and_packets import icmp, tcp, udp
from tests.support.vif_packets import back, frame_fields, send

POLICY = """
weir: 1
segments: {s: {type: bridged, uplink: wan}}
classes: {fast: {dscp: ef, share: 30 %}, normal: {dscp: cs1, share: 60 %}}
policies:
  classy:
    unmatched: allow
    rules:
      - allow: {name: fast, service: tcp/80, class: fast}
      - allow: {name: own, service: tcp/81, class: fast, dscp: 12}
      - allow: {name: bare, service: tcp/82}
      - deny: {name: shut, service: tcp/83}
  plain:
    unmatched: allow
    rules:
      - allow: {name: marked, service: tcp/84-85, dscp: 20}
  tried:
    unmatched: allow
    rules:
      - allow: {name: asked, class: fast, stage: audit}
"""
CLASSY, OTHER = Vif(1, "classy", ("10.0.0.1/24",)), Vif(2, "classy", ("10.0.0.2/24",))
PLAIN, TRIED = Vif(3, "plain", ("10.0.0.3/24",)), Vif(4, "tried", ("10.0.0.4/24",))
STATE = compile_bridge(bridge(POLICY, CLASSY, OTHER, PLAIN, TRIED))
FAST, NORMAL, FALSE = 46, 8, 33


def address(vif: Vif | None) -> str:
    return "192.0.2.1" if vif is None else vif.addresses[0].partition("/")[0]


def arrives(source: Vif | None, target: Vif | None, port: int, dscp: int = FALSE) -> int | None:
    """The code point with which it leaves; None: it does not."""
    packet = tcp(address(source), address(target), port)
    found = send(FlowInterpreter(STATE), packet, source, target, dscp)
    return found[0].packet["ip_dscp"] if found else None


@pytest.mark.parametrize(
    ("source", "target", "port", "dscp"),
    [
        (CLASSY, OTHER, 80, FAST),
        (CLASSY, OTHER, 81, 12),
        (CLASSY, OTHER, 82, NORMAL),
        (CLASSY, OTHER, 83, None),
        (CLASSY, OTHER, 99, NORMAL),  # nobody's rule
        (CLASSY, None, 80, FAST),
        (CLASSY, None, 81, 12),
        (CLASSY, None, 99, NORMAL),
        (None, CLASSY, 80, FAST),
        (None, CLASSY, 99, NORMAL),
        (CLASSY, PLAIN, 80, FAST),  # the receiver says nothing
        (CLASSY, PLAIN, 84, 20),
        (PLAIN, CLASSY, 84, NORMAL),  # the receiver has the last word
        (PLAIN, CLASSY, 80, FAST),
        (PLAIN, None, 84, 20),
        (PLAIN, None, 99, FALSE),  # nobody says anything
        (PLAIN, TRIED, 99, FALSE),
        (None, PLAIN, 99, FALSE),
        (TRIED, None, 80, FALSE),  # a rule under audit marks nothing
    ],
)
def test_the_mark_of_the_last_side_that_has_one(
    source: Vif | None, target: Vif | None, port: int, dscp: int | None
) -> None:
    assert arrives(source, target, port) == dscp


@pytest.mark.parametrize("false", [FAST, NORMAL, 0, 63])
def test_what_an_instance_writes_itself_is_written_over_where_there_are_classes(false: int) -> None:
    assert arrives(CLASSY, None, 99, false) == NORMAL and arrives(CLASSY, None, 80, false) == FAST
    assert arrives(PLAIN, None, 99, false) == false


def test_replies_have_the_class_of_the_rule() -> None:
    switch, packet = FlowInterpreter(STATE), tcp(address(CLASSY), address(OTHER), 80)
    assert send(switch, packet, CLASSY, OTHER)
    (reply,) = send(switch, back(packet), OTHER, CLASSY, FALSE)
    assert reply.packet["ip_dscp"] == FAST


@pytest.mark.parametrize(("source", "target", "dscp"), [(CLASSY, OTHER, NORMAL), (PLAIN, PLAIN, FALSE)])
def test_errors_of_a_connection_are_normal(source: Vif, target: Vif, dscp: int) -> None:
    """Those of the direction in which it began meet no rule."""
    outside = tcp(address(source), "192.0.2.1", 80)
    switch = FlowInterpreter(STATE)
    assert send(switch, outside, source, None)
    answer = frame_fields(back(outside), None, source)
    error = icmp(address(source), "192.0.2.1", 3, 3)
    (one,) = switch.send_error(source.number, answer, **frame_fields(error, source, None, FALSE))
    assert one.port == UPLINK_OFPORT and one.packet["ip_dscp"] == dscp


def test_errors_against_the_direction_have_the_class_of_the_rule() -> None:
    opened = tcp("192.0.2.1", address(CLASSY), 80)
    switch = FlowInterpreter(STATE)
    assert send(switch, opened, None, CLASSY)
    error = icmp(address(CLASSY), "192.0.2.1", 3, 3)
    (one,) = switch.send_error(CLASSY.number, frame_fields(opened, None, CLASSY), **frame_fields(error, CLASSY, None))
    assert one.packet["ip_dscp"] == FAST


def test_what_skips_the_policy_is_normal_and_what_is_not_ip_is_left_alone() -> None:
    dhcp = udp("10.0.0.1", "255.255.255.255", 67, 68)
    switch = FlowInterpreter(STATE)
    fields = {**frame_fields(dhcp, CLASSY, None, FALSE), "eth_dst": (1 << 48) - 1}
    marks = {one.port: one.packet["ip_dscp"] for one in switch.send(CLASSY.number, **fields)}
    assert marks == {OTHER.number: NORMAL, PLAIN.number: NORMAL, TRIED.number: NORMAL, UPLINK_OFPORT: NORMAL}
    arp = {"eth_type": ETH_ARP, "arp_op": 1, "arp_sha": CLASSY.mac, "arp_spa": 0, "vlan_vid": 0}
    (one,) = switch.send(CLASSY.number, eth_src=CLASSY.mac, eth_dst=OTHER.mac, **arp)
    assert "ip_dscp" not in one.packet


def test_only_marks_that_are_used_are_written() -> None:
    marks = {key.match.value("reg4") for key in STATE.flows if key.table == MARKING.id and key.priority}
    assert marks == {mark + 1 for mark in (FAST, NORMAL, 12, 20)}
    assert not [key for key in compile_bridge(bridge(POLICY, TRIED)).flows if key.table == MARKING.id and key.priority]
