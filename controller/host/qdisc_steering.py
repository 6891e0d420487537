"""How a frame finds its class by source MAC, as u32 filters and back. Pure.

u32 counts from the network header: the MAC ends 2 bytes before it, or 6 where a VLAN tag stands in the frame. Two link
rules (for all frames, and for tagged ones) lead to one hash table, its bucket the MAC's last byte; the rule for all
moves the origin by the 4 bytes of a tag, so that one filter a VIF serves both. It is tried first: a tag that the kernel
keeps beside the frame does not move the MAC.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controller.host.qdisc_frames import CREATE, DUMP, KIND, OPTIONS, Request, attribute, attributes, head, options, row
from controller.host.queue_tree import Change, FilterPlan, Verb

_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_CLASS_ID, _HASH, _LINK, _DIVISOR, _SELECTOR = 1, 2, 3, 4, 5  # attributes
_ALL, _TAGGED = 0x0003, 0x8100  # protocols
_PRIORITY = {_ALL: 1, _TAGGED: 2}
_TABLE = 0x00100000  # handle of the hash table
_BUCKETS = struct.pack("=I", 256)
_ROOT_TABLES = 0x80000000  # handles of the tables that each priority starts from
_MAC_OFFSET = -12  # of the MAC from the end of a tag
_TERMINAL, _MOVE_ORIGIN = 1, 2 | 8  # flags of a selector
_SELECTOR_HEAD = struct.Struct("=BBBx2xHhh")  # flags, -, number of keys, -, move of the origin, -, offset of the hash
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class FilterRow:
    protocol: int
    handle: int
    options: Mapping[int, bytes] | None  # None: not at a place of ours


@dataclass(frozen=True, slots=True)
class Steering:
    """The filters of one qdisc. intact: False none at all, None not of our form. handles: the kernel's."""

    intact: bool | None
    handles: Mapping[FilterPlan, int] = field(default_factory=dict)


def _selector(flags: int, keys: bytes = b"", move: int = 0, hash_offset: int = 0, hash_mask: int = 0) -> bytes:
    start = _SELECTOR_HEAD.pack(flags, 0, len(keys) // _KEY_BYTES, move, 0, hash_offset)
    return start + struct.pack(">I", hash_mask) + keys


_LINKS = {
    _ALL: _selector(_MOVE_ORIGIN, move=4, hash_offset=-6, hash_mask=0xFF),
    _TAGGED: _selector(0, hash_offset=-10, hash_mask=0xFF),
}
_INTACT = {
    (_TABLE, _BUCKETS),
    (_ROOT_TABLES, struct.pack("=I", 1)),
    *((protocol, struct.pack("=I", _TABLE), selector) for protocol, selector in _LINKS.items()),
}


def ask_filters(ifindex: int, qdisc: int) -> Request:
    return Request(_GET_FILTER, DUMP, head(ifindex, 0, qdisc), "read the filters")


def forget(ifindex: int, qdisc: int, what: str) -> Request:
    """Deletes every filter of the qdisc."""
    return Request(_DELETE_FILTER, 0, head(ifindex, 0, qdisc), what)


def prepare(ifindex: int, qdisc: int, what: str) -> Iterator[Request]:
    """The table, empty, and the rules that lead to it."""
    yield _new(ifindex, _TABLE, qdisc, _ALL, attribute(_DIVISOR, _BUCKETS), what)
    for protocol, selector in _LINKS.items():
        link = attribute(_LINK, struct.pack("=I", _TABLE)) + attribute(_SELECTOR, selector)
        yield _new(ifindex, 0, qdisc, protocol, link, what)


def steer(ifindex: int, change: Change, item: FilterPlan, handles: Mapping[FilterPlan, int]) -> Request:
    """handles: the kernel's, of the filters that are there."""
    if change.verb is Verb.DELETE:
        start = head(ifindex, handles[item], item.qdisc, _info(_ALL))
        return Request(_DELETE_FILTER, 0, start + attribute(KIND, b"u32\0"), str(change))
    rule = (
        attribute(_CLASS_ID, struct.pack("=I", item.target))
        + attribute(_HASH, _bucket(item.mac))
        + attribute(_SELECTOR, _selector(_TERMINAL, _keys(item.mac)))
    )
    return _new(ifindex, 0, item.qdisc, _ALL, rule, str(change))


def filter_row(body: bytes) -> FilterRow:
    found = row(body)
    protocol = _swapped(found.info & 0xFFFF)
    ours = found.attributes.get(KIND) == b"u32\0" and _PRIORITY.get(protocol) == found.info >> 16
    return FilterRow(protocol, found.handle, dict(attributes(found.attributes.get(OPTIONS, b""))) if ours else None)


def steering_of(qdisc: int, rows: Sequence[FilterRow]) -> Steering:
    tables, handles = set[object](), dict[FilterPlan, int]()
    for found in rows:
        if found.options is None:
            return Steering(None)
        if _DIVISOR in found.options:
            tables.add((found.handle if found.handle < _ROOT_TABLES else _ROOT_TABLES, found.options[_DIVISOR]))
        elif _LINK in found.options:
            tables.add((found.protocol, found.options[_LINK], found.options.get(_SELECTOR)))
        elif found.options:  # none: a row that only announces a priority and protocol
            item = _filter_of(qdisc, found.options)
            if item is None or item in handles:
                return Steering(None)
            handles[item] = found.handle
    if not rows:
        return Steering(False)
    return Steering(True, handles) if tables == _INTACT else Steering(None)


def _new(ifindex: int, handle: int, qdisc: int, protocol: int, rule: bytes, what: str) -> Request:
    return Request(_NEW_FILTER, CREATE, head(ifindex, handle, qdisc, _info(protocol)) + options("u32", rule), what)


def _keys(mac: int) -> bytes:
    """Mask, value, offset, and an offset mask of 0, of the MAC's first four and last two bytes."""
    first = struct.pack(">II", 0xFFFFFFFF, mac >> 16) + struct.pack("=ii", _MAC_OFFSET, 0)
    return first + struct.pack(">II", 0xFFFF0000, (mac & 0xFFFF) << 16) + struct.pack("=ii", _MAC_OFFSET + 4, 0)


def _bucket(mac: int) -> bytes:
    return struct.pack("=I", _TABLE | (mac & 0xFF) << 12)


def _filter_of(qdisc: int, rule: Mapping[int, bytes]) -> FilterPlan | None:
    """None when the rule is not one that `steer` writes."""
    selector, target = rule.get(_SELECTOR, b""), rule.get(_CLASS_ID)
    if len(selector) != _SELECTOR_HEAD.size + 4 + 2 * _KEY_BYTES or target is None:
        return None
    mac = struct.unpack_from(">I", selector, 20)[0] << 16 | struct.unpack_from(">H", selector, 36)[0]
    if selector != _selector(_TERMINAL, _keys(mac)) or rule.get(_HASH) != _bucket(mac):
        return None
    return FilterPlan(qdisc, mac, struct.unpack("=I", target)[0])


def _info(protocol: int) -> int:
    return _PRIORITY[protocol] << 16 | _swapped(protocol)


def _swapped(protocol: int) -> int:
    """Between the order of this machine and that of the network."""
    (swapped,) = struct.unpack("=H", struct.pack(">H", protocol))
    return int(swapped)
