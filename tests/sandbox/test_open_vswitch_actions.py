"""What Open vSwitch makes of the actions that the pipeline leans on: clones, copies to the controller, fragments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from controller.dataplane.actions import (
    Action,
    Clone,
    Conntrack,
    Controller,
    Instructions,
    Output,
    Resubmit,
    SetField,
)
from controller.dataplane.entries import FlowKey, MeterBody, SwitchState
from controller.dataplane.match import match
from controller.dataplane.protocols import (
    CT_INVALID,
    ETH_IPV4,
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    UDP,
)
from tests.support.dummy_switch import DummySwitch
from tests.support.written_state import FIELDS, NEW, ONE_PACKET, THERE, State, fragments

METER, COPY_METER = 0x10005, 7
EF = 46


@pytest.fixture(scope="module")
def running() -> Iterator[DummySwitch]:
    with DummySwitch(ports=(1, 2, 3, 100)) as switch:
        yield switch


@pytest.fixture
def switch(running: DummySwitch) -> DummySwitch:
    running.hold(SwitchState())
    running.forget_connections()
    return running


def test_a_clone_leaves_the_packet_and_its_registers_as_they_were(switch: DummySwitch) -> None:
    copy = Clone((SetField("reg6", 9), SetField("ip_dscp", EF), Resubmit(10)))
    state = State().on(0, SetField("reg6", 5), copy, goto=20, eth_type=ETH_IPV4)
    state.on(10, SetField("reg7", 1), Output(3), reg6=9)
    switch.hold(state.on(20, Output(2), reg6=5, reg7=0).state())
    [at_2, at_3] = switch.send(1, THERE)
    assert at_2 == (2, THERE) and (at_3[0], at_3[1][15] >> 2) == (3, EF)
    assert [(out.port, out.dscp) for out in switch.trace(1, FIELDS).outputs] == [(3, EF), (2, 0)]


def metered_copy(*copy: Action) -> SwitchState:
    """A packet of a tracked connection, of which a copy goes to table 20 and through its meter; table 30 outputs it."""
    state = State(m65541=ONE_PACKET).on(0, SetField("reg0", 7), Conntrack("reg0", 10), eth_type=ETH_IPV4)
    state.on(10, SetField("reg6", 5), Clone((SetField("reg6", 9), *copy)), goto=30, eth_type=ETH_IPV4)
    state.entry(FlowKey(20, 1, match(reg6=9)), Instructions(METER))
    return state.on(30, Output(2), reg6=5, eth_type=ETH_IPV4, ct_state=NEW).state()


def test_a_clone_that_only_resubmits_is_no_copy_for_a_meter(switch: DummySwitch) -> None:
    """Which is why nothing of ours does it: Open vSwitch undoes the changes instead, and cannot undo a drop."""
    switch.hold(metered_copy(Resubmit(20)))
    assert sum(len(switch.send(1, THERE)) for _ in range(50)) < 10


def test_a_clone_with_a_lookup_is_a_copy_that_a_meter_may_drop(switch: DummySwitch) -> None:
    switch.hold(metered_copy(Conntrack("reg0", 20)))
    assert [switch.send(1, THERE) for _ in range(50)] == [[(2, THERE)]] * 50
    counters = switch.meters()[METER]
    assert counters.packets_in == 50 and counters.packets_dropped > 40
    assert switch.counters()[3] == (50, 50 * len(THERE)), "the entry behind the lookup counts each copy"
    assert switch.trace(1, FIELDS).meters == (METER,)


def test_fragments_of_which_a_copy_is_metered_leave_whole(switch: DummySwitch) -> None:
    """The later ones too, though the lookup of the copy holds back and lets go of them once more."""
    switch.hold(metered_copy(Conntrack("reg0", 20)))
    parts = fragments()
    for _ in range(5):
        assert [switch.send(1, part) for part in parts] == [[], [], [(2, part) for part in parts]]
    counters = switch.meters()[METER]
    assert counters.packets_in == 15 and counters.packets_dropped > 5


def test_copies_to_the_controller_are_bounded_and_the_packets_are_not(switch: DummySwitch) -> None:
    state = State(m7=ONE_PACKET).on(0, SetField("reg6", 5), Controller(128, COPY_METER), Output(2), eth_type=ETH_IPV4)
    switch.hold(state.state())
    trace = switch.trace(1, FIELDS)
    assert (trace.to_controller, trace.ports, trace.meters) == (True, (2,), ())
    assert [switch.send(1, THERE) for _ in range(50)] == [[(2, THERE)]] * 50
    copies = switch.copies()
    assert 1 <= len(copies) < 10 and switch.copies() == []
    assert (copies[0].cookie, copies[0].table, copies[0].frame) == (1, 0, THERE)
    assert (copies[0].match.value("in_port"), copies[0].match.value("reg6")) == (1, 5)
    assert switch.meters()[COPY_METER].packets_in == 50


def test_a_copy_to_the_controller_comes_whole(switch: DummySwitch) -> None:
    """Open vSwitch keeps no packets back for a controller, so it has no use for a length to cut the copy to."""
    switch.hold(State(m7=MeterBody(1_000_000, 1000)).on(0, Controller(64, COPY_METER)).state())
    [long, *_] = fragments()
    assert switch.send(1, long) == []
    assert [copy.frame for copy in switch.copies()] == [long]


def looked_up() -> SwitchState:
    """Port 2 gets what conntrack says is bound for port 53, port 3 what it calls invalid, port 100 the rest."""
    state = State().on(0, Conntrack("reg0", 10), eth_type=ETH_IPV4)
    state.on(10, Output(2), eth_type=ETH_IPV4, ct_state=NEW, ct_nw_proto=UDP, ct_tp_dst=53)
    state.on(10, Output(3), eth_type=ETH_IPV4, ct_state=(CT_INVALID, CT_INVALID))
    return state.entry(FlowKey(10, 1, match()), Instructions(None, (Output(100),))).state()


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_a_lookup_holds_fragments_until_all_have_come(switch: DummySwitch, order: tuple[int, ...]) -> None:
    """Then the first shows its ports in the tuple of the connection, which is new; the later ones show none."""
    switch.hold(looked_up())
    first, *later = parts = fragments()
    *before, last = (switch.send(1, parts[index]) for index in order)
    assert before == [[], []]
    assert last[0] == (2, first) and sorted(last[1:]) == sorted((100, one) for one in later)


def test_small_fragments_are_invalid(switch: DummySwitch) -> None:
    """Those of less than 1,200 bytes that are not the last of their packet."""
    switch.hold(looked_up())
    first, second, _ = fragments(80)
    assert switch.send(1, first) == [(3, first)]
    assert switch.send(1, second) == [(3, second)]


def test_no_fragment_has_ports_to_match_before_a_lookup(switch: DummySwitch) -> None:
    state = State().on(0, Output(2), eth_type=ETH_IPV4, ip_proto=UDP, udp_dst=53)
    state.on(0, Output(3), eth_type=ETH_IPV4, ip_proto=UDP, ip_frag=FIRST_FRAGMENT, udp_dst=0)
    switch.hold(state.on(0, Output(100), eth_type=ETH_IPV4, ip_proto=UDP, ip_frag=LATER_FRAGMENT).state())
    first, second, _ = fragments()
    assert switch.send(1, first) == [(3, first)]
    assert switch.send(1, second) == [(100, second)]
    plain = {name: value for name, value in FIELDS.items() if name != "udp_dst"}
    assert [switch.trace(1, {**plain, "ip_frag": which}).ports for which in (1, 3)] == [(3,), (100,)]
