"""Session, target and statistics in the real `ryu-manager` against a real Open vSwitch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
from controller.dataplane.cookies import CookieKind, encode
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, SwitchState
from controller.dataplane.fields import FIELDS
from controller.dataplane.match import match
from controller.dataplane.stages import stages
from controller.dataplane.text import key_text
from controller.openflow import flow_codec
from controller.openflow.wire import Type, message
from tests.support.openflow_probe import SOCKET_VARIABLE, ProbeClient, ProbeFailed
from tests.support.ovs_sandbox import Daemon, PrivateOvs, wait_until

ROOT = Path(__file__).resolve().parents[2]
SWITCH = "00000000000000aa"
PORT = 6653
COOKIE = encode(CookieKind.VIF, 5)
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


@dataclass(frozen=True)
class Switch:
    ovs: PrivateOvs
    probe: ProbeClient

    def change(self, before: SwitchState, after: SwitchState) -> list[str]:
        """Applies the difference; failures as text."""
        return list(map(str, self.probe.apply(SWITCH, stages(after, before))))

    def become(self, state: SwitchState) -> None:
        assert self.change(self.read(), state) == []

    def read(self) -> SwitchState:
        state = self.probe.read(SWITCH)
        assert isinstance(state, SwitchState)
        return state

    def flows(self) -> list[str]:
        return [line for line in self.ovs.ofctl("dump-flows", "br0").splitlines() if "cookie=" in line]


@pytest.fixture(scope="module")
def connected() -> Iterator[Switch]:
    with PrivateOvs(dummy=True) as ovs:
        manager = start_manager(ovs)
        try:
            ovs.vsctl(
                *("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "protocols=OpenFlow13"),
                *("fail_mode=secure", f"other_config:datapath-id={SWITCH}", "other_config:disable-in-band=true"),
                *("--", "add-port", "br0", "p1", "--", "set", "interface", "p1", "ofport_request=1"),
                *("--", "set-controller", "br0", f"tcp:127.0.0.1:{PORT}"),
            )
            probe = ProbeClient(ovs.rundir / "probe")
            wait_until(lambda: manager.check_alive() or (ovs.rundir / "probe").exists(), "the probe answers")
            wait_until(lambda: probe.connected() == [SWITCH], "the switch connects")
            yield Switch(ovs, probe)
        finally:
            manager.stop()
            print((ovs.rundir / "ryu.log").read_text())


def start_manager(ovs: PrivateOvs) -> Daemon:
    return Daemon(
        [
            str(Path(sys.executable).with_name("ryu-manager")),
            f"--ofp-tcp-listen-port={PORT}",
            "tests.support.openflow_probe",
        ],
        ovs.rundir / "ryu.log",
        ovs.namespace,
        {SOCKET_VARIABLE: str(ovs.rundir / "probe"), "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def switch(connected: Switch) -> Switch:
    """The bridge without anything of ours, nor of anybody else."""
    connected.ovs.ofctl("del-flows", "br0")
    connected.ovs.ofctl("del-meters", "br0")
    return connected


def entries(count: int, table: int = 1) -> dict[FlowKey, FlowBody]:
    return {FlowKey(table, number, match(in_port=number)): body(goto=10) for number in range(1, count + 1)}


def body(*apply: Action, meter_id: int | None = None, goto: int | None = None) -> FlowBody:
    return FlowBody(COOKIE, Instructions(meter_id, apply, goto))


def test_every_field_is_tried() -> None:
    assert {name for one in MATCHES for name, _, _ in one.fields} == set(FIELDS)


def test_every_match_comes_back(switch: Switch) -> None:
    flows = {FlowKey(1, 100 + number, one): body(goto=10) for number, one in enumerate(MATCHES)}
    switch.become(SwitchState(flows))
    assert switch.read().flows == flows
    switch.become(SwitchState())
    assert switch.flows() == []


def test_every_action_comes_back(switch: Switch) -> None:
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


def test_a_change_of_body_keeps_the_counters(switch: Switch) -> None:
    key = FlowKey(0, 1, match())
    switch.become(SwitchState({key: body(Output(1))}))
    switch.ovs.ofctl(
        "packet-out", "br0", "in_port=controller,packet=" + "ff" * 14 + "00" * 46 + ",actions=resubmit(,0)"
    )
    wait_until(lambda: "n_packets=1" in switch.flows()[0], "the packet is counted")
    switch.become(SwitchState({key: FlowBody(COOKIE + 1, Instructions(goto=10))}))
    assert "n_packets=1" in switch.flows()[0] and "goto_table:10" in switch.flows()[0]


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
def test_one_bad_entry_among_a_thousand_leaves_nothing(switch: Switch, key: FlowKey, bad: FlowBody, words: str) -> None:
    table = ("--", "--id=@t", "create", "Flow_Table", "flow_limit=0", "overflow_policy=refuse")
    switch.ovs.vsctl(*table, "--", "set", "bridge", "br0", "flow_tables:9=@t")
    before = SwitchState(entries(3, table=2))
    switch.become(before)
    after = SwitchState({**entries(500), key: bad, **entries(500, table=3)})
    (failure,) = switch.change(before, after)
    assert words in failure and key_text(key) in failure
    assert switch.read() == before
    switch.ovs.vsctl("clear", "bridge", "br0", "flow_tables")


def test_a_bad_meter_is_named_and_stops_what_would_follow(switch: Switch) -> None:
    failures = switch.change(SwitchState(), SwitchState(entries(3), {4: MeterBody(0, 5), 5: MeterBody(10, 5)}))
    assert len(failures) == 1 and "4" in failures[0] and "OFPMMFC_BAD_RATE" in failures[0]
    assert switch.read() == SwitchState({}, {5: MeterBody(10, 5)})


def test_meters_change_in_place(switch: Switch) -> None:
    key = FlowKey(0, 1, match())
    before = SwitchState({key: body(meter_id=1, goto=10)}, {1: MeterBody(1000, 50), 2: MeterBody(2000, 50)})
    switch.become(before)
    assert switch.probe.modify_meters(SWITCH, {1: MeterBody(500, 25)}) == ()
    after = SwitchState(before.flows, {**before.meters, 1: MeterBody(500, 25)})
    assert switch.read() == after
    (failure,) = map(str, switch.probe.modify_meters(SWITCH, {2: MeterBody(10, 1), 3: MeterBody(10, 1)}))
    assert "3" in failure and "OFPMMFC_UNKNOWN_METER" in failure
    assert switch.read().meters[2] == MeterBody(10, 1)


def test_a_meter_goes_after_the_entries_that_used_it(switch: Switch) -> None:
    key = FlowKey(0, 1, match())
    switch.become(SwitchState({key: body(meter_id=1, goto=10)}, {1: MeterBody(1000, 50)}))
    moved = SwitchState({key: body(meter_id=2, goto=10)}, {2: MeterBody(1000, 50)})
    switch.become(moved)
    assert switch.read() == moved


def test_what_belongs_to_others_is_neither_read_nor_deleted(switch: Switch) -> None:
    switch.ovs.ofctl(
        "add-flow", "br0", "cookie=0x77,table=1,priority=1,in_port=1,actions=learn(table=3,NXM_OF_ETH_DST[])"
    )
    switch.ovs.ofctl("add-meter", "br0", "meter=70000,kbps,band=type=drop,rate=5")
    assert switch.read() == SwitchState()
    stale = SwitchState(entries(1))  # the key of their entry
    assert switch.change(stale, SwitchState()) == []
    assert len(switch.flows()) == 1
    assert "meter=70000" in switch.ovs.ofctl("dump-meters", "br0")


def test_what_others_write_under_our_cookie_is_found_and_mended(switch: Switch) -> None:
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


def test_ten_thousand_entries(switch: Switch) -> None:
    def flow(number: int) -> tuple[FlowKey, FlowBody]:
        key = FlowKey(30, number % 100, match(eth_type=IP, ip_proto=6, ipv4_dst=number, tcp_dst=number))
        return key, body(meter_id=1 + number % 500, goto=40)

    meters = {number: MeterBody(1000 + number, 50) for number in range(1, 501)}
    state = SwitchState(dict(map(flow, range(10_000))), meters)
    switch.become(state)
    assert switch.read() == state
    switch.become(SwitchState())
    assert switch.flows() == []


def test_counters_and_ports(switch: Switch) -> None:
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
    ports = switch.probe.ports(SWITCH)
    assert ports[1].name == "p1" and sorted(ports) == sorted(after.ports)


def test_two_at_once(switch: Switch) -> None:
    """As the loop changes meters while the reconciler sends a bundle."""
    refused = partial(flow_codec.add_flow, key=FlowKey(1, 1, match(tcp_dst=1)), body=body(goto=10))
    wanted = stages(SwitchState(entries(5000)), SwitchState())
    failures, errors = switch.probe.together(SWITCH, wanted, [refused] * 50)
    assert failures == () and sorted(errors) == list(range(50))
    assert len(switch.flows()) == 5000


def test_a_question_that_is_no_message_is_refused_and_the_connection_lives(switch: Switch) -> None:
    nonsense = partial(message, Type.MULTIPART_REQUEST, body=b"\xff" * 8)
    with pytest.raises(ProbeFailed, match=r"RequestRefused: switch 00000000000000aa: bad request: bad len"):
        switch.probe.ask(SWITCH, nonsense)
    assert switch.probe.seen() == [("up", SWITCH)]


def test_packets_with_fields_that_ryu_does_not_know_do_no_harm(switch: Switch) -> None:
    """Open vSwitch sends a packet's whole metadata with each packet-in."""
    marked = "set_field:5->reg9,set_field:7->pkt_mark,set_field:1.2.3.4->tun_src,set_field:5->xreg7,controller"
    switch.ovs.ofctl("add-flow", "br0", f"actions={marked}")
    packet = "ff" * 12 + "88b5" + "00" * 46
    switch.ovs.ofctl("packet-out", "br0", f"in_port=controller,packet={packet},actions=table")
    wait_until(lambda: "n_packets=1" in switch.flows()[0], "the packet went to the controller")
    switch.become(SwitchState(entries(1, table=3)))
    assert switch.probe.seen() == [("up", SWITCH)]


def test_a_lost_connection_is_missed_and_a_new_one_found(switch: Switch) -> None:
    """Last: it ends the session of the others."""
    switch.become(SwitchState(entries(3)))
    switch.ovs.vsctl("set", "bridge", "br0", "other_config:datapath-id=00000000000000ab")
    wait_until(lambda: switch.probe.connected() == ["00000000000000ab"], "the switch is back under its new name")
    assert switch.probe.seen() == [("up", SWITCH), ("down", SWITCH), ("up", "00000000000000ab")]
    assert switch.probe.read("00000000000000ab").flows == entries(3)
