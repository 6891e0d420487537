"""What ovs-ofctl would read. That it does is tested on a real switch."""

from __future__ import annotations

import pytest

from controller.dataplane.actions import (
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
    SetQueue,
)
from controller.dataplane.entries import FlowBody, FlowKey, MeterBody, PacketMeterBody, SwitchState
from controller.dataplane.match import Match, match
from controller.dataplane.text import instructions_text, match_text, render


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (match(), ""),
        (match(in_port=3, vlan_vid=0), "in_port=3,vlan_tci=0x0000/0x1fff"),
        (match(vlan_vid=0x1078), "dl_vlan=120"),
        (match(reg0=17, eth_dst=(1 << 40, 1 << 40)), "reg0=0x11,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"),
        (match(eth_type=0x806, arp_spa=0x0A000001), "arp,arp_spa=10.0.0.1"),
        (match(eth_type=0x800, ip_proto=6, tcp_dst=(0x1F40, 0xFFC0)), "tcp,tp_dst=0x1f40/0xffc0"),
        (match(eth_type=0x800, ip_proto=47, ipv4_src=(0x0A000000, 0xFF000000)), "ip,nw_proto=47,nw_src=10.0.0.0/8"),
        (match(eth_type=0x86DD, ipv6_dst=(0xFD << 120, (1 << 64) - 1 << 64)), "ipv6,ipv6_dst=fd00::/64"),
        (match(ipv4_src=(1, 0xFF)), "nw_src=0.0.0.1/0.0.0.255"),
        (match(eth_type=0x86DD, ip_proto=58, icmpv6_type=135), "icmp6,icmp_type=135"),
        (match(eth_type=0x800, ip_ttl=1), "ip,nw_ttl=1"),
        (match(ipv6_nd_sll=5), "nd_sll=00:00:00:00:00:05"),
        (match(ct_state=(0x20, 0x38), ct_tp_dst=80), "ct_state=-rpl-inv+trk,ct_tp_dst=80"),
        (match(eth_type=0x800, ip_frag=(2, 2)), "ip,nw_frag=later"),
        (match(ip_frag=1), "nw_frag=first"),
        (match(ip_frag=0), "nw_frag=no"),
        (match(ip_frag=(0, 2)), "nw_frag=not_later"),
        (match(eth_type=0x88CC), "dl_type=0x88cc"),
        (match(conj_id=7, reg8=(0x10000, 0xFFFF0000)), "reg8=0x10000/0xffff0000,conj_id=7"),
        (match(eth_type=0x800, ip_dscp=46), "ip,ip_dscp=46"),
        (Match((("oxm_800020e4", 1, 3),)), "oxm_800020e4=0x1/0x3"),
    ],
)  # fmt: skip
def test_matches(entry: Match, text: str) -> None:
    assert match_text(entry) == text


@pytest.mark.parametrize(
    ("instructions", "text"),
    [
        (Instructions(), "drop"),
        (Instructions(meter_id=5, goto=60), "meter:5,goto_table:forward"),
        (Instructions(apply=(PopVlan(), SetField("reg2", 3))), "pop_vlan,set_field:0x3->reg2"),
        (Instructions(apply=(PushVlan(), SetField("vlan_vid", 0x1078))), "push_vlan:0x8100,set_field:4216->vlan_vid"),
        (Instructions(apply=(SetQueue(47), Output(9))), "set_queue:47,output:9"),
        (Instructions(apply=(Output(9), Resubmit(70))), "output:9,resubmit(,ingress_conntrack)"),
        (Instructions(apply=(Conntrack("reg1", 80),)), "ct(table=ingress_policy,zone=NXM_NX_REG1[0..15])"),
        (Instructions(apply=(Conntrack(0xC001, 80),)), "ct(table=ingress_policy,zone=49153)"),
        (Instructions(apply=(Conntrack("reg0", commit=True),)), "ct(commit,zone=NXM_NX_REG0[0..15])"),
        (Instructions(apply=(SetField("ip_dscp", 46),)), "set_field:46->ip_dscp"),
        (Instructions(apply=(Conjunction(7, 1, 3), Conjunction(8, 2, 2))), "conjunction(7,1/3),conjunction(8,2/2)"),
        (Instructions(apply=(Controller(128, 70000),)), "controller(max_len=128,meter_id=70000)"),
        (Instructions(apply=(Clone((SetField("reg6", 5), Resubmit(70))),), goto=60),
         "clone(set_field:0x5->reg6,resubmit(,ingress_conntrack)),goto_table:forward"),
        (Instructions(apply=(Clone((Clone(()), Output(1))),)), "clone(clone(drop),output:1)"),
        (Instructions(apply=(IsLarger(1294, "reg3", 31),)), "check_pkt_larger(1294)->NXM_NX_REG3[31]"),
        (Instructions(apply=(DecrementTtl(), Output(None))), "dec_ttl,in_port"),
        (Instructions(apply=(SetField("icmpv6_type", 129), SetField("udp_dst", 53))),
         "set_field:129->icmpv6_type,set_field:53->udp_dst"),
        (Instructions(apply=(Move("eth_src", "eth_dst"), Move("arp_spa", "xxreg3"))),
         "move:dl_src[]->dl_dst[],move:arp_spa[]->xxreg3[0..31]"),
        (Instructions(apply=(Learn(54, 9, 0x5EE2 << 48, (("reg2", "reg2"), ("eth_dst", 5)), (("reg5", 3),
                                   ("xxreg3", "arp_spa")), 300, 1000),)),
         "learn(table=next_hop,idle_timeout=300,priority=9,cookie=0x5ee2000000000000,limit=1000,reg2[]=reg2[],"
         "dl_dst=00:00:00:00:00:05,load:0x3->reg5[],load:arp_spa[]->xxreg3[0..31])"),
    ],
)  # fmt: skip
def test_instructions(instructions: Instructions, text: str) -> None:
    assert instructions_text(instructions) == text


def test_a_state_is_sorted_as_the_switch_consults_it() -> None:
    def entry(table: int, priority: int, port: int) -> tuple[FlowKey, FlowBody]:
        return FlowKey(table, priority, match(in_port=port)), FlowBody(0x5EE1 << 48, Instructions(goto=60))

    flows = dict([entry(40, 1, 1), entry(0, 1, 2), entry(0, 9, 3), entry(0, 1, 1)])
    meters = {70_000: PacketMeterBody(7, 8), 2: MeterBody(5, 6)}
    assert render(SwitchState(flows, meters), names=False).splitlines() == [
        "meter=2,kbps,burst,stats,bands=type=drop,rate=5,burst_size=6",
        "meter=70000,pktps,burst,stats,bands=type=drop,rate=7,burst_size=8",
        "cookie=0x5ee1000000000000, table=0, priority=9,in_port=3 actions=goto_table:60",
        "cookie=0x5ee1000000000000, table=0, priority=1,in_port=1 actions=goto_table:60",
        "cookie=0x5ee1000000000000, table=0, priority=1,in_port=2 actions=goto_table:60",
        "cookie=0x5ee1000000000000, table=40, priority=1,in_port=1 actions=goto_table:60",
    ]
