"""What is written into a real Open vSwitch is read back the same, through the real `ryu-manager`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.dataplane.actions import (
    Action,
    Clone,
    Conjunction,
    Conntrack,
    Controller,
    DecrementTtl,
    Instructions,
    IsLarger,
    Learn,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
)
from controller.dataplane.cookies import LEARNED, CookieKind, encode, with_vif
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, PacketMeterBody, SwitchState
from controller.dataplane.fields import FIELDS
from controller.dataplane.match import Match, match
from controller.dataplane.text import flow_lines, meter_text
from controller.openflow.stats import FlowCounters
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
    match(eth_type=IPV6, ip_proto=58, icmpv6_type=136, ipv6_nd_target=(1, 1), ipv6_nd_tll=(2, 2)),
    *(match(**{f"reg{number}": value}) for number in range(16) for value in (7, (0x70000, 0xFFFF0000))),
    match(conj_id=0),
    match(conj_id=0xFFFFFFFF),
    match(eth_type=IP, conj_id=7, reg8=(0x50000, 0xFFFF0000), ct_state=VALID),
    match(eth_type=IP, ip_dscp=0),
    match(eth_type=IPV6, ip_proto=6, ip_dscp=46),
    match(eth_type=IP, ip_ttl=1),
    match(eth_type=IPV6, ip_ttl=0),
    match(eth_type=IPV6, ip_proto=58, icmpv6_type=136, icmpv6_code=0, nd_reserved=0xE0000000, nd_options_type=2),
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
    Output(None),
    SetField("reg1", 0x01020304),
    SetField("eth_dst", 0x020000000001),
    SetField("ipv4_dst", 0x0A000001),
    PushVlan(),
    Resubmit(60),
    Conntrack("reg0", 30),
    Conntrack("reg0", 30, commit=True),
    Conntrack(0xC001, 30),
    Conntrack("reg1", None, commit=True),
    SetField("reg15", 0xFFFFFFFF),
    SetField("ip_dscp", 46),
    SetField("xxreg3", 1 << 127 | 5),
    SetField("ip_ttl", 64),
    SetField("ipv4_src", 0x0A000001),
    DecrementTtl(),
    IsLarger(1294, "reg3", 31),
    IsLarger(65535, "reg0", 0),
    Move("eth_src", "eth_dst"),
    Move("ipv4_src", "ipv4_dst"),
    Move("ipv4_dst", "reg15"),
    Move("ipv4_dst", "xxreg3"),
    Move("reg15", "ipv4_dst"),
    Learn(54, 100, LEARNED | 7, (("reg2", "reg2"), ("reg15", "ipv4_src")), (("eth_dst", "eth_src"),), 300, 1000),
    Learn(54, 0, LEARNED, (("eth_type", IP), ("eth_dst", 5), ("reg2", 9)), (("reg5", 3), ("xxreg3", "reg2")), 1, 1),
    Learn(54, 65535, LEARNED, (("xxreg3", 5), ("reg2", "in_port")), (("eth_dst", 1 << 40 | 1),), 65535, 0xFFFFFFFF),
    Clone((Output(1), SetField("reg6", 5), Resubmit(60))),
    Clone((Clone((Output(1), Clone(()))), Conntrack("reg0", 30, commit=True), Controller(0, 7))),
    Controller(128, 7),
    Controller(65535, 196607),
    Controller(65534, 65536),
]
# What is only of one protocol: the match, and what may be done under it.
OF_PROTOCOLS: list[tuple[Match, tuple[Action, ...]]] = [
    (
        match(eth_type=ARP),
        (
            SetField("arp_op", 2),
            Move("arp_sha", "arp_tha"),
            SetField("arp_sha", 5),
            SetField("arp_tha", 6),
            Move("arp_tpa", "reg15"),
            Move("arp_spa", "arp_tpa"),
            Move("reg15", "arp_spa"),
            SetField("arp_spa", 7),
            SetField("arp_tpa", 8),
            Learn(54, 1, LEARNED, (("reg2", 1), ("reg15", "arp_spa")), (("eth_dst", "arp_sha"),), 9, 9),
        ),
    ),
    (
        match(eth_type=IPV6),
        (
            DecrementTtl(),
            SetField("ip_ttl", 255),
            Move("ipv6_src", "ipv6_dst"),
            SetField("ipv6_src", 1 << 127),
            SetField("ipv6_dst", 5),
            Move("ipv6_dst", "xxreg3"),
            Move("xxreg3", "ipv6_src"),
            Learn(54, 1, LEARNED, (("xxreg3", "ipv6_src"),), (("eth_dst", "eth_src"),), 9, 9),
        ),
    ),
    (match(eth_type=IP, ip_proto=1), (SetField("icmpv4_type", 0), SetField("icmpv4_code", 1))),
    (match(eth_type=IPV6, ip_proto=58, icmpv6_type=128), (SetField("icmpv6_type", 129), SetField("icmpv6_code", 1))),
    (
        match(eth_type=IPV6, ip_proto=58, icmpv6_type=135, icmpv6_code=0),
        (
            SetField("ipv6_nd_sll", 5),
            Move("ipv6_nd_target", "xxreg3"),
            SetField("ipv6_nd_target", 6),
            SetField("nd_options_type", 2),
            SetField("nd_reserved", 0xE0000000),
            Learn(54, 1, LEARNED, (("xxreg3", "ipv6_nd_target"),), (("eth_dst", "ipv6_nd_sll"),), 9, 9),
        ),
    ),
    (
        match(eth_type=IPV6, ip_proto=58, icmpv6_type=136, icmpv6_code=0),
        (
            SetField("ipv6_nd_tll", 5),
            Move("eth_src", "ipv6_nd_tll"),
            Learn(54, 1, LEARNED, (("xxreg3", "ipv6_nd_target"),), (("eth_dst", "ipv6_nd_tll"),), 9, 9),
        ),
    ),
]
CONJUNCTIONS = [
    (Conjunction(1, 1, 2),),
    (Conjunction(0xFFFFFFFF, 64, 64),),
    (Conjunction(7, 2, 3), Conjunction(8, 3, 3), Conjunction(9, 1, 2)),
]
METERS = {
    7: MeterBody(1000, 50),
    49151: MeterBody(4_000_000_000, 1),
    65536: PacketMeterBody(10, 20),
    196607: PacketMeterBody(4_000_000_000, 1),
}
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
    assert {name for one in MATCHES for name, _, _ in one.fields} == {
        name for name, field in FIELDS.items() if field.is_matched
    }


def test_every_match_comes_back(switch: ProbedSwitch) -> None:
    flows = {FlowKey(1, 100 + number, one): body(goto=10) for number, one in enumerate(MATCHES)}
    switch.become(SwitchState(flows))
    assert switch.read().flows == flows
    switch.become(SwitchState())
    assert switch.flows() == []


def every_action() -> SwitchState:
    flows = {FlowKey(2, 100 + number, match(eth_type=IP)): body(one) for number, one in enumerate(ACTIONS)}
    flows |= {FlowKey(2, 300 + number, one): body(*all_) for number, (one, all_) in enumerate(OF_PROTOCOLS)}
    flows |= {FlowKey(2, 200 + number, match(reg0=1)): body(*all_) for number, all_ in enumerate(CONJUNCTIONS)}
    flows |= {
        FlowKey(2, 1, match()): body(),  # drop
        FlowKey(2, 2, match()): body(meter_id=7, goto=40),
        FlowKey(2, 3, match()): body(*ACTIONS[:4], PushVlan(), SetField("vlan_vid", 0x1064), Output(1), goto=40),
        FlowKey(2, 4, TAGGED): body(PopVlan(), SetField("reg2", 9), Resubmit(60), Resubmit(70), meter_id=7),
        FlowKey(2, 5, match()): body(SetField("reg4", 47), Controller(1500, 65536), meter_id=7, goto=40),
    }
    return SwitchState(flows, METERS)


def test_every_action_comes_back(switch: ProbedSwitch) -> None:
    state = every_action()
    switch.become(state)
    assert switch.read() == state
    switch.become(SwitchState())
    assert switch.read() == SwitchState()


def test_what_ovs_ofctl_writes_from_our_text_is_what_we_mean(switch: ProbedSwitch) -> None:
    """But for two ways to match fragments that have the words of others which mean the same."""
    same = [match(eth_type=IP, ip_proto=17, ip_frag=value) for value in ((0, 1), (2, 2))]
    actions = every_action()
    matches = [one for one in MATCHES if one not in same]
    flows = {FlowKey(1, 100 + number, one): body(goto=10) for number, one in enumerate(matches)} | actions.flows
    wanted = SwitchState(flows, actions.meters)
    for number, meter in wanted.meters.items():
        switch.ovs.ofctl("add-meter", "br0", meter_text(number, meter))
    file = switch.ovs.rundir / "flows.txt"
    file.write_text("\n".join(flow_lines(wanted, names=False)))
    switch.ovs.ofctl("--bundle", "add-flows", "br0", str(file))
    assert switch.read() == wanted


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
    switch.ovs.ofctl("add-meter", "br0", "meter=196609,kbps,band=type=drop,rate=5")
    assert switch.read() == SwitchState()
    stale = SwitchState(entries(1))  # the key of their entry
    assert switch.change(stale, SwitchState()) == []
    assert len(switch.flows()) == 1
    assert "meter=196609" in switch.ovs.ofctl("dump-meters", "br0")


def test_what_the_switch_learned_is_neither_read_nor_deleted(switch: ProbedSwitch) -> None:
    learn = Learn(54, 7, LEARNED | 3, (("reg2", 3), ("eth_dst", "eth_src")), (("reg1", "in_port"),), 300, 1)
    state = SwitchState({FlowKey(0, 1, match()): body(learn)})
    switch.become(state)
    for sender in ("0a", "0b"):  # the second is beyond the limit
        frame = "ff" * 6 + "0200000000" + sender + "88b5" + "00" * 46
        switch.ovs.appctl("netdev-dummy/receive", "p1", frame)
    wait_until(lambda: len(switch.flows()) == 2, "an entry is learned")
    assert switch.read() == state
    assert switch.change(SwitchState(state.flows | entries(1, table=54)), SwitchState()) == []
    (learned,) = switch.flows()
    for part in ("cookie=0x5ee2000000000003", "idle_timeout=300", "reg2=0x3,dl_dst=02:00:00:00:00:0a", "load:0x1->"):
        assert part in learned, learned


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
    switch.ovs.ofctl("mod-meter", "br0", "meter=1,pktps,burst,stats,band=type=drop,rate=1000,burst_size=50")
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
    assert after.ports[1].tx_packets - before.ports[1].tx_packets == 3
    assert after.ports[1].tx_bytes - before.ports[1].tx_bytes == 180


def test_counters_of_many_rules(switch: ProbedSwitch) -> None:
    """Of 20,000 entries and 10,000 meters; the loop's own counters are read among them."""

    def verdict(number: int) -> tuple[FlowKey, FlowBody]:
        key = FlowKey(32 + number % 2 * 50, 1, match(reg6=number, reg0=number % 100))
        cookie = encode(CookieKind.VERDICT, with_vif(number, number % 100))
        return key, FlowBody(cookie, Instructions(65536 + number % 10_000, goto=90))

    flows = dict(map(verdict, range(20_000)))
    for cookie in (encode(CookieKind.VERDICT, with_vif(1, 1)), COOKIE):
        flows[FlowKey(32, 2, match(reg6=cookie & 0xFFFF, in_port=1))] = FlowBody(cookie, Instructions())
    meters = {65536 + number: PacketMeterBody(1000, 100) for number in range(10_000)}
    few = {number: MeterBody(1000, 50) for number in range(1, 101)}
    switch.become(SwitchState(flows, few | meters))
    counters = switch.probe.rule_counters(SWITCH)
    assert counters.keys() == {(key.table, body.cookie) for key, body in flows.items()}
    assert sorted(switch.probe.counters(SWITCH).meters) == sorted(few)


def test_rule_counters_count(switch: ProbedSwitch) -> None:
    cookie = encode(CookieKind.VERDICT, with_vif(5, 1))
    flows = {FlowKey(table, 1, match()): FlowBody(cookie, Instructions(goto=table + 50)) for table in (32, 82)}
    flows[FlowKey(0, 1, match())] = FlowBody(COOKIE, Instructions(goto=32))
    switch.become(SwitchState(flows))
    packet = "ff" * 12 + "88b5" + "00" * 46
    for _ in range(3):
        switch.ovs.ofctl("packet-out", "br0", f"in_port=controller,packet={packet},actions=table")
    counted = FlowCounters(3, 180)
    wait_until(
        lambda: switch.probe.rule_counters(SWITCH) == {(32, cookie): counted, (82, cookie): counted},
        "both tables count",
    )
