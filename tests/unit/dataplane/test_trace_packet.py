"""Packets as a trace is asked for them."""

from __future__ import annotations

import pytest

from controller.dataplane.trace_packet import Fields, flow_of

CASES: list[tuple[Fields, str]] = [
    ({}, ""),
    ({"eth_src": 0x020000000001, "eth_type": 0x88B5}, ",eth_src=02:00:00:00:00:01,eth_type=0x88b5"),
    (
        {"udp_dst": 53, "ip_proto": 17, "ipv4_src": 0x0A000001, "eth_type": 0x0800},
        ",eth_type=0x800,nw_proto=0x11,nw_src=10.0.0.1,udp_dst=0x35",
    ),
    (
        {"eth_type": 0x86DD, "ipv6_dst": 0xFE80 << 112 | 1, "ip_dscp": 46},
        ",eth_type=0x86dd,ipv6_dst=fe80::1,ip_dscp=0x2e",
    ),
    ({"vlan_vid": 0, "ct_state": 0, "reg0": 7}, ",reg0=0x7"),
    ({"vlan_vid": 0x1064}, ",vlan_vid=0x1064"),
    ({"eth_type": 0x0800, "ip_frag": 3}, ",eth_type=0x800,nw_frag=later"),
    ({"eth_type": 0x0800, "ct_state": 0x2A, "ct_nw_src": 1}, ",eth_type=0x800,ct_state=est|rpl|trk,ct_nw_src=0.0.0.1"),
    ({"eth_type": 0x0806, "arp_spa": 1, "arp_sha": 2}, ",eth_type=0x806,arp_spa=0.0.0.1,arp_sha=00:00:00:00:00:02"),
    ({"in_port": 9}, ""),
]


@pytest.mark.parametrize(("fields", "words"), CASES)
def test_what_fields_are_called(fields: Fields, words: str) -> None:
    assert flow_of(5, fields) == "in_port=5" + words


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(ValueError, match="no field is called ipv4_source"):
        flow_of(1, {"ipv4_source": 1})


def test_no_packet_is_half_a_fragment() -> None:
    with pytest.raises(ValueError, match="no packet has 2"):
        flow_of(1, {"eth_type": 0x0800, "ip_frag": 2})
