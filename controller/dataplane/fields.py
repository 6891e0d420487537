"""The match and set fields that the pipeline uses, as data: name (as ovs-ofctl writes it), width, and prerequisites.

Values are unsigned integers everywhere inside (a MAC has 48 bits, an IPv6 address 128); text is made in `text`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    bits: int
    maskable: bool = True
    is_matched: bool = True  # False: no entry of ours matches it, for the switch shows it as other fields

    @property
    def all_ones(self) -> int:
        return (1 << self.bits) - 1


_FIELDS = (
    Field("in_port", 32, maskable=False),
    Field("came_in_by", 16, is_matched=False),  # in_port to be set: 0, and the packet may go out where it came in
    Field("eth_dst", 48),
    Field("eth_src", 48),
    Field("eth_type", 16, maskable=False),
    Field("vlan_vid", 13),  # bit 12 (0x1000) = tagged; 0 exact = untagged
    Field("ip_proto", 8, maskable=False),
    Field("ip_frag", 2),  # bit 0: a fragment; bit 1: not the first of its packet
    Field("ipv4_src", 32),
    Field("ipv4_dst", 32),
    Field("ipv6_src", 128),
    Field("ipv6_dst", 128),
    Field("tcp_src", 16),
    Field("tcp_dst", 16),
    Field("udp_src", 16),
    Field("udp_dst", 16),
    Field("sctp_src", 16),
    Field("sctp_dst", 16),
    Field("icmpv4_type", 8, maskable=False),
    Field("icmpv4_code", 8, maskable=False),
    Field("icmpv6_type", 8, maskable=False),
    Field("icmpv6_code", 8, maskable=False),
    Field("arp_op", 16, maskable=False),
    Field("arp_spa", 32),
    Field("arp_tpa", 32),
    Field("arp_sha", 48),
    Field("arp_tha", 48),
    Field("ipv6_nd_target", 128),
    Field("ipv6_nd_sll", 48),
    Field("ipv6_nd_tll", 48),
    Field("reg0", 32),
    Field("reg1", 32),
    Field("reg2", 32),
    Field("reg3", 32),
    *(Field(f"reg{number}", 32) for number in range(4, 16)),
    Field("xxreg3", 128, is_matched=False),  # reg12 to reg15, reg12 highest
    Field("ip_ttl", 8, maskable=False),  # of IPv4 and IPv6
    Field(
        "nd_reserved", 32, maskable=False
    ),  # of neighbour discovery: in an advertisement R, S and O are its highest bits
    Field("nd_options_type", 8, maskable=False),  # of the link-layer address option: 1 source, 2 target
    Field("conj_id", 32, maskable=False),
    Field("ip_dscp", 6, maskable=False),
    Field("ct_state", 32),
    Field("ct_zone", 16, maskable=False),
    Field("ct_mark", 32),
    Field("ct_nw_proto", 8, maskable=False),
    Field("ct_nw_src", 32),
    Field("ct_nw_dst", 32),
    Field("ct_ipv6_src", 128),
    Field("ct_ipv6_dst", 128),
    Field("ct_tp_src", 16),
    Field("ct_tp_dst", 16),
)

FIELDS = {field.name: field for field in _FIELDS}
