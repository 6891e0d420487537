"""Traces as Open vSwitch 3.1 printed them, kept in captured/."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.dataplane.trace_output import Departure, Trace, TraceError, TraceStep, parse_trace

CAPTURED = Path(__file__).parent / "captured"
EF, AF11, CS1 = 46, 10, 8
TAG = 0x5EE1 << 48

ENDLESS = """Flow: udp,in_port=100,vlan_tci=0x0000,nw_tos=0,nw_frag=no,tp_src=0,tp_dst=0

bridge("br9999")
----------------
 0. udp,in_port=100, priority 20
    resubmit(,80)
80. priority 32768
    resubmit(,80)
     >>>> over max translation depth 64 <<<<

Final flow: unchanged
Megaflow: recirc_id=0,eth,udp,in_port=100,nw_frag=no
Datapath actions: drop
Translation failed (Recursion too deep), packet is dropped.
"""


def captured(name: str) -> Trace:
    return parse_trace((CAPTURED / f"{name}.txt").read_text())


def test_steps_come_with_their_entries_and_actions() -> None:
    trace = captured("conjunction")
    assert trace.steps == (
        TraceStep(
            0,
            TAG + 1,
            10,
            "ip,in_port=1",
            ("set_field:0x7->reg0", "resubmit(,20)", "set_field:0x9->reg1", "resubmit(,40)"),
        ),
        TraceStep(20, TAG + 2, 5, "ip", ("ct(table=30,zone=NXM_NX_REG0[0..15])",)),
        TraceStep(40, 0, 1, "ip", ("output:3",)),
        TraceStep(
            30, TAG + 3, 100, "conj_id=7,ct_state=+new,ip", ("meter:70000", "set_field:0x3->reg6", "goto_table:31")
        ),
        TraceStep(
            31,
            TAG + 4,
            1,
            "ip,reg6=0x3",
            (
                "ct(commit,zone=NXM_NX_REG0[0..15])",
                "set_field:46->ip_dscp",
                "output:2",
                "push_vlan:0x8100",
                "set_field:4196->vlan_vid",
                "output:100",
                "output:1",
            ),
        ),
    )
    assert trace.cookies(30) == (TAG + 3,) and trace.cookies(31) == (TAG + 4,) and trace.cookies(99) == ()


def test_each_departure_has_the_code_point_and_tag_that_it_leaves_with() -> None:
    trace = captured("conjunction")
    assert trace.outputs == (Departure(3, 0), Departure(2, EF), Departure(100, EF, vlan=100))
    assert trace.ports == (3, 2, 100)


def test_what_a_lookup_sends_on_keeps_its_code_point() -> None:
    trace = captured("two_lookups")
    assert trace.outputs == (Departure(1, AF11), Departure(3, EF))
    assert [step.table for step in trace.steps] == [0, 50, 51]


def test_actions_belong_to_their_own_table_after_the_return_from_another() -> None:
    trace = captured("nested")
    by_table = {step.table: step for step in trace.steps}
    assert list(by_table) == [0, 60, 62, 63, 61]
    assert by_table[0].actions == ("set_field:0x2->reg6", "resubmit(,60)", "goto_table:61")
    assert by_table[60].actions[-2:] == ("controller(max_len=128,meter_id=5)", "resubmit(,63)")
    assert by_table[62] == TraceStep(62, 9, 5, "reg6=0x9", ("output:2",))
    assert by_table[63] == TraceStep(63, 0, None, None, ())
    assert trace.cookies(63) == ()


def test_a_tag_is_popped_for_one_departure_and_back_for_the_next() -> None:
    assert captured("nested").outputs == (Departure(2, CS1), Departure(1, CS1, vlan=100))


def test_a_copy_to_the_controller_is_no_departure_and_its_meter_none_of_the_packet() -> None:
    trace = captured("nested")
    assert trace.to_controller and trace.meters == ()
    assert not captured("conjunction").to_controller


@pytest.mark.parametrize("name", ["conjunction", "copy"])
def test_meters_are_known_by_their_openflow_id(name: str) -> None:
    assert captured(name).meters == (70000,)


def test_a_copy_that_looks_up_leaves_the_packet_to_go_on() -> None:
    trace = captured("copy")
    assert [step.table for step in trace.steps] == [0, 70, 71]
    assert trace.outputs == (Departure(1, 0),)


def test_a_miss_is_a_step() -> None:
    trace = captured("miss")
    assert trace.steps == (TraceStep(0, 0, None, None, ()),) and trace.outputs == ()


def test_a_trace_from_a_later_table_begins_there() -> None:
    trace = captured("from_a_table")
    assert [(step.table, step.cookie) for step in trace.steps] == [(31, TAG + 4)]
    assert trace.outputs == (Departure(2, EF), Departure(100, EF, vlan=100))


def test_a_trace_that_the_switch_gave_up_is_an_error() -> None:
    with pytest.raises(TraceError, match="over max translation depth"):
        parse_trace(ENDLESS)
    with pytest.raises(TraceError, match="Recursion too deep"):
        parse_trace(ENDLESS.replace("     >>>> over max translation depth 64 <<<<\n", ""))


@pytest.mark.parametrize("actions", ["tnl_push(tnl_port(4))", "2,clone(bond(1),3)", "set(ipv4(tos=0xb8/0xfc)),x2"])
def test_an_unknown_datapath_action_is_an_error(actions: str) -> None:
    text = (CAPTURED / "miss.txt").read_text().replace("actions: drop", f"actions: {actions}")
    with pytest.raises(TraceError, match="unknown datapath action"):
        parse_trace(text)


@pytest.mark.parametrize(
    ("action", "dscp"),
    [
        ("set(ipv4(tos=0xb8/0xfc))", EF),
        ("set(ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0xb8,ttl=64,frag=no))", EF),
        ("set(ipv4(tos=0x80/0xc0))", 0x20 | CS1 & 0x0F),
        ("set(ipv4(ttl=63))", CS1),
        ("set(icmp(type=0,code=0))", CS1),
        ("set(nd(tll=02:00:00:00:00:00)),set(nd_ext(nd_reserved=0xe0000000,nd_options_type=2))", CS1),
        ("set(ipv6(tclass=0x28/0xfc))", AF11),
        ("clone(set(ipv4(tos=0xb8/0xfc)))", CS1),
    ],
)
def test_the_code_point_of_a_set_action(action: str, dscp: int) -> None:
    text = (CAPTURED / "miss.txt").read_text().replace("nw_tos=0", f"nw_tos={CS1 << 2}")
    assert parse_trace(text.replace("actions: drop", f"actions: {action},2")).outputs == (Departure(2, dscp),)


@pytest.mark.parametrize("text", ["", "Flow: ip\n", (CAPTURED / "miss.txt").read_text().replace("Datapath", "Other")])
def test_what_is_no_trace_is_an_error(text: str) -> None:
    with pytest.raises(TraceError):
        parse_trace(text)
