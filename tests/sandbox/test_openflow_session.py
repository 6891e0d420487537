"""Session and target in the real `ryu-manager` against a real Open vSwitch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from controller.dataplane.actions import Conntrack
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.match import match
from controller.dataplane.stages import stages
from controller.dataplane.text import key_text
from controller.openflow import flow_codec
from controller.openflow.wire import Type, message
from tests.support.openflow_probe import ProbeFailed
from tests.support.ovs_sandbox import wait_until
from tests.support.probed_switch import SWITCH, ProbedSwitch, body, entries, probed_switch

IP = 0x0800


@pytest.fixture(scope="module")
def connected() -> Iterator[ProbedSwitch]:
    with probed_switch() as switch:
        yield switch


@pytest.fixture
def switch(connected: ProbedSwitch) -> ProbedSwitch:
    connected.clear()
    return connected


@pytest.mark.parametrize(
    ("key", "bad", "words"),
    [
        (FlowKey(0, 1, match(tcp_dst=80)), body(goto=10), "OFPBMC_BAD_PREREQ"),
        (FlowKey(0, 1, match()), body(meter_id=99), "OFPMMFC_INVALID_METER"),
        (FlowKey(5, 1, match()), body(goto=3), "OFPBIC_BAD_TABLE_ID"),
        (FlowKey(5, 1, match()), body(Conntrack("reg0", 30)), "OFPBAC_MATCH_INCONSISTENT"),
        (FlowKey(9, 1, match()), body(goto=10), "OFPFMFC_TABLE_FULL"),  # found as the bundle is committed
    ],
)
def test_one_bad_entry_among_a_thousand_leaves_nothing(
    switch: ProbedSwitch, key: FlowKey, bad: FlowBody, words: str
) -> None:
    table = ("--", "--id=@t", "create", "Flow_Table", "flow_limit=0", "overflow_policy=refuse")
    switch.ovs.vsctl(*table, "--", "set", "bridge", "br0", "flow_tables:9=@t")
    before = SwitchState(entries(3, table=2))
    switch.become(before)
    after = SwitchState({**entries(500), key: bad, **entries(500, table=3)})
    (failure,) = switch.change(before, after)
    assert words in failure and key_text(key) in failure
    assert switch.read() == before
    switch.ovs.vsctl("clear", "bridge", "br0", "flow_tables")


def test_a_bad_meter_is_named_and_stops_what_would_follow(switch: ProbedSwitch) -> None:
    failures = switch.change(SwitchState(), SwitchState(entries(3), {4: MeterBody(0, 5), 5: MeterBody(10, 5)}))
    assert len(failures) == 1 and "4" in failures[0] and "OFPMMFC_BAD_RATE" in failures[0]
    assert switch.read() == SwitchState({}, {5: MeterBody(10, 5)})


def test_meters_change_in_place(switch: ProbedSwitch) -> None:
    key = FlowKey(0, 1, match())
    before = SwitchState({key: body(meter_id=1, goto=10)}, {1: MeterBody(1000, 50), 2: MeterBody(2000, 50)})
    switch.become(before)
    assert switch.probe.modify_meters(SWITCH, {1: MeterBody(500, 25)}) == ()
    after = SwitchState(before.flows, {**before.meters, 1: MeterBody(500, 25)})
    assert switch.read() == after
    (failure,) = map(str, switch.probe.modify_meters(SWITCH, {2: MeterBody(10, 1), 3: MeterBody(10, 1)}))
    assert "3" in failure and "OFPMMFC_UNKNOWN_METER" in failure
    assert switch.read().meters[2] == MeterBody(10, 1)


def test_a_meter_goes_after_the_entries_that_used_it(switch: ProbedSwitch) -> None:
    key = FlowKey(0, 1, match())
    switch.become(SwitchState({key: body(meter_id=1, goto=10)}, {1: MeterBody(1000, 50)}))
    moved = SwitchState({key: body(meter_id=2, goto=10)}, {2: MeterBody(1000, 50)})
    switch.become(moved)
    assert switch.read() == moved


def test_two_at_once(switch: ProbedSwitch) -> None:
    """As the loop changes meters while the reconciler sends a bundle."""
    refused = partial(flow_codec.add_flow, key=FlowKey(1, 1, match(tcp_dst=1)), body=body(goto=10))
    wanted = stages(SwitchState(entries(5000)), SwitchState())
    failures, errors = switch.probe.together(SWITCH, wanted, [refused] * 50)
    assert failures == () and sorted(errors) == list(range(50))
    assert len(switch.flows()) == 5000


def test_a_question_that_is_no_message_is_refused_and_the_connection_lives(switch: ProbedSwitch) -> None:
    nonsense = partial(message, Type.MULTIPART_REQUEST, body=b"\xff" * 8)
    with pytest.raises(ProbeFailed, match=r"RequestRefused: switch 00000000000000aa: bad request: bad len"):
        switch.probe.ask(SWITCH, nonsense)
    assert switch.probe.seen() == [("up", SWITCH)]


def test_packets_with_fields_that_ryu_does_not_know_do_no_harm(switch: ProbedSwitch) -> None:
    """Open vSwitch sends a packet's whole metadata with each packet-in."""
    marked = "set_field:5->reg9,set_field:7->pkt_mark,set_field:1.2.3.4->tun_src,set_field:5->xreg7,controller"
    switch.ovs.ofctl("add-flow", "br0", f"actions={marked}")
    packet = "ff" * 12 + "88b5" + "00" * 46
    switch.ovs.ofctl("packet-out", "br0", f"in_port=controller,packet={packet},actions=table")
    wait_until(lambda: "n_packets=1" in switch.flows()[0], "the packet went to the controller")
    switch.become(SwitchState(entries(1, table=3)))
    assert switch.probe.seen() == [("up", SWITCH)]


def test_a_lost_connection_is_missed_and_a_new_one_found(switch: ProbedSwitch) -> None:
    """Last: it ends the session of the others."""
    switch.become(SwitchState(entries(3)))
    switch.ovs.vsctl("set", "bridge", "br0", "other_config:datapath-id=00000000000000ab")
    wait_until(lambda: switch.probe.connected() == ["00000000000000ab"], "the switch is back under its new name")
    assert switch.probe.seen() == [("up", SWITCH), ("down", SWITCH), ("up", "00000000000000ab")]
    assert switch.probe.read("00000000000000ab").flows == entries(3)
