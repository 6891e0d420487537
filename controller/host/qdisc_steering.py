"""How a frame finds its class, by its source or by code point, as u32 filters and back. Pure.

In either form rules lead through one hash table, whose bucket leaves nothing or little to compare, so that many filters
cost no more than one. u32 counts from the network header.

Source MAC: it ends 2 bytes before that header, or 6 where a VLAN tag stands in the frame. Two link rules (for all
frames, and for tagged ones) lead to the table, its bucket the MAC's last byte; the rule for all moves the origin by the
4 bytes of a tag, so that one filter a VIF serves both. It is tried first: a tag that the kernel keeps beside the frame
does not move the MAC.

Source address: all that a router sends has one MAC, so in that MAC's bucket rules lead on to a table for each IP
version, its bucket the last byte of the address. They compare the two bytes behind the MAC, the type or a tag, and
move the origin behind the tag, so that one filter an address serves frames with and without.

Code point: the bucket is the code point itself. What stands before the network header tells IPv4 from IPv6 (whose
traffic class straddles bytes); a tag stands before that header, too, but for kernels that let the header begin with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controller.host.qdisc_frames import CREATE, DUMP, KIND, OPTIONS, Request, attribute, attributes, head, options, row
from controller.host.queue_tree import (
    AddressPlan,
    Change,
    FilterPlan,
    MarkPlan,
    RouterPlan,
    SteeringPlan,
    Steers,
    Verb,
)

_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_CLASS_ID, _HASH, _LINK, _DIVISOR, _SELECTOR = 1, 2, 3, 4, 5  # attributes
_ALL, _TAGGED = 0x0003, 0x8100  # protocols
_PRIORITY = {_ALL: 1, _TAGGED: 2}
_TABLE = 0x00100000  # handle of the hash table, and
_ADDRESS_TABLES = {4: 0x00200000, 6: 0x00300000}  # of those of source addresses, by IP version
_TABLE_OF = 0xFFF00000  # of the handle of a bucket or rule
_ROOT_TABLES = 0x80000000  # handles of the tables that each priority starts from
_MAC_OFFSET = -12  # of the MAC from the end of a tag
_TAG_BYTES = 4
_ETHER_TYPE = {4: 0x0800, 6: 0x86DD}
_ADDRESS_WORDS = {4: (8,), 6: (4, 8, 12, 16)}  # offsets of a source address from an origin 4 bytes into the packet
_CODE_POINT = {0x0800: 0x00FC0000, 0x86DD: 0x0FC00000}  # where it stands in the first word of IPv4 and of IPv6
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
    """The filters of one qdisc. steers: None: not of our forms. handles: the kernel's."""

    steers: Steers | None
    handles: Mapping[SteeringPlan, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Form:
    """tables: how many buckets each has, by its handle. links: protocol and selector of each rule that leads to the
    first one from the start."""

    tables: Mapping[int, int]
    links: tuple[tuple[int, bytes], ...]

    @property
    def parts(self) -> set[object]:
        return {
            *((table, struct.pack("=I", buckets)) for table, buckets in self.tables.items()),
            (_ROOT_TABLES, struct.pack("=I", 1)),
            *((protocol, struct.pack("=I", _TABLE), selector) for protocol, selector in self.links),
        }


def _selector(flags: int, keys: bytes = b"", move: int = 0, hash_offset: int = 0, hash_mask: int = 0) -> bytes:
    start = _SELECTOR_HEAD.pack(flags, 0, len(keys) // _KEY_BYTES, move, 0, hash_offset)
    return start + struct.pack(">I", hash_mask) + keys


def _key(mask: int, value: int, offset: int) -> bytes:
    return struct.pack(">II", mask, value) + struct.pack("=ii", offset, 0)


def _to_code_point(ether_type: int, begins_with_tag: bool) -> bytes:
    outer = _key(0xFFFF, _TAGGED if begins_with_tag else ether_type, -4)
    inner = _key(0xFFFF, ether_type, 0) if begins_with_tag else b""
    place = _TAG_BYTES if begins_with_tag else 0
    return _selector(0, outer + inner, hash_offset=place, hash_mask=_CODE_POINT[ether_type])


_FORMS = {
    Steers.SOURCE: _Form(
        dict.fromkeys((_TABLE, *_ADDRESS_TABLES.values()), 256),
        (
            (_ALL, _selector(_MOVE_ORIGIN, move=_TAG_BYTES, hash_offset=-6, hash_mask=0xFF)),
            (_TAGGED, _selector(0, hash_offset=-10, hash_mask=0xFF)),
        ),
    ),
    Steers.MARK: _Form(
        {_TABLE: 64},
        tuple((_ALL, _to_code_point(type_, tagged)) for type_ in _CODE_POINT for tagged in (False, True)),
    ),
}


def ask_filters(ifindex: int, qdisc: int) -> Request:
    return Request(_GET_FILTER, DUMP, head(ifindex, 0, qdisc), "read the filters")


def forget(ifindex: int, qdisc: int, what: str) -> Request:
    """Deletes every filter of the qdisc."""
    return Request(_DELETE_FILTER, 0, head(ifindex, 0, qdisc), what)


def prepare(ifindex: int, qdisc: int, steers: Steers, what: str) -> Iterator[Request]:
    """The tables, empty, and the rules that lead to the first."""
    form = _FORMS[steers]
    for table, buckets in form.tables.items():
        yield _new(ifindex, table, qdisc, _ALL, attribute(_DIVISOR, struct.pack("=I", buckets)), what)
    for protocol, selector in form.links:
        link = attribute(_LINK, struct.pack("=I", _TABLE)) + attribute(_SELECTOR, selector)
        yield _new(ifindex, 0, qdisc, protocol, link, what)


def steer(ifindex: int, change: Change, item: SteeringPlan, handles: Mapping[SteeringPlan, int]) -> Request:
    """handles: the kernel's, of the filters that are there."""
    if change.verb is Verb.DELETE:
        start = head(ifindex, handles[item], item.qdisc, _info(_ALL))
        return Request(_DELETE_FILTER, 0, start + attribute(KIND, b"u32\0"), str(change))
    rule = b"".join(attribute(part, value) for part, value in _parts(item).items())
    return _new(ifindex, 0, item.qdisc, _ALL, rule, str(change))


def filter_row(body: bytes) -> FilterRow:
    found = row(body)
    protocol = _swapped(found.info & 0xFFFF)
    ours = found.attributes.get(KIND) == b"u32\0" and _PRIORITY.get(protocol) == found.info >> 16
    return FilterRow(protocol, found.handle, dict(attributes(found.attributes.get(OPTIONS, b""))) if ours else None)


def steering_of(qdisc: int, rows: Sequence[FilterRow]) -> Steering:
    if not rows:
        return Steering(Steers.NOTHING)
    tables, rules = set[object](), list[tuple[int, Mapping[int, bytes]]]()
    for found in rows:
        if found.options is None:
            return Steering(None)
        if _DIVISOR in found.options:
            tables.add((found.handle if found.handle < _ROOT_TABLES else _ROOT_TABLES, found.options[_DIVISOR]))
        elif _LINK in found.options and _table_of(found.options) not in (_TABLE, *_ADDRESS_TABLES.values()):
            tables.add((found.protocol, found.options[_LINK], found.options.get(_SELECTOR)))
        elif found.options:  # none: a row that only announces a priority and protocol
            rules.append((found.handle, found.options))
    steers = next((steers for steers, form in _FORMS.items() if form.parts == tables), None)
    handles = dict[SteeringPlan, int]()
    for handle, rule in rules:
        item = None if steers is None else _item_of(steers, qdisc, rule)
        if item is None or item in handles:
            return Steering(None)
        handles[item] = handle
    return Steering(steers, handles)


def _new(ifindex: int, handle: int, qdisc: int, protocol: int, rule: bytes, what: str) -> Request:
    return Request(_NEW_FILTER, CREATE, head(ifindex, handle, qdisc, _info(protocol)) + options("u32", rule), what)


def _parts(item: SteeringPlan) -> dict[int, bytes]:
    """The attributes of the rule."""
    if isinstance(item, RouterPlan):
        leads, selector = (_LINK, _ADDRESS_TABLES[item.version]), _to_addresses(item)
    else:
        leads, selector = (_CLASS_ID, item.target), _selector(_TERMINAL, _keys(item))
    return {leads[0]: struct.pack("=I", leads[1]), _HASH: struct.pack("=I", _bucket(item)), _SELECTOR: selector}


def _to_addresses(item: RouterPlan) -> bytes:
    """Only the words that end in the MAC's last bytes and what follows them tell the versions and forms apart."""
    outer, inner, move = _ETHER_TYPE[item.version], b"", 0
    if item.is_tagged:
        outer, inner, move = _TAGGED, _key(0xFFFF, outer, -_TAG_BYTES), _TAG_BYTES
    return _selector(
        _MOVE_ORIGIN if item.is_tagged else 0,
        _mac_keys(item.mac, outer) + inner,
        move=move,
        hash_offset=_ADDRESS_WORDS[item.version][-1] + move,
        hash_mask=0xFF,
    )


def _keys(item: FilterPlan | AddressPlan | MarkPlan) -> bytes:
    """Of a code point nothing: its bucket holds no other."""
    if isinstance(item, MarkPlan):
        return b""
    if isinstance(item, FilterPlan):
        return _mac_keys(item.mac)
    words, offsets = _words(item), _ADDRESS_WORDS[item.version]
    return b"".join(_key(0xFFFFFFFF, word, offset) for word, offset in zip(words, offsets, strict=True))


def _mac_keys(mac: int, follows: int | None = None) -> bytes:
    """follows: the two bytes behind it; None: any."""
    mask = 0xFFFF0000 if follows is None else 0xFFFFFFFF
    last = (mac & 0xFFFF) << 16 | (follows or 0)
    return _key(0xFFFFFFFF, mac >> 16, _MAC_OFFSET) + _key(mask, last, _MAC_OFFSET + 4)


def _words(item: AddressPlan) -> tuple[int, ...]:
    count = len(_ADDRESS_WORDS[item.version])
    return struct.unpack(f">{count}I", item.address.to_bytes(4 * count, "big"))


def _bucket(item: SteeringPlan) -> int:
    if isinstance(item, MarkPlan):
        return _TABLE | item.code_point << 12
    if isinstance(item, AddressPlan):
        return _ADDRESS_TABLES[item.version] | (item.address & 0xFF) << 12
    return _TABLE | (item.mac & 0xFF) << 12


def _item_of(steers: Steers, qdisc: int, rule: Mapping[int, bytes]) -> SteeringPlan | None:
    """None when the rule is not one that `steer` writes."""
    item = _read_mark(qdisc, rule) if steers is Steers.MARK else _read_source(qdisc, rule)
    wanted = {} if item is None else _parts(item)
    return item if wanted and all(rule.get(part) == value for part, value in wanted.items()) else None


def _read_mark(qdisc: int, rule: Mapping[int, bytes]) -> MarkPlan | None:
    place, target = _number(rule, _HASH), _number(rule, _CLASS_ID)
    return None if place is None or target is None else MarkPlan(qdisc, (place & ~_TABLE_OF) >> 12, target)


def _read_source(qdisc: int, rule: Mapping[int, bytes]) -> SteeringPlan | None:
    """What of it is compared says what it is; whether all of it is as it should be, not."""
    versions = {table: version for version, table in _ADDRESS_TABLES.items()}
    link, target, compared = _number(rule, _LINK), _number(rule, _CLASS_ID), _compared(rule)
    if link in versions and len(compared) in (2, 3):
        return RouterPlan(qdisc, _mac_of(compared), versions[link], len(compared) == 3)
    if target is None or not compared:
        return None
    version = versions.get(_table_of(rule))
    if version is not None:
        return AddressPlan(qdisc, version, int.from_bytes(struct.pack(f">{len(compared)}I", *compared), "big"), target)
    return FilterPlan(qdisc, _mac_of(compared), target) if len(compared) == 2 else None


def _mac_of(compared: Sequence[int]) -> int:
    return compared[0] << 16 | compared[1] >> 16


def _compared(rule: Mapping[int, bytes]) -> list[int]:
    """The values of the keys of its selector."""
    keys = rule.get(_SELECTOR, b"")[_SELECTOR_HEAD.size + 4 :]
    return [struct.unpack_from(">I", keys, at + 4)[0] for at in range(0, len(keys) - _KEY_BYTES + 1, _KEY_BYTES)]


def _table_of(rule: Mapping[int, bytes]) -> int:
    """Handle of the table that it stands in."""
    return (_number(rule, _HASH) or 0) & _TABLE_OF


def _number(rule: Mapping[int, bytes], part: int) -> int | None:
    value = rule.get(part, b"")
    return int(struct.unpack("=I", value)[0]) if len(value) == 4 else None


def _info(protocol: int) -> int:
    return _PRIORITY[protocol] << 16 | _swapped(protocol)


def _swapped(protocol: int) -> int:
    """Between the order of this machine and that of the network."""
    (swapped,) = struct.unpack("=H", struct.pack(">H", protocol))
    return int(swapped)
