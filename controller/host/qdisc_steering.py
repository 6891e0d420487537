"""How a frame finds its class, by source MAC or by code point, as u32 filters and back. Pure.

In either form rules lead through one hash table, whose bucket leaves nothing or little to compare, so that many filters
cost no more than one. u32 counts from the network header.

Source MAC: it ends 2 bytes before that header, or 6 where a VLAN tag stands in the frame. Two link rules (for all
frames, and for tagged ones) lead to the table, its bucket the MAC's last byte; the rule for all moves the origin by the
4 bytes of a tag, so that one filter a VIF serves both. It is tried first: a tag that the kernel keeps beside the frame
does not move the MAC.

Code point: the bucket is the code point itself. What stands before the network header tells IPv4 from IPv6 (whose
traffic class straddles bytes); a tag stands before that header, too, but for kernels that let the header begin with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controller.host.qdisc_frames import CREATE, DUMP, KIND, OPTIONS, Request, attribute, attributes, head, options, row
from controller.host.queue_tree import Change, FilterPlan, MarkPlan, SteeringPlan, Steers, Verb

_NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 44, 45, 46
_CLASS_ID, _HASH, _LINK, _DIVISOR, _SELECTOR = 1, 2, 3, 4, 5  # attributes
_ALL, _TAGGED = 0x0003, 0x8100  # protocols
_PRIORITY = {_ALL: 1, _TAGGED: 2}
_TABLE = 0x00100000  # handle of the hash table
_ROOT_TABLES = 0x80000000  # handles of the tables that each priority starts from
_MAC_OFFSET = -12  # of the MAC from the end of a tag
_TAG_BYTES = 4
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
    """buckets: of the table, as the kernel has it. links: protocol and selector of each rule that leads to it."""

    buckets: bytes
    links: tuple[tuple[int, bytes], ...]

    @property
    def parts(self) -> set[object]:
        return {
            (_TABLE, self.buckets),
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
        struct.pack("=I", 256),
        (
            (_ALL, _selector(_MOVE_ORIGIN, move=_TAG_BYTES, hash_offset=-6, hash_mask=0xFF)),
            (_TAGGED, _selector(0, hash_offset=-10, hash_mask=0xFF)),
        ),
    ),
    Steers.MARK: _Form(
        struct.pack("=I", 64),
        tuple((_ALL, _to_code_point(type_, tagged)) for type_ in _CODE_POINT for tagged in (False, True)),
    ),
}


def ask_filters(ifindex: int, qdisc: int) -> Request:
    return Request(_GET_FILTER, DUMP, head(ifindex, 0, qdisc), "read the filters")


def forget(ifindex: int, qdisc: int, what: str) -> Request:
    """Deletes every filter of the qdisc."""
    return Request(_DELETE_FILTER, 0, head(ifindex, 0, qdisc), what)


def prepare(ifindex: int, qdisc: int, steers: Steers, what: str) -> Iterator[Request]:
    """The table, empty, and the rules that lead to it."""
    form = _FORMS[steers]
    yield _new(ifindex, _TABLE, qdisc, _ALL, attribute(_DIVISOR, form.buckets), what)
    for protocol, selector in form.links:
        link = attribute(_LINK, struct.pack("=I", _TABLE)) + attribute(_SELECTOR, selector)
        yield _new(ifindex, 0, qdisc, protocol, link, what)


def steer(ifindex: int, change: Change, item: SteeringPlan, handles: Mapping[SteeringPlan, int]) -> Request:
    """handles: the kernel's, of the filters that are there."""
    if change.verb is Verb.DELETE:
        start = head(ifindex, handles[item], item.qdisc, _info(_ALL))
        return Request(_DELETE_FILTER, 0, start + attribute(KIND, b"u32\0"), str(change))
    rule = (
        attribute(_CLASS_ID, struct.pack("=I", item.target))
        + attribute(_HASH, _bucket(item))
        + attribute(_SELECTOR, _selector(_TERMINAL, _keys(item)))
    )
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
        elif _LINK in found.options:
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


def _keys(item: SteeringPlan) -> bytes:
    """Of a MAC its first four and last two bytes; of a code point nothing: its bucket holds no other."""
    if isinstance(item, MarkPlan):
        return b""
    return _key(0xFFFFFFFF, item.mac >> 16, _MAC_OFFSET) + _key(0xFFFF0000, (item.mac & 0xFFFF) << 16, _MAC_OFFSET + 4)


def _bucket(item: SteeringPlan) -> bytes:
    number = item.code_point if isinstance(item, MarkPlan) else item.mac & 0xFF
    return struct.pack("=I", _TABLE | number << 12)


def _item_of(steers: Steers, qdisc: int, rule: Mapping[int, bytes]) -> SteeringPlan | None:
    """None when the rule is not one that `steer` writes."""
    selector, place, target = (rule.get(part, b"") for part in (_SELECTOR, _HASH, _CLASS_ID))
    if len(target) != 4 or len(place) != 4:
        return None
    (class_id,) = struct.unpack("=I", target)
    item: SteeringPlan
    if steers is Steers.MARK:
        item = MarkPlan(qdisc, (struct.unpack("=I", place)[0] & 0xFF000) >> 12, class_id)
    elif len(selector) == _SELECTOR_HEAD.size + 4 + 2 * _KEY_BYTES:
        mac = struct.unpack_from(">I", selector, 20)[0] << 16 | struct.unpack_from(">H", selector, 36)[0]
        item = FilterPlan(qdisc, mac, class_id)
    else:
        return None
    return item if selector == _selector(_TERMINAL, _keys(item)) and place == _bucket(item) else None


def _info(protocol: int) -> int:
    return _PRIORITY[protocol] << 16 | _swapped(protocol)


def _swapped(protocol: int) -> int:
    """Between the order of this machine and that of the network."""
    (swapped,) = struct.unpack("=H", struct.pack(">H", protocol))
    return int(swapped)
