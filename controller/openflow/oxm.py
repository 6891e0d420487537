"""Match fields on the wire (OXM and NXM): the field table, and matches to bytes and back. Pure.

Numbers of the NXM fields: Open vSwitch's meta-flow.h; a wrong one is refused by the switch.
"""

from __future__ import annotations

from typing import NamedTuple

from controller.dataplane.fields import FIELDS
from controller.dataplane.match import Match
from controller.openflow.wire import WireError

_BASIC = 0x8000  # OFPXMC_OPENFLOW_BASIC
_NXM_1 = 0x0001  # NXM_NX
_ERICSSON = 0x1000  # ERICOXM_OF
_EXPERIMENTER = 0xFFFF
_FOREIGN = "oxm_"  # prefix of the name of a field that is not in the table, followed by its header in hex

_PREREQUISITES = ("eth_type", "ip_proto", "icmpv4_type", "icmpv6_type", "ct_state", "ct_nw_proto")
_NUMBERS = {
    "in_port": (_BASIC, 0),
    "came_in_by": (0, 0),  # NXM_OF_IN_PORT: the other form cannot be set
    "eth_dst": (_BASIC, 3),
    "eth_src": (_BASIC, 4),
    "eth_type": (_BASIC, 5),
    "vlan_vid": (_BASIC, 6),
    "ip_dscp": (_BASIC, 8),
    "ip_proto": (_BASIC, 10),
    "ipv4_src": (_BASIC, 11),
    "ipv4_dst": (_BASIC, 12),
    "tcp_src": (_BASIC, 13),
    "tcp_dst": (_BASIC, 14),
    "udp_src": (_BASIC, 15),
    "udp_dst": (_BASIC, 16),
    "sctp_src": (_BASIC, 17),
    "sctp_dst": (_BASIC, 18),
    "icmpv4_type": (_BASIC, 19),
    "icmpv4_code": (_BASIC, 20),
    "arp_op": (_BASIC, 21),
    "arp_spa": (_BASIC, 22),
    "arp_tpa": (_BASIC, 23),
    "arp_sha": (_BASIC, 24),
    "arp_tha": (_BASIC, 25),
    "ipv6_src": (_BASIC, 26),
    "ipv6_dst": (_BASIC, 27),
    "icmpv6_type": (_BASIC, 29),
    "icmpv6_code": (_BASIC, 30),
    "ipv6_nd_target": (_BASIC, 31),
    "ipv6_nd_sll": (_BASIC, 32),
    "ipv6_nd_tll": (_BASIC, 33),
    **{f"reg{number}": (_NXM_1, number) for number in range(16)},
    "ip_frag": (_NXM_1, 26),
    "ip_ttl": (_NXM_1, 29),
    "conj_id": (_NXM_1, 37),
    "xxreg3": (_NXM_1, 114),
    "ct_state": (_NXM_1, 105),
    "ct_zone": (_NXM_1, 106),
    "ct_mark": (_NXM_1, 107),
    "ct_nw_proto": (_NXM_1, 119),
    "ct_nw_src": (_NXM_1, 120),
    "ct_nw_dst": (_NXM_1, 121),
    "ct_ipv6_src": (_NXM_1, 122),
    "ct_ipv6_dst": (_NXM_1, 123),
    "ct_tp_src": (_NXM_1, 124),
    "ct_tp_dst": (_NXM_1, 125),
    "nd_reserved": (_ERICSSON, 1),
    "nd_options_type": (_ERICSSON, 2),
}

# As Open vSwitch itself names fields in moves and learn actions: by the older numbers (NXM) where there are some.
_NXM_NUMBERS = {
    "eth_dst": (0, 1),
    "eth_src": (0, 2),
    "eth_type": (0, 3),
    "ip_proto": (0, 6),
    "ipv4_src": (0, 7),
    "ipv4_dst": (0, 8),
    "tcp_src": (0, 9),
    "tcp_dst": (0, 10),
    "udp_src": (0, 11),
    "udp_dst": (0, 12),
    "icmpv4_type": (0, 13),
    "icmpv4_code": (0, 14),
    "arp_op": (0, 15),
    "arp_spa": (0, 16),
    "arp_tpa": (0, 17),
    "arp_sha": (_NXM_1, 17),
    "arp_tha": (_NXM_1, 18),
    "ipv6_src": (_NXM_1, 19),
    "ipv6_dst": (_NXM_1, 20),
    "icmpv6_type": (_NXM_1, 21),
    "icmpv6_code": (_NXM_1, 22),
    "ipv6_nd_target": (_NXM_1, 23),
    "ipv6_nd_sll": (_NXM_1, 24),
    "ipv6_nd_tll": (_NXM_1, 25),
}


class _Oxm(NamedTuple):
    name: str
    all_ones: int
    length: int  # bytes of the value
    exact: bytes  # header of an exact match
    masked: bytes  # header of a match with mask


def _oxm(name: str) -> _Oxm:
    oxm_class, number = _NUMBERS[name]
    length = (FIELDS[name].bits + 7) // 8
    exact = bytes((oxm_class >> 8, oxm_class & 0xFF, number << 1, length))
    masked = bytes((oxm_class >> 8, oxm_class & 0xFF, number << 1 | 1, 2 * length))
    return _Oxm(name, FIELDS[name].all_ones, length, exact, masked)


_PLACE = {name: place for place, name in enumerate(_PREREQUISITES)}
_BY_NAME = {name: _oxm(name) for name in FIELDS}
_BY_HEADER = {oxm.exact: oxm for oxm in _BY_NAME.values()} | {oxm.masked: oxm for oxm in _BY_NAME.values()}


def _named_by_actions(name: str) -> int:
    oxm_class, number = _NXM_NUMBERS.get(name) or _NUMBERS[name]
    return oxm_class << 16 | number << 9 | _BY_NAME[name].length


_NXM_HEADERS = {name: _named_by_actions(name) for name in FIELDS}
_BY_NXM_HEADER = {header: name for name, header in _NXM_HEADERS.items()}


def nxm_header(name: str) -> int:
    """The header by which actions name a field, as a 32-bit number."""
    return _NXM_HEADERS[name]


def field_of(header: int) -> str | None:
    """The field that an action names so; None when Weir does not know it."""
    return _BY_NXM_HEADER.get(header)


def encode_field(name: str, value: int) -> bytes:
    """A field with its whole value, as a set-field action carries it."""
    oxm = _BY_NAME[name]
    return oxm.exact + value.to_bytes(oxm.length, "big")


def encode_match(match: Match) -> bytes:
    """The fields of a match one after the other, each after those that it presupposes, without padding."""
    parts = []
    for name, value, mask in sorted(match.fields, key=_place):
        oxm = _BY_NAME.get(name) or _foreign(name)
        if mask == oxm.all_ones:
            parts.append(oxm.exact + value.to_bytes(oxm.length, "big"))
        else:
            parts.append(oxm.masked + value.to_bytes(oxm.length, "big") + mask.to_bytes(oxm.length, "big"))
    return b"".join(parts)


def decode_match(data: bytes) -> Match:
    """The canonical match; a field that Weir does not know keeps its place as `oxm_<header in hex>`.

    Raises WireError when the data end inside a field.
    """
    fields, at = [], 0
    while at < len(data):
        header = data[at : at + 4]
        oxm = _BY_HEADER.get(header) or _foreign_at(data, at)
        at += len(oxm.exact)
        value = int.from_bytes(data[at : at + oxm.length], "big")
        at += oxm.length
        mask = oxm.all_ones
        if header[2] & 1:
            mask = int.from_bytes(data[at : at + oxm.length], "big")
            at += oxm.length
        fields.append((oxm.name, value & mask, mask))
    if at != len(data):
        raise WireError(f"match ends inside a field: {data.hex()}")
    return Match(tuple(sorted(fields)))


def decode_field(data: bytes) -> tuple[str, int] | None:
    """Name and value of the field that a set-field action carries; None when Weir does not know the field."""
    oxm = _BY_HEADER.get(data[:4])
    if oxm is None or data[2] & 1 or len(data) < 4 + oxm.length:
        return None
    return oxm.name, int.from_bytes(data[4 : 4 + oxm.length], "big")


def _place(field: tuple[str, int, int]) -> int:
    """Open vSwitch refuses a field that comes before one that it presupposes (OFPBMC_BAD_PREREQ)."""
    return _PLACE.get(field[0], len(_PLACE))


def _foreign(name: str) -> _Oxm:
    """The field that `_foreign_at` named. Raises ValueError for any other name."""
    if not name.startswith(_FOREIGN):
        raise ValueError(f"no match field is called {name!r}")
    exact = bytes.fromhex(name.removeprefix(_FOREIGN))
    length = exact[3] - (len(exact) - 4)
    masked = exact[:2] + bytes((exact[2] | 1, exact[3] + length)) + exact[4:]
    return _Oxm(name, (1 << 8 * length) - 1, length, exact, masked)


def _foreign_at(data: bytes, at: int) -> _Oxm:
    """A field that is not in the table, so that an entry using it can still be deleted."""
    experimenter_length = 4 if int.from_bytes(data[at : at + 2], "big") == _EXPERIMENTER else 0
    header = data[at : at + 4 + experimenter_length]
    copies = 2 if len(header) > 2 and header[2] & 1 else 1
    length, rest = divmod(header[3] - experimenter_length, copies) if len(header) > 3 else (0, 0)
    fits = 0 < length <= (0xFF - experimenter_length) // 2
    if len(header) != 4 + experimenter_length or rest or not fits:
        raise WireError(f"match with an impossible field: {data[at:].hex()}")
    return _foreign(
        _FOREIGN + (header[:2] + bytes((header[2] & 0xFE, length + experimenter_length)) + header[4:]).hex()
    )
