"""Plans as the kernel's traffic-control messages and back. Pure: bytes in, bytes out.

Written out here because pyroute2 knows no bfifo, no u32 hash tables and no offsets before the network header, and
sends tables of rates that no kernel since 3.8 wants.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.host import leaf_codec, qdisc_steering
from controller.host.congestion import FqCodelPlan, RedPlan
from controller.host.qdisc_frames import (
    CREATE,
    DUMP,
    ECHO,
    KIND,
    OPTIONS,
    REPLACE,
    STATISTICS,
    Request,
    attribute,
    attributes,
    head,
    options,
    places,
    row,
)
from controller.host.queue_tree import (
    MAJOR,
    ROOT,
    BfifoPlan,
    Change,
    ClassPlan,
    ForeignPlan,
    HeadDropPlan,
    HtbPlan,
    QdiscPlan,
    SteeringPlan,
    Steers,
    TbfPlan,
    Verb,
)
from controller.stream.messages import QueueSample

_NEW_QDISC, _DELETE_QDISC, _GET_QDISC = 36, 37, 38
_NEW_CLASS, _DELETE_CLASS, _GET_CLASS = 40, 41, 42

_RATE = struct.Struct("=BBHhHI")  # cell_log, link layer, overhead, cell_align, mpu, bytes/s
_HTB_CLASS = struct.Struct("=12s12sIIIII")  # rate, ceil, buffer, cbuffer, quantum, level, prio
_HTB = struct.Struct("=IIIII")  # version, rate2quantum, default class, debug, direct packets
_TBF = struct.Struct("=12s12sIII")  # rate, peak rate, limit, buffer, mtu
_PARAMETERS, _HTB_INIT = 1, 2  # attributes
_HTB_RATE64, _HTB_CEIL64, _TBF_RATE64 = 6, 7, 4
_BASIC, _QUEUE, _PACKETS64 = 1, 3, 8
_ETHERNET = 1  # link layer of a rate: lengths count as they are
_HTB_VERSION, _HTB_R2Q = 3, 10
_MOST_RATE32 = 0xFFFFFFFF
_TICK_NS = 64


@dataclass(frozen=True, slots=True)
class QdiscRow:
    parent: int
    handle: int  # 0: the kernel's own choice
    plan: QdiscPlan  # HtbPlan: `steers` is not known from here
    sample: QueueSample


@dataclass(frozen=True, slots=True)
class ClassRow:
    place: int
    plan: ClassPlan
    leaf: int  # handle of the qdisc below it; 0: the kernel's own choice
    sample: QueueSample


def ask_qdisc(ifindex: int, parent: int) -> Request:
    return Request(_GET_QDISC, ECHO, head(ifindex, 0, parent), "read a qdisc")  # without ECHO only groups are told


def ask_qdiscs() -> Request:
    """Of all devices; the kernel does not choose."""
    return Request(_GET_QDISC, DUMP, head(0, 0, 0), "read the qdiscs")


def ask_classes(ifindex: int) -> Request:
    return Request(_GET_CLASS, DUMP, head(ifindex, 0, 0), "read the classes")


def requests_of(ifindex: int, change: Change, filters: Mapping[SteeringPlan, int]) -> Iterator[Request]:
    """What to send for one change. filters: the kernel's handles of those that are there."""
    if isinstance(change.item, SteeringPlan):
        yield qdisc_steering.steer(ifindex, change, change.item, filters)
    elif isinstance(change.item, ClassPlan):
        yield _class_request(ifindex, change, change.item)
    else:
        yield from _qdisc_requests(ifindex, change, change.item)


def _class_request(ifindex: int, change: Change, item: ClassPlan) -> Request:
    if change.verb is Verb.DELETE:
        return Request(_DELETE_CLASS, 0, head(ifindex, change.place, 0), str(change))
    body = head(ifindex, change.place, item.parent) + options("htb", _class_options(item))
    return Request(_NEW_CLASS, CREATE, body, str(change))


def _qdisc_requests(ifindex: int, change: Change, item: QdiscPlan) -> Iterator[Request]:
    what = str(change)
    if change.verb is Verb.DELETE:
        yield Request(_DELETE_QDISC, 0, head(ifindex, 0, change.place), what)
        return
    handle = item.handle if isinstance(item, HtbPlan) else 0
    if change.verb is Verb.STEER:
        yield qdisc_steering.forget(ifindex, handle, what)
    else:  # one without a handle is changed in place where the kind is the same
        yield Request(_NEW_QDISC, CREATE | REPLACE, head(ifindex, handle, change.place) + _qdisc_options(item), what)
    if isinstance(item, HtbPlan) and item.steers not in (None, Steers.NOTHING):
        yield from qdisc_steering.prepare(ifindex, handle, item.steers, what)


def qdisc_row(body: bytes) -> QdiscRow:
    found = row(body)
    kind, own = found.attributes[KIND].rstrip(b"\0").decode(), found.attributes.get(OPTIONS, b"")
    plan: QdiscPlan = ForeignPlan(kind)
    if kind == "htb":
        plan = HtbPlan(found.handle, _HTB.unpack_from(dict(attributes(own))[_HTB_INIT])[2])
    elif kind == "bfifo":
        plan = BfifoPlan(*struct.unpack_from("=I", own))
    elif kind == "pfifo_head_drop":
        plan = HeadDropPlan(*struct.unpack_from("=I", own))
    elif kind == "red":
        plan = leaf_codec.red(own)
    elif kind == "fq_codel":
        plan = leaf_codec.fq_codel(own)
    elif kind == "tbf":
        nested = dict(attributes(own))
        rate, _, limit_bytes, ticks, _ = _TBF.unpack_from(nested[_PARAMETERS])
        plan = TbfPlan(_kbps(rate, nested.get(_TBF_RATE64)), _us(ticks), limit_bytes)
    return QdiscRow(found.parent, found.handle, plan, _sample(found.attributes))


def class_id(body: bytes) -> int:
    """Or of a qdisc its handle; 0: the kernel's own choice."""
    return places(body)[1]


def class_sample(body: bytes) -> QueueSample:
    """The counters of a class alone."""
    return _sample(row(body).attributes)


def class_row(body: bytes) -> ClassRow | None:
    """None: no class of HTB."""
    found = row(body)
    if found.attributes[KIND] != b"htb\0":
        return None
    nested = dict(attributes(found.attributes[OPTIONS]))
    rate, ceil, ticks, ceil_ticks, quantum, _, priority = _HTB_CLASS.unpack_from(nested[_PARAMETERS])
    plan = ClassPlan(
        parent=found.handle & MAJOR if found.parent == ROOT else found.parent,
        rate_kbps=_kbps(rate, nested.get(_HTB_RATE64)),
        ceil_kbps=_kbps(ceil, nested.get(_HTB_CEIL64)),
        burst_us=_us(ticks),
        cburst_us=_us(ceil_ticks),
        quantum_bytes=quantum,
        priority=priority,
    )
    return ClassRow(found.handle, plan, found.info, _sample(found.attributes))


def _qdisc_options(item: QdiscPlan) -> bytes:
    if isinstance(item, HtbPlan):
        return options("htb", attribute(_HTB_INIT, _HTB.pack(_HTB_VERSION, _HTB_R2Q, item.default_minor, 0, 0)))
    if isinstance(item, BfifoPlan):
        return options("bfifo", struct.pack("=I", item.limit_bytes), nested=False)
    if isinstance(item, HeadDropPlan):
        return options("pfifo_head_drop", struct.pack("=I", item.limit_packets), nested=False)
    if isinstance(item, RedPlan):
        return options("red", leaf_codec.red_options(item))
    if isinstance(item, FqCodelPlan):
        return options("fq_codel", leaf_codec.fq_codel_options(item))
    if isinstance(item, TbfPlan):
        rate, wide = _rate(item.rate_kbps, _TBF_RATE64)
        body = _TBF.pack(rate, bytes(_RATE.size), item.limit_bytes, _ticks(item.burst_us), 0)
        return options("tbf", attribute(_PARAMETERS, body) + wide)
    raise TypeError(f"a qdisc of kind {item.kind} can only be read. Plan one of the others.")


def _class_options(item: ClassPlan) -> bytes:
    (rate, wide_rate), (ceil, wide_ceil) = _rate(item.rate_kbps, _HTB_RATE64), _rate(item.ceil_kbps, _HTB_CEIL64)
    depths = _ticks(item.burst_us), _ticks(item.cburst_us)
    body = _HTB_CLASS.pack(rate, ceil, *depths, item.quantum_bytes, 0, item.priority)
    return attribute(_PARAMETERS, body) + wide_rate + wide_ceil


def _rate(rate_kbps: int, wide: int) -> tuple[bytes, bytes]:
    """The field of 32 bits, and the attribute `wide` where that is too narrow."""
    rate = rate_kbps * 125
    narrow = _RATE.pack(0, _ETHERNET, 0, 0, 0, min(rate, _MOST_RATE32))
    return narrow, attribute(wide, struct.pack("=Q", rate)) if rate > _MOST_RATE32 else b""


def _kbps(rate: bytes, wide: bytes | None) -> int:
    bytes_per_s = struct.unpack("=Q", wide)[0] if wide else _RATE.unpack(rate)[5]
    return int(bytes_per_s) // 125


def _ticks(time_us: int) -> int:
    return time_us * 1000 // _TICK_NS


def _us(ticks: int) -> int:
    """Undoes `_ticks`."""
    return -(-ticks * _TICK_NS // 1000)


def _sample(found: Mapping[int, bytes]) -> QueueSample:
    nested = dict(attributes(found.get(STATISTICS, b"")))
    sent_bytes, sent_packets = struct.unpack_from("=QI", nested.get(_BASIC, bytes(12)))
    if _PACKETS64 in nested:  # more than 32 bits count
        sent_packets = struct.unpack_from("=Q", nested[_PACKETS64])[0]
    _, backlog_bytes, dropped, _, _ = struct.unpack_from("=5I", nested.get(_QUEUE, bytes(20)))
    return QueueSample(sent_bytes, sent_packets, dropped, backlog_bytes)
