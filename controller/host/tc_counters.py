"""The counters of qdiscs and classes out of the kernel's messages, thousands of them a second. Pure.

Messages of one length have their counters at one place: that is found once and from then on read in one step, in which
the attributes' own heads are read as well, so that another message of that length is not mistaken for one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from controller.host.qdisc_frames import STATISTICS, attributes

Row = tuple[int, ...]  # bytes and packets sent, packets dropped, bytes that wait

_HEAD_BYTES, _ATTRIBUTE_BYTES = 20, 4
_BASIC_BYTES = 12  # that say something
_BASIC, _QUEUE, _PACKETS64 = 1, 3, 8  # the last only where 32 bits are too few


@dataclass(frozen=True, slots=True)
class _Layout:
    """heads: of the attribute of statistics, and of the two that begin it and that `fields` reads."""

    fields: struct.Struct
    heads: tuple[bytes, bytes, bytes]


class CounterReader:
    """Remembers where counters stand in messages of each length."""

    def __init__(self) -> None:
        self._layouts: dict[int, _Layout] = {}

    def row(self, body: bytes) -> Row:
        """Of a message without its netlink header; what it does not say is 0."""
        layout = self._layouts.get(len(body))
        if layout is not None:
            statistics, basic, sent_bytes, sent_packets, queue, backlog_bytes, dropped = layout.fields.unpack_from(body)
            if (statistics, basic, queue) == layout.heads:
                return sent_bytes, sent_packets, dropped, backlog_bytes
        return self._slowly(body)

    def _slowly(self, body: bytes) -> Row:
        place, statistics = _HEAD_BYTES, b""
        for type_, value in attributes(body[_HEAD_BYTES:]):
            if type_ == STATISTICS:
                statistics = value
                break
            place += (_ATTRIBUTE_BYTES + len(value) + 3) & ~3
        found = dict(attributes(statistics))
        sent_bytes, sent_packets = struct.unpack_from("=QI", found.get(_BASIC, bytes(12)))
        if _PACKETS64 in found:
            (sent_packets,) = struct.unpack("=Q", found[_PACKETS64])
        _, backlog_bytes, dropped = struct.unpack_from("=3I", found.get(_QUEUE, bytes(12)))
        if list(found)[:2] == [_BASIC, _QUEUE]:  # as the kernel has them, unless it counts beyond 32 bits
            beyond = (len(found[_BASIC]) - _BASIC_BYTES + 3) & ~3  # on 64 bits the kernel's structure ends with a gap
            fields = struct.Struct(f"={place}x4s4sQI{beyond}x4s4xII")
            layout = fields.unpack_from(body)
            self._layouts[len(body)] = _Layout(fields, (layout[0], layout[1], layout[4]))
        return sent_bytes, sent_packets, dropped, backlog_bytes
