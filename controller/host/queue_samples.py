"""The counters of all queues of this host, read only where something can have changed: on links that carry traffic.

What each link has received and sent is read for all of them at once. A queue is read when a packet of its link was
counted since the last time or the time before that (the counter may have been read before the packet came to the
queue), and while something waits in it; every queue now and then, whatever the links say.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from controller.host import qdisc, visits
from controller.host.errors import HostError
from controller.host.link_codec import Link, Traffic
from controller.host.link_table import LinkTable
from controller.host.qdisc_codec import class_id
from controller.host.queue_ids import vif_of
from controller.host.shaper_samples import ShaperSamples
from controller.host.tc_counters import CounterReader, Row
from controller.host.wish import Wish, Wishes
from controller.measure.counted import Counted, counted
from controller.stream.messages import QueueSample, QueueTable
from controller.stream.queue_table import COLUMNS, INGRESS, SHAPER, UPLINK, class_block

WHOLE_S = 10.0  # every queue is read so often
STILL_BYTES_PER_S = 4000  # on one link from one sample to the next: more than probes come to
FEW = 0.5  # up to this part of the ports these are asked for one by one, beyond all are read at once
Key = TypeVar("Key", str, int)
Keyed = tuple[str, int]  # name of a block and VIF number
log = logging.getLogger("weir.agent")


@dataclass(frozen=True, slots=True)
class Taken:
    """gone_*: whose tree is not there though it is wished for."""

    table: QueueTable = field(default_factory=lambda: QueueTable({}))
    gone_uplinks: frozenset[str] = frozenset()
    gone_ports: frozenset[int] = frozenset()
    gone_shapers: frozenset[int] = frozenset()
    still: bool = False  # see HostSample


@dataclass(slots=True)
class _Device:
    """What was last read of one device with a tree."""

    wish: Wish
    index: int
    rows: dict[Keyed, Row] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        return any(row[3] for row in self.rows.values())


class QueueSamples:
    """Of one agent. own: the traffic control of its namespace."""

    def __init__(self, own: qdisc.TrafficControl) -> None:
        self._own, self._reader = own, CounterReader()
        self._shapers = ShaperSamples(self._visit)
        self._uplinks: dict[str, _Device] = {}
        self._ports: dict[int, _Device] = {}
        self._links: Mapping[str, Link] = {}
        self._traffic: Mapping[int, Traffic] = {}
        self._moved: frozenset[int] = frozenset()  # links on which packets were counted the last time
        self._taken_s = self._whole_s = -math.inf
        self._rows: dict[str, dict[int, Row]] = {}
        self._tables: dict[str, Counted] = {}

    def take(self, wishes: Wishes, links: LinkTable, now_s: float) -> Taken:
        """The counters of every VIF that has a queue. What cannot be read is left out. Raises HostError."""
        self._links, traffic = links.links(), links.traffic()
        before, self._traffic = self._traffic, traffic
        moved = frozenset(index for index, packets in traffic.items() if packets != before.get(index))
        active, self._moved = moved | self._moved, moved
        most_bytes, self._taken_s = STILL_BYTES_PER_S * (now_s - self._taken_s), now_s
        still = all(_is_still(before.get(index), traffic[index], most_bytes) for index in moved)
        whole = now_s >= self._whole_s + WHOLE_S
        if whole:
            self._whole_s = now_s
        gone_uplinks = self._read_uplinks(_planned(wishes.uplinks), active, whole)
        gone_ports = self._read_ports(_planned(wishes.ingress), active, whole)
        shapers = _planned(wishes.shapers)
        ends = {number: self._index(wish.arrives_at or "") for number, wish in shapers.items()}
        received = {number: traffic[index].received_packets for number, index in ends.items() if index in traffic}
        sampled = self._shapers.take(shapers, received)
        table = self._table({number: sample.row for number, sample in sampled.items()})
        return Taken(table, gone_uplinks, gone_ports, frozenset(shapers.keys() - sampled.keys()), still)

    def _read_uplinks(self, wishes: Mapping[str, Wish], active: frozenset[int], whole: bool) -> frozenset[str]:
        devices, gone = dict[str, _Device](), set[str]()
        for name, wish in wishes.items():
            device = self._known(self._uplinks.get(name), wish)
            if whole or not device.rows or device.index in active or device.waits:
                device.rows = self._uplink_rows(device) if device.index else {}
            if device.rows:
                devices[name] = device
            else:
                gone.add(name)
        self._uplinks = devices
        return frozenset(gone)

    def _uplink_rows(self, device: _Device) -> dict[Keyed, Row]:
        rows, classes, row = dict[Keyed, Row](), device.wish.classes, self._reader.row
        for body in self._own.class_counters(device.index):
            place = class_id(body)
            if place in classes:
                vif, name = classes[place]
                rows[class_block(UPLINK, name), vif] = row(body)
            elif (number := vif_of(place)) is not None:
                rows[UPLINK, number] = row(body)
            elif not rows:
                rows[UPLINK, 0] = row(body)  # a tree without VIFs is one
        return rows

    def _read_ports(self, wishes: Mapping[int, Wish], active: frozenset[int], whole: bool) -> frozenset[int]:
        known = {number: self._known(self._ports.get(number), wish) for number, wish in wishes.items()}
        due = {
            number: device
            for number, device in known.items()
            if whole or not device.rows or device.index in active or device.waits
        }
        roots = self._roots([device.index for device in due.values()], len(known))
        for number, device in due.items():
            root = roots.get(device.index)
            device.rows = {} if root is None else {(INGRESS, number): self._reader.row(root)}
            if root is not None and device.wish.classes:
                device.rows |= self._class_rows(device)
        self._ports = {number: device for number, device in known.items() if device.rows}
        return frozenset(known.keys() - self._ports.keys())

    def _roots(self, indexes: list[int], ports: int) -> Mapping[int, bytes]:
        if len(indexes) > FEW * ports:
            return self._own.all_root_counters()
        found = zip(indexes, self._own.root_counters(indexes), strict=True)
        return {index: body for index, body in found if body is not None}

    def _class_rows(self, device: _Device) -> dict[Keyed, Row]:
        rows = {}
        for body in self._own.class_counters(device.index):
            if (found := device.wish.classes.get(class_id(body))) is not None:
                rows[class_block(INGRESS, found[1]), found[0]] = self._reader.row(body)
        return rows

    def _known(self, before: _Device | None, wish: Wish) -> _Device:
        """What was read before counts while neither tree nor device are others."""
        index = self._index(wish.device)
        return before if before is not None and (before.wish, before.index) == (wish, index) else _Device(wish, index)

    def _index(self, device: str) -> int:
        link = self._links.get(device)
        return link.index if link else 0

    def _visit(self, wish: Wish) -> QueueSample | None:
        end = self._links.get(wish.arrives_at or "")
        port = self._own.port
        body = visits.root_qdisc(wish.netns, end.peer, port) if wish.netns and end and end.peer else None
        if body is not None:
            return QueueSample(*self._reader.row(body))
        try:
            return qdisc.read_samples(wish.device, wish.netns, port).get(0)
        except HostError as fault:
            log.debug("%s", fault)  # the audit finds it, and reports it
            return None

    def _table(self, shapers: dict[int, Row]) -> QueueTable:
        """What has not changed is the same object as the last time."""
        rows: dict[str, dict[int, Row]] = {SHAPER: shapers} if shapers else {}
        for device in (*self._uplinks.values(), *self._ports.values()):
            for (block, number), row in device.rows.items():
                if number:
                    of = rows.setdefault(block, {})
                    of[number] = _sum(of[number], row) if number in of else row  # an uplink may have two devices
        tables = self._tables
        self._tables = {
            block: tables[block] if self._rows.get(block) == of else counted(of, COLUMNS) for block, of in rows.items()
        }
        self._rows = rows
        return QueueTable(self._tables)


def _is_still(before: Traffic | None, now: Traffic, most_bytes: float) -> bool:
    if before is None:
        return False
    return max(now.received_bytes - before.received_bytes, now.sent_bytes - before.sent_bytes) < most_bytes


def _planned(wishes: Mapping[Key, Wish]) -> dict[Key, Wish]:
    return {key: wish for key, wish in wishes.items() if wish.plan}


def _sum(one: Row, other: Row) -> Row:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]
