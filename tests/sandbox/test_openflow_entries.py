"""What is written into a real Open vSwitch is read back the same, through the real `ryu-manager`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.dataplane.actions import (
    Action,
    Conntrack,
    Instructions,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
)
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.fields import FIELDS
from controller.dataplane.match import match
from tests.support.ovs_sandbox import wait_until
from tests.support.probed_switch import COOKIE, SWITCH, ProbedSwitch, body, entries, probed_switch

IP, IPV6, ARP = 0x0800, 0x86DD, 0x0806
VALID, REPLY = (0x20, 0x30), (0x28, 0x38)  # +trk-inv, +trk+rpl-inv: only then may the original tuple be matched

MATCHES = [
    match(),
    match(in_port=1),
    match(in_port=0xFFFFFFFE),
    match(eth_dst=(1 << 40, 1 << 40)),
    match(eth_src=5, eth_dst=6),
    match(eth_src=(0x02 << 40, 0xFF << 40)),
    match(vlan_vid=0),
    match(vlan_vid=0x1064),
    match(vlan_vid=(0x1000, 0x1000)),
    match(vlan_vid=(0x1060, 0x10F0)),
    match(eth_type=IP, ip_proto=6, tcp_src=1, tcp_dst=(8, 0xFFF8)),
    match(eth_type=IPV6, ip_proto=6, tcp_src=(8, 0xFFF8), tcp_dst=443),
    match(eth_type=IPV6, ip_proto=17, udp_src=(2, 0xFFFE), udp_dst=3),
    match(eth_type=IP, ip_proto=132, sctp_src=(2, 0xFFFE), sctp_dst=3),
    match(eth_type=IP, ipv4_src=(0x0A000000, 0xFF000000), ipv4_dst=1),
    match(eth_type=IPV6, ipv6_src=(0xFE80 << 112, 0xFFC0 << 112), ipv6_dst=1),
    *(match(eth_type=IP, ip_proto=17, ip_frag=value) for value in (0, 1, 3, (0, 1), (2, 2))),
    match(eth_type=IP, ip_proto=1, icmpv4_type=8, icmpv4_code=0),
    match(eth_type=IPV6, ip_proto=58, icmpv6_type=128, icmpv6_code=0),
    match(eth_type=ARP, arp_op=1, arp_spa=1, arp_tpa=(0x0A000000, 0xFF000000), arp_sha=4, arp_tha=(0, 1)),
    match(eth_type=IPV6, ip_proto=58, icmpv6_type=135, icmpv6_code=0, ipv6_nd_target=1, ipv6_nd_sll=2),
    match(eth_type=IPV6, ip_proto=58, icmpv6_type=136, ipv6_nd_target=(1 << 64, 1 << 64), ipv6_nd_tll=(2, 2)),
    *(match(**{f"reg{number}": value}) for number in range(6) for value in (7, (0x70000, 0xFFFF0000))),
    match(ct_state=(0x21, 0x2B)),
    match(ct_zone=5),
    match(ct_mark=5),
    match(ct_mark=(5, 7)),
    match(eth_type=IP, ct_state=VALID, ct_nw_src=1),
    match(eth_type=IP, ct_state=REPLY, ct_nw_proto=6, ct_nw_src=1, ct_nw_dst=(0x0A000000, 0xFF000000), ct_tp_src=5),
    match(eth_type=IP, ct_state=REPLY, ct_nw_proto=17, ct_tp_dst=(8, 0xFFF8)),
    match(eth_type=IP, ct_state=REPLY, ct_nw_proto=1, ct_tp_src=8, ct_tp_dst=0),
    match(eth_type=IPV6, ct_state=REPLY, ct_nw_proto=6, ct_ipv6_src=1, ct_ipv6_dst=(0xFE80 << 112, 0xFFC0 << 112)),
]
ACTIONS: list[Action] = [
    Output(1),
    Output(0xFFFFFFF8),  # IN_PORT
    SetField("reg1", 0x01020304),
    SetField("eth_dst", 0x020000000001),
    SetField("ipv4_dst", 0x0A000001),
    PushVlan(),
    Resubmit(60),
    Conntrack("reg0", 30),
    Conntrack("reg0", 30, commit=True),
    Conntrack("reg1", None, commit=True),
]
TAGGED = match(vlan_vid=(0x1000, 0x1000))


@pytest.fixture(scope="module")
def connected() -> Iterator[ProbedSwitch]:
    with probed_switch() as switch:
        yield switch


@pytest.fixture
def switch(connected: ProbedSwitch) -> ProbedSwitch:
    connected.clear()
    return connected


def test_every_field_is_tried() -> None:
    assert {name for one in MATCHES for name, _, _ in one.fields} == set(FIELDS)


def test_every_match_comes_back(switch: ProbedSwitch) -> None:
    flows = {FlowKey(1, 100 + number, one): body(goto=10) for number, one in enumerate(MATCHES)}
    switch.become(SwitchState(flows))
    assert switch.read().flows == flows
    switch.become(SwitchState())
    assert switch.flows() == []


def test_every_action_comes_back(switch: ProbedSwitch) -> None:
    flows = {FlowKey(2, 100 + number, match(eth_type=IP)): body(one) for number, one in enumerate(ACTIONS)}
    flows |= {
        FlowKey(2, 1, match()): body(),  # drop
        FlowKey(2, 2, match()): body(meter_id=7, goto=40),
        FlowKey(2, 3, match()): body(*ACTIONS[:4], PushVlan(), SetField("vlan_vid", 0x1064), Output(1), goto=40),
        FlowKey(2, 4, TAGGED): body(PopVlan(), SetField("reg2", 9), Resubmit(60), Resubmit(70), meter_id=7),
    }
    state = SwitchState(flows, {7: MeterBody(1000, 50), 65535: MeterBody(4_000_000_000, 1)})
    switch.become(state)
    assert switch.read() == state
    switch.become(SwitchState())
    assert switch.read() == SwitchState()


def test_a_change_of_body_keeps_the_counters(switch: ProbedSwitch) -> None:
    key = FlowKey(0, 1, match())
    switch.become(SwitchState({key: body(Output(1))}))
    switch.ovs.ofctl(
        "packet-out", "br0", "in_port=controller,packet=" + "ff" * 14 + "00" * 46 + ",actions=resubmit(,0)"
    )
    wait_until(lambda: "n_packets=1" in switch.flows()[0], "the packet is counted")
    switch.become(SwitchState({key: FlowBody(COOKIE + 1, Instructions(goto=10))}))
    assert "n_packets=1" in switch.flows()[0] and "goto_table:10" in switch.flows()[0]


def test_what_belongs_to_others_is_neither_read_nor_deleted(switch: ProbedSwitch) -> None:
    switch.ovs.ofctl(
        "add-flow", "br0", "cookie=0x77,table=1,priority=1,in_port=1,actions=learn(table=3,NXM_OF_ETH_DST[])"
    )
    switch.ovs.ofctl("add-meter", "br0", "meter=70000,kbps,band=type=drop,rate=5")
    assert switch.read() == SwitchState()
    stale = SwitchState(entries(1))  # the key of their entry
    assert switch.change(stale, SwitchState()) == []
    assert len(switch.flows()) == 1
    assert "meter=70000" in switch.ovs.ofctl("dump-meters", "br0")


def test_what_others_write_under_our_cookie_is_found_and_mended(switch: ProbedSwitch) -> None:
    wanted = SwitchState(entries(3), {1: MeterBody(1000, 50)})
    switch.become(wanted)
    ours = f"cookie={COOKIE:#x},table=1"
    for flow in (
        "priority=1,in_port=1,actions=learn(table=3,NXM_OF_ETH_DST[])",
        "priority=2,in_port=2,idle_timeout=60,actions=goto_table:10",
        "priority=7,tcp,tcp_flags=+syn,actions=goto_table:10",
        "priority=8,tun_id=5,nw_ttl=3,ip,actions=dec_ttl,goto_table:10",
        "priority=9,metadata=5/0xff,tun_src=1.2.3.4,actions=write_actions(output:1)",
        "priority=9,ip,reg9=5,ct_label=0x5/0xf,actions=ct(commit,force,nat(src=10.0.0.1))",
    ):
        switch.ovs.ofctl("add-flow", "br0", f"{ours},{flow}")
    switch.ovs.ofctl("mod-meter", "br0", "meter=1,pktps,stats,band=type=drop,rate=5")
    found = switch.read()
    assert len(found.flows) == 7 and found.meters[1] != wanted.meters[1]
    switch.become(wanted)
    assert switch.read() == wanted


def test_ten_thousand_entries(switch: ProbedSwitch) -> None:
    def flow(number: int) -> tuple[FlowKey, FlowBody]:
        key = FlowKey(30, number % 100, match(eth_type=IP, ip_proto=6, ipv4_dst=number, tcp_dst=number))
        return key, body(meter_id=1 + number % 500, goto=40)

    meters = {number: MeterBody(1000 + number, 50) for number in range(1, 501)}
    state = SwitchState(dict(map(flow, range(10_000))), meters)
    switch.become(state)
    assert switch.read() == state
    switch.become(SwitchState())
    assert switch.flows() == []


def test_counters(switch: ProbedSwitch) -> None:
    state = SwitchState({FlowKey(0, 1, match()): body(Output(1), meter_id=3)}, {3: MeterBody(1_000_000, 1000)})
    switch.become(state)
    before = switch.probe.counters(SWITCH)
    for _ in range(3):
        switch.ovs.ofctl(
            "packet-out", "br0", "in_port=controller,packet=" + "ff" * 12 + "88b5" + "00" * 46 + ",actions=table"
        )

    def counted() -> bool:
        return bool(switch.probe.counters(SWITCH).meters[3].packets_in == 3)

    wait_until(counted, "the meter has counted three packets")
    after = switch.probe.counters(SWITCH)
    assert (after.meters[3].bytes_in, after.meters[3].packets_dropped, after.meters[3].bytes_dropped) == (180, 0, 0)
    assert after.meters[3].duration_s > 0
    assert after.ports[1].tx_packets - before.ports[1].tx_packets == 3
    assert after.ports[1].tx_bytes - before.ports[1].tx_bytes == 180
