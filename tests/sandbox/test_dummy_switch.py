"""The fast switch of the laws, on states written by hand: what it holds, sends, traces and counts."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from controller.dataplane.actions import (
    Conjunction,
    Conntrack,
    Instructions,
    Output,
    PopVlan,
    PushVlan,
    SetField,
)
from controller.dataplane.entries import FlowKey, Meter, MeterBody, SwitchState
from controller.dataplane.match import FieldValue, match
from controller.dataplane.protocols import (
    CT_REPLY,
    CT_TRACKED,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    UDP,
)
from controller.dataplane.trace_packet import Fields
from tests.support.dummy_switch import DummySwitch
from tests.support.unixctl import CommandRefused
from tests.support.written_state import BACK, FIELDS, KNOWN, NEW, ONE_PACKET, THERE, State, packet4, packet6

EF = 46
METER = 0x10005


@pytest.fixture(scope="module")
def running() -> Iterator[DummySwitch]:
    with DummySwitch(ports=(1, 2, 3, 100)) as switch:
        yield switch


@pytest.fixture
def switch(running: DummySwitch) -> DummySwitch:
    running.hold(SwitchState())
    running.forget_connections()
    return running


def stateful() -> State:
    """Port 1 may open connections to port 2; zone 7."""
    return (
        State()
        .on(0, SetField("reg0", 7), Conntrack("reg0", 10), eth_type=ETH_IPV4)
        .on(10, Conntrack("reg0", commit=True), Output(2), in_port=1, eth_type=ETH_IPV4, ct_state=NEW)
        .on(10, Output(2), in_port=1, eth_type=ETH_IPV4, ct_state=KNOWN)
        .on(10, Output(1), in_port=2, eth_type=ETH_IPV4, ct_state=(CT_REPLY, CT_REPLY), ct_nw_src=0x0A000001)
    )


def test_what_no_entry_matches_is_dropped(switch: DummySwitch) -> None:
    switch.hold(State().on(0, Output(2), in_port=3).state())
    assert switch.send(1, THERE) == []
    assert switch.send(3, THERE) == [(2, THERE)]
    trace = switch.trace(1, FIELDS)
    assert [(step.table, step.priority) for step in trace.steps] == [(0, None)] and trace.ports == ()


def test_a_new_state_replaces_all_of_the_old_one_at_once(switch: DummySwitch) -> None:
    for turn in range(50):
        port = (2, 3, 100)[turn % 3]
        switch.hold(State(m5=ONE_PACKET).on(0, Output(port), in_port=1).state())
        assert switch.send(1, THERE) == [(port, THERE)]
        assert switch.counters() == {1: (1, len(THERE))}
        assert list(switch.meters()) == [5]


def test_a_refused_entry_is_named(switch: DummySwitch) -> None:
    missing_meter = State().on(0, Output(2)).entry(FlowKey(3, 4, match(in_port=9)), Instructions(METER))
    with pytest.raises(AssertionError, match=r"table=3, priority=4,in_port=9 .*invalid meter"):
        switch.hold(missing_meter.state())
    switch.hold(State().on(0, Output(2)).state())
    with pytest.raises(CommandRefused):
        switch.trace(1, {"udp_dst": 53})
    assert switch.trace(1, FIELDS).ports == (2,)


def test_copies_of_a_frame_leave_every_port(switch: DummySwitch) -> None:
    tagged = (PushVlan(), SetField("vlan_vid", 0x1064), Output(100), PopVlan(), Output(3))
    switch.hold(State().on(0, Output(2), *tagged, Output(1)).state())
    with_tag = THERE[:12] + bytes.fromhex("81000064") + THERE[12:]
    assert switch.send(1, THERE) == [(2, THERE), (3, THERE), (100, with_tag)]
    assert [(out.port, out.vlan) for out in switch.trace(1, FIELDS).outputs] == [(2, None), (100, 100), (3, None)]


def test_connections_are_tracked_and_forgotten(switch: DummySwitch) -> None:
    switch.hold(stateful().state())
    assert switch.send(2, BACK) == []
    assert switch.send(1, THERE) == [(2, THERE)]
    assert switch.send(2, BACK) == [(1, BACK)]
    assert switch.send(1, THERE) == [(2, THERE)]
    switch.hold(stateful().state())
    assert switch.send(2, BACK) == [(1, BACK)], "a new state keeps the connections"
    switch.forget_connections()
    assert switch.send(2, BACK) == []


def test_a_trace_is_told_the_state_of_a_connection(switch: DummySwitch) -> None:
    switch.hold(stateful().state())
    assert switch.trace(1, FIELDS).cookies(10) == (2,)
    assert switch.trace(1, FIELDS, ["trk,est"]).cookies(10) == (3,)
    assert switch.trace(2, FIELDS, ["trk,est,rpl"]).cookies(10) == (), "without an original tuple"
    reply = {**FIELDS, "ct_state": CT_TRACKED | CT_REPLY, "ct_nw_src": 0x0A000001, "reg0": 7}
    assert switch.trace_from(10, 2, reply).cookies(10) == (4,)
    assert switch.trace_from(10, 2, {**reply, "ct_nw_src": 9}).ports == ()


def test_every_lookup_of_a_traced_packet_finds_a_new_connection(switch: DummySwitch) -> None:
    """As where two sides judge, and where a packet is judged anew: four lookups, one after the other."""
    tables = (10, 20, 30, 40)
    state = State().on(0, Conntrack("reg0", 10), eth_type=ETH_IPV4)
    for table in tables[:-1]:
        state.on(table, Conntrack("reg0", table + 10), eth_type=ETH_IPV4, ct_state=NEW)
    switch.hold(state.on(40, Output(2), eth_type=ETH_IPV4, ct_state=NEW).state())
    trace = switch.trace(1, FIELDS)
    assert trace.ports == (2,) and [step.table for step in trace.steps] == [0, *tables]


V4, V6 = {"eth_type": ETH_IPV4, "ipv4_src": 1, "ipv4_dst": 2}, {"eth_type": ETH_IPV6, "ipv6_src": 1, "ipv6_dst": 2}
PACKETS: list[Fields] = [
    {"eth_src": 1, "eth_dst": 0xFFFFFFFFFFFF, "eth_type": 0x88B5},
    {"vlan_vid": 0x1064, **V4, "ip_proto": 47, "ip_dscp": EF},
    {"vlan_vid": 0, **V4, "ip_proto": 6, "tcp_src": 1, "tcp_dst": 2},
    {**V6, "ip_proto": 6, "tcp_src": 1, "tcp_dst": 2},
    {**V6, "ip_proto": 17, "udp_src": 1, "udp_dst": 2, "ip_dscp": EF},
    {**V4, "ip_proto": 132, "sctp_src": 1, "sctp_dst": 2},
    {**V6, "ip_proto": 132, "sctp_src": 1, "sctp_dst": 2},
    {**V4, "ip_proto": 1, "icmpv4_type": 8, "icmpv4_code": 0},
    {**V6, "ip_proto": 58, "icmpv6_type": 128, "icmpv6_code": 0},
    {**V6, "ip_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0, "ipv6_nd_target": 3, "ipv6_nd_sll": 4},
    {**V6, "ip_proto": 58, "icmpv6_type": 136, "ipv6_nd_target": 3, "ipv6_nd_tll": 4},
    {"eth_type": ETH_ARP, "arp_op": 1, "arp_spa": 1, "arp_tpa": 2, "arp_sha": 3, "arp_tha": 4},
    {**V4, "ip_proto": 17, "ip_frag": 1},
    {**V6, "ip_proto": 44, "ip_frag": 3},
]


@pytest.mark.parametrize("fields", PACKETS)
def test_any_packet_can_be_traced(switch: DummySwitch, fields: Fields) -> None:
    """The entry matches all that the question says, so nothing of it was lost on the way."""
    as_matched: dict[str, FieldValue] = {name: value for name, value in fields.items() if name != "ip_frag"}
    if "ip_frag" in fields:
        as_matched["ip_frag"] = (fields["ip_frag"], 3)
    key = FlowKey(0, 1, match(in_port=1, **as_matched))
    switch.hold(State().entry(key, Instructions(None, (Output(2),))).state())
    assert switch.trace(1, fields).ports == (2,)


def test_many_traces_come_in_order(switch: DummySwitch) -> None:
    state = State()
    for number in range(200):
        state.on(0, Output((2, 3)[number % 2]), eth_type=ETH_IPV4, ip_proto=UDP, udp_dst=number)
    switch.hold(state.state())
    traces = switch.trace_all((1, {**FIELDS, "udp_dst": number}) for number in range(200))
    assert [trace.cookies(0) for trace in traces] == [(number + 1,) for number in range(200)]
    assert [trace.ports for trace in traces] == [(2,), (3,)] * 100


def test_a_conjunctive_match(switch: DummySwitch) -> None:
    sources, ports = (1, 2, 3), (53, 80)
    state = State()
    for source in sources:
        state.on(0, Conjunction(7, 1, 2), eth_type=ETH_IPV4, ip_proto=UDP, ipv4_src=0x0A000000 + source)
    for port in ports:
        state.on(0, Conjunction(7, 2, 2), eth_type=ETH_IPV4, ip_proto=UDP, udp_dst=port)
    state.on(0, SetField("reg6", 9), goto=10, conj_id=7, eth_type=ETH_IPV4, ip_proto=UDP)
    switch.hold(state.on(10, Output(2), reg6=9).state())
    for source in range(5):
        for port in (53, 54, 80):
            trace = switch.trace(1, {**FIELDS, "ipv4_src": 0x0A000000 + source, "udp_dst": port})
            frame = packet4(str(IPv4Address(0x0A000000 + source)), "10.0.0.2", (1, port))
            fits = source in sources and port in ports
            assert trace.cookies(0) == ((6,) if fits else ())
            assert trace.ports == ((2,) if fits else ())
            assert switch.send(1, frame) == ([(2, frame)] if fits else [])
    assert switch.counters()[6][0] == len(sources) * len(ports)


def test_the_code_point_is_written(switch: DummySwitch) -> None:
    mark = (SetField("ip_dscp", EF), Output(2))
    switch.hold(State().on(0, *mark, eth_type=ETH_IPV4).on(0, *mark, eth_type=ETH_IPV6).state())
    [(_, left4)] = switch.send(1, THERE)
    [(_, left6)] = switch.send(1, packet6("fd00::1", "fd00::2", (1, 2)))
    assert left4[15] >> 2 == EF
    assert struct.unpack_from("!H", left6, 14)[0] >> 6 & 0x3F == EF
    six = {"eth_type": ETH_IPV6, "ip_proto": UDP, "ipv6_src": 1, "ipv6_dst": 2, "udp_dst": 53}
    for fields in (FIELDS, six):
        assert [out.dscp for out in switch.trace(1, fields).outputs] == [EF]
        assert [out.dscp for out in switch.trace(1, {**fields, "ip_dscp": 8}).outputs] == [EF]


def test_what_is_not_marked_keeps_its_code_point(switch: DummySwitch) -> None:
    switch.hold(State().on(0, Output(2), SetField("ip_dscp", EF), Output(3), eth_type=ETH_IPV4).state())
    outputs = switch.trace(1, {**FIELDS, "ip_dscp": 10}).outputs
    assert [(out.port, out.dscp) for out in outputs] == [(2, 10), (3, EF)]


@pytest.mark.parametrize("body", [ONE_PACKET, MeterBody(1, 1)])
def test_a_meter_drops_what_exceeds_it(switch: DummySwitch, body: Meter) -> None:
    state = State()
    state.meters[METER] = body
    switch.hold(state.entry(FlowKey(0, 1, match()), Instructions(METER, (Output(2),))).state())
    assert switch.trace(1, FIELDS).meters == (METER,)
    passed = sum(len(switch.send(1, THERE)) for _ in range(50))
    counters = switch.meters()[METER]
    assert 1 <= passed < 10
    assert (counters.packets_in, counters.packets_dropped) == (50, 50 - passed)
    assert switch.counters() == {1: (50, 50 * len(THERE))}, "an entry counts before its meter drops"


def test_nothing_is_lost_of_many(switch: DummySwitch) -> None:
    switch.hold(State().on(0, Output(2), Output(3), Output(100), in_port=1).state())
    for number in range(2000):
        frame = THERE[:-2] + struct.pack("!H", number)
        assert switch.send(1, frame) == [(2, frame), (3, frame), (100, frame)]
    assert switch.counters()[1][0] == 2000
