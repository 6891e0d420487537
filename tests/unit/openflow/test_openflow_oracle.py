"""Our bytes against Ryu's, for all that Ryu can express."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address

import pytest
from ryu.ofproto import ofproto_v1_3 as ofproto
from ryu.ofproto import ofproto_v1_3_parser as parser
from ryu.ofproto.ofproto_protocol import ProtocolDesc

from controller.dataplane.actions import (
    Action,
    Clone,
    Conjunction,
    Conntrack,
    Controller,
    DecrementTtl,
    Instructions,
    Learn,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    SetQueue,
)
from controller.dataplane.cookies import TAG, TAG_MASK
from controller.dataplane.entries import FlowBody, FlowKey, Meter, MeterBody, PacketMeterBody
from controller.dataplane.match import Match, match
from controller.openflow import bundle_codec, flow_codec, meter_codec, port_codec
from controller.openflow.action_codec import encode_actions
from controller.openflow.bundle_codec import Control
from controller.openflow.punts import encode_packet_out

DATAPATH = ProtocolDesc(ofproto.OFP_VERSION)
XID = 0x01020304
MATCH_AT, FIELDS_AT = 48, 52  # in a flow-mod

# our match, Ryu's match
MATCHES = [
    (match(), {}),
    (match(in_port=3, vlan_vid=0), {"in_port": 3, "vlan_vid": 0}),
    (match(vlan_vid=(0x1000, 0x1000)), {"vlan_vid": (0x1000, 0x1000)}),
    (
        match(eth_dst=(1 << 40, 1 << 40), eth_src=0x020000000001, eth_type=0x0806, arp_op=1),
        {
            "eth_dst": ("01:00:00:00:00:00", "01:00:00:00:00:00"),
            "eth_src": "02:00:00:00:00:01",
            "eth_type": 0x0806,
            "arp_op": 1,
        },
    ),
    (
        match(eth_type=0x0806, arp_spa=0x0A000001, arp_tpa=0x0A000002, arp_sha=1, arp_tha=2),
        {
            "eth_type": 0x0806,
            "arp_spa": "10.0.0.1",
            "arp_tpa": "10.0.0.2",
            "arp_sha": "00:00:00:00:00:01",
            "arp_tha": "00:00:00:00:00:02",
        },
    ),
    (
        match(eth_type=0x0800, ip_proto=6, ipv4_src=(0x0A000000, 0xFF000000), ipv4_dst=1, tcp_src=1024, tcp_dst=443),
        {
            "eth_type": 0x0800,
            "ip_proto": 6,
            "ipv4_src": ("10.0.0.0", "255.0.0.0"),
            "ipv4_dst": "0.0.0.1",
            "tcp_src": 1024,
            "tcp_dst": 443,
        },
    ),
    (
        match(eth_type=0x0800, ip_proto=17, udp_src=68, udp_dst=(64, 0xFFC0)),
        {"eth_type": 0x0800, "ip_proto": 17, "udp_src": 68, "udp_dst": (64, 0xFFC0)},
    ),
    (
        match(eth_type=0x0800, ip_proto=132, sctp_src=1, sctp_dst=2),
        {"eth_type": 0x0800, "ip_proto": 132, "sctp_src": 1, "sctp_dst": 2},
    ),
    (
        match(eth_type=0x0800, ip_proto=1, icmpv4_type=8, icmpv4_code=0),
        {"eth_type": 0x0800, "ip_proto": 1, "icmpv4_type": 8, "icmpv4_code": 0},
    ),
    (
        match(
            eth_type=0x86DD,
            ip_proto=58,
            icmpv6_type=135,
            icmpv6_code=0,
            ipv6_src=(0xFE80 << 112, 0xFFC0 << 112),
            ipv6_dst=int(IPv6Address("ff02::1")),
            ipv6_nd_target=int(IPv6Address("fe80::1")),
            ipv6_nd_sll=7,
        ),
        {
            "eth_type": 0x86DD,
            "ip_proto": 58,
            "icmpv6_type": 135,
            "icmpv6_code": 0,
            "ipv6_src": ("fe80::", "ffc0::"),
            "ipv6_dst": "ff02::1",
            "ipv6_nd_target": "fe80::1",
            "ipv6_nd_sll": "00:00:00:00:00:07",
        },
    ),
    (
        match(eth_type=0x86DD, ip_proto=58, icmpv6_type=136, ipv6_nd_tll=9),
        {"eth_type": 0x86DD, "ip_proto": 58, "icmpv6_type": 136, "ipv6_nd_tll": "00:00:00:00:00:09"},
    ),
    (
        match(reg0=1, reg4=(0x10000, 0xFFFF0000), ct_state=(0x21, 0x23), ct_zone=5, ct_mark=9),
        {"reg0": 1, "reg4": (0x10000, 0xFFFF0000), "ct_state": (0x21, 0x23), "ct_zone": 5, "ct_mark": 9},
    ),
    (match(eth_type=0x0800, ip_dscp=46, reg6=2), {"eth_type": 0x0800, "ip_dscp": 46, "reg6": 2}),
]  # fmt: skip

ACTIONS: list[tuple[Action, parser.OFPAction]] = [
    (Output(7), parser.OFPActionOutput(7, 0)),
    (Output(None), parser.OFPActionOutput(ofproto.OFPP_IN_PORT, 0)),
    (SetField("reg1", 0x01020304), parser.OFPActionSetField(reg1=0x01020304)),
    (SetField("eth_dst", 0x020000000001), parser.OFPActionSetField(eth_dst="02:00:00:00:00:01")),
    (SetField("vlan_vid", 0x1064), parser.OFPActionSetField(vlan_vid=0x1064)),
    (SetField("ipv6_dst", 1), parser.OFPActionSetField(ipv6_dst="::1")),
    (PushVlan(), parser.OFPActionPushVlan(0x8100)),
    (PopVlan(), parser.OFPActionPopVlan()),
    (SetQueue(47), parser.OFPActionSetQueue(47)),
    (Resubmit(70), parser.NXActionResubmitTable(0xFFF8, 70)),
    (Conntrack("reg0", 30), parser.NXActionCT(0, "reg0", 15, 30, 0, [])),
    (Conntrack(0xC001, 30), parser.NXActionCT(0, "", 0xC001, 30, 0, [])),
    (Conntrack("reg1", None, True), parser.NXActionCT(1, "reg1", 15, 0xFF, 0, [])),
    (SetField("ip_dscp", 46), parser.OFPActionSetField(ip_dscp=46)),
    (DecrementTtl(), parser.OFPActionDecNwTtl()),
    (Conjunction(7, 1, 3), parser.NXActionConjunction(0, 3, 7)),
]


def theirs(message: parser.MsgBase) -> bytes:
    message.xid = XID
    message.serialize()
    return bytes(message.buf)


def flow_mod(key: FlowKey, fields: dict[str, object], instructions: list[parser.OFPInstruction]) -> parser.OFPFlowMod:
    return parser.OFPFlowMod(
        DATAPATH,
        cookie=TAG << 48 | 5,
        table_id=key.table,
        priority=key.priority,
        match=parser.OFPMatch(**fields),
        instructions=instructions,
        out_port=ofproto.OFPP_ANY,
        out_group=ofproto.OFPG_ANY,
    )


@pytest.mark.parametrize(("ours", "fields"), MATCHES)
def test_matches(ours: Match, fields: dict[str, object]) -> None:
    key = FlowKey(30, 1000, ours)
    mine = flow_codec.add_flow(XID, key, FlowBody(TAG << 48 | 5, Instructions(goto=40)))
    expected = theirs(flow_mod(key, fields, [parser.OFPInstructionGotoTable(40)]))
    assert mine[:FIELDS_AT] == expected[:FIELDS_AT]
    assert len(mine) == len(expected) and sorted(mine) == sorted(expected)  # the order of the fields is free
    assert dict(parser.OFPMatch.parser(mine, MATCH_AT).items()) == dict(
        parser.OFPMatch.parser(expected, MATCH_AT).items()
    )


@pytest.mark.parametrize(("ours", "ryus"), ACTIONS)
def test_actions(ours: Action, ryus: parser.OFPAction) -> None:
    key = FlowKey(0, 7, match())
    mine = flow_codec.add_flow(XID, key, FlowBody(TAG << 48 | 5, Instructions(apply=(ours,))))
    apply = parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, [ryus])
    assert mine == theirs(flow_mod(key, {}, [apply]))


# what Ryu cannot express: as Open vSwitch 3.1 sends what ovs-ofctl wrote
OVS_ACTIONS: list[tuple[Action, str]] = [
    (Clone(()), "ffff0010 00002320 002a0000 00000000"),
    (
        Clone((Output(1), Resubmit(3))),
        "ffff0030 00002320 002a0000 00000000 00000010 00000001 00000000 00000000 ffff0010 00002320 000efff8 03000000",
    ),
    (Controller(128, 9), "ffff0020 00002320 00250000 00000000 00000008 00800000 00050008 00000009"),
    (Controller(65535, 9), "ffff0018 00002320 00250000 00000000 00050008 00000009"),
    (Move("eth_src", "eth_dst"), "ffff0018 00002320 00060030 00000000 00000406 00000206"),
    (Move("arp_spa", "xxreg3"), "ffff0018 00002320 00060020 00000000 00002004 0001e410"),
    (SetField("xxreg3", 7), "00190018 0001e410 00000000 00000000 00000000 00000007"),
    (SetField("ip_ttl", 64), "00190010 00013a01 40000000 00000000"),
    (SetField("nd_options_type", 2), "00190010 10000401 02000000 00000000"),
    (SetField("nd_reserved", 0xE0000000), "00190010 10000204 e0000000 00000000"),
    (
        Learn(
            54, 100, 0x5EE2 << 48 | 7, (("reg2", "reg2"), ("reg15", "arp_spa")), (("eth_dst", "eth_src"),), 300, 1000
        ),
        "ffff0058 00002320 002d012c 00000064 5ee20000 00000007 00003600 00000000 000003e8 00000000 00200001 04040000"
        "00010404 00000020 00002004 00000001 1e040000 08300000 04060000 00000206 00000000 00000000",
    ),
    (
        Learn(
            54, 100, 0x5EE2 << 48 | 7, (("reg2", 7), ("eth_type", 0x800)), (("reg5", 0x20304), ("xxreg3", 1)), 300, 9
        ),
        "ffff0068 00002320 002d012c 00000064 5ee20000 00000007 00003600 00000000 00000009 00000000 20200000 00070001"
        "04040000 20100800 00000602 00002820 00020304 00010a04 00002880 00000000 00000000 00000000 00000001 0001e410"
        "00000000 00000000",
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), OVS_ACTIONS)
def test_actions_of_open_vswitch(ours: Action, theirs: str) -> None:
    assert encode_actions([ours]) == bytes.fromhex(theirs)


def test_instructions_in_the_order_of_the_switch() -> None:
    key = FlowKey(0, 7, match())
    mine = flow_codec.add_flow(XID, key, FlowBody(TAG << 48 | 5, Instructions(9, (Output(1),), 40)))
    ryus = [
        parser.OFPInstructionMeter(9),
        parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, [parser.OFPActionOutput(1, 0)]),
        parser.OFPInstructionGotoTable(40),
    ]
    assert mine == theirs(flow_mod(key, {}, ryus))


def test_delete_names_the_entry_and_our_cookie() -> None:
    expected = parser.OFPFlowMod(
        DATAPATH,
        cookie=TAG << 48,
        cookie_mask=TAG_MASK,
        table_id=3,
        command=ofproto.OFPFC_DELETE_STRICT,
        priority=9,
        out_port=ofproto.OFPP_ANY,
        out_group=ofproto.OFPG_ANY,
        match=parser.OFPMatch(in_port=1),
    )
    assert flow_codec.delete_flow(XID, FlowKey(3, 9, match(in_port=1))) == theirs(expected)


@pytest.mark.parametrize(
    ("encode", "command"),
    [(meter_codec.add_meter, ofproto.OFPMC_ADD), (meter_codec.modify_meter, ofproto.OFPMC_MODIFY)],
)
@pytest.mark.parametrize(
    ("meter", "unit"), [(MeterBody(1000, 50), ofproto.OFPMF_KBPS), (PacketMeterBody(1000, 50), ofproto.OFPMF_PKTPS)]
)
def test_meters(encode: Callable[[int, int, Meter], bytes], command: int, meter: Meter, unit: int) -> None:
    flags = unit | ofproto.OFPMF_BURST | ofproto.OFPMF_STATS
    expected = parser.OFPMeterMod(DATAPATH, command, flags, 5, [parser.OFPMeterBandDrop(1000, 50)])
    assert encode(XID, 5, meter) == theirs(expected)


def test_packet_out() -> None:
    actions = [parser.OFPActionOutput(port, 0) for port in (7, 8)]
    expected = parser.OFPPacketOut(DATAPATH, ofproto.OFP_NO_BUFFER, ofproto.OFPP_CONTROLLER, actions, b"frame")
    assert encode_packet_out(XID, (7, 8), b"frame") == theirs(expected)


def test_meter_delete() -> None:
    flags = ofproto.OFPMF_KBPS | ofproto.OFPMF_BURST | ofproto.OFPMF_STATS
    expected = parser.OFPMeterMod(DATAPATH, ofproto.OFPMC_DELETE, flags, 5, [])
    assert meter_codec.delete_meter(XID, 5) == theirs(expected)


@pytest.mark.parametrize("what", list(Control))
def test_bundle_control(what: Control) -> None:
    expected = parser.ONFBundleCtrlMsg(DATAPATH, 9, int(what), ofproto.ONF_BF_ATOMIC, [])
    assert bundle_codec.control(9, what)(XID) == theirs(expected)


def test_bundle_add() -> None:
    key, body = FlowKey(0, 7, match(in_port=1)), FlowBody(TAG << 48 | 5, Instructions(goto=40))
    inner = flow_mod(key, {"in_port": 1}, [parser.OFPInstructionGotoTable(40)])
    inner.xid = XID
    expected = parser.ONFBundleAddMsg(DATAPATH, 9, ofproto.ONF_BF_ATOMIC, inner, [])
    assert bundle_codec.add(9, partial(flow_codec.add_flow, key=key, body=body))(XID) == theirs(expected)


def test_requests() -> None:
    port_any, meter_all = ofproto.OFPP_ANY, ofproto.OFPM_ALL
    pairs = [
        (
            flow_codec.our_flows_request(),
            parser.OFPFlowStatsRequest(
                DATAPATH, 0, 0xFF, port_any, ofproto.OFPG_ANY, TAG << 48, TAG_MASK, parser.OFPMatch()
            ),
        ),
        (
            flow_codec.our_flows_request(32),
            parser.OFPFlowStatsRequest(
                DATAPATH, 0, 32, port_any, ofproto.OFPG_ANY, TAG << 48, TAG_MASK, parser.OFPMatch()
            ),
        ),
        (meter_codec.configuration_request(), parser.OFPMeterConfigStatsRequest(DATAPATH, 0, meter_all)),
        (meter_codec.statistics_request(), parser.OFPMeterStatsRequest(DATAPATH, 0, meter_all)),
        (port_codec.statistics_request(), parser.OFPPortStatsRequest(DATAPATH, 0, port_any)),
    ]
    for ours, expected in pairs:
        assert ours(XID) == theirs(expected)
