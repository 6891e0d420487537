"""A packet as `ofproto/trace` takes it: every field exact, in an order that has what a field presupposes before it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from controller.dataplane.fields import FIELDS
from controller.dataplane.text import mac

Fields = Mapping[str, int]  # by the names of `dataplane.fields`

_NAMES = {  # ours to Open vSwitch's, where they differ
    "ip_proto": "nw_proto",
    "ip_frag": "nw_frag",
    "ip_ttl": "nw_ttl",
    "ipv4_src": "nw_src",
    "ipv4_dst": "nw_dst",
    "icmpv4_type": "icmp_type",
    "icmpv4_code": "icmp_code",
    "ipv6_nd_target": "nd_target",
    "ipv6_nd_sll": "nd_sll",
    "ipv6_nd_tll": "nd_tll",
}
_IPV4 = {"ipv4_src", "ipv4_dst", "arp_spa", "arp_tpa", "ct_nw_src", "ct_nw_dst"}
_FRAGMENT = {0: "no", 1: "first", 3: "later"}
_CT_STATE = ("new", "est", "rel", "rpl", "inv", "trk")


def flow_of(in_port: int, fields: Fields) -> str:
    """Raises ValueError for a field that is unknown or a fragment that cannot be."""
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise ValueError(f"no field is called {', '.join(unknown)}: controller/dataplane/fields.py has those that are")
    words = [_word(name, fields[name]) for name in FIELDS if name in fields and name != "in_port"]
    return ",".join([f"in_port={in_port}", *filter(None, words)])


def _word(name: str, value: int) -> str:
    """Empty where a trace has no word for the value: of a packet without a tag, or one that was not tracked."""
    if name in ("vlan_vid", "ct_state") and value == 0:
        return ""
    return f"{_NAMES.get(name, name)}={_value(name, value)}"


def _value(name: str, value: int) -> str:
    if name == "ct_state":
        return "|".join(flag for bit, flag in enumerate(_CT_STATE) if value >> bit & 1)
    if name == "ip_frag":
        if value not in _FRAGMENT:
            raise ValueError(f"ip_frag: no packet has {value}. Use one of {', '.join(map(str, _FRAGMENT))}")
        return _FRAGMENT[value]
    if name in _IPV4:
        return str(IPv4Address(value))
    if FIELDS[name].bits == 128:
        return str(IPv6Address(value))
    return mac(value) if FIELDS[name].bits == 48 else hex(value)
