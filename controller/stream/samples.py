"""What an agent has counted in queues, VIF by VIF; many of them as a table, which costs no object each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from controller.measure.counted import counted
from controller.stream.queue_table import COLUMNS, INGRESS, SHAPER, UPLINK, Blocks, class_block, classes_in

Row = tuple[int, ...]  # in the order of the columns of a block


@dataclass(frozen=True, slots=True)
class QueueSample:
    """One queue as tc shows it: cumulative counters, and the backlog now."""

    sent_bytes: int
    sent_packets: int
    dropped_packets: int
    backlog_bytes: int

    def __add__(self, other: QueueSample) -> QueueSample:
        """Of two queues that stand beside each other."""
        return QueueSample(
            self.sent_bytes + other.sent_bytes,
            self.sent_packets + other.sent_packets,
            self.dropped_packets + other.dropped_packets,
            self.backlog_bytes + other.backlog_bytes,
        )

    @property
    def row(self) -> Row:
        return self.sent_bytes, self.sent_packets, self.dropped_packets, self.backlog_bytes


@dataclass(frozen=True, slots=True)
class VifSample:
    """The queues of one VIF; None: the VIF has no such queue, or it could not be read.

    *_classes: by traffic class, the queues that make up the one before.
    """

    shaper: QueueSample | None = None  # inside the instance's namespace, before the meter
    uplink: QueueSample | None = None  # its leaves in the tree of its uplink
    ingress: QueueSample | None = None  # its tree on its own port
    uplink_classes: Mapping[str, QueueSample] = field(default_factory=dict)
    ingress_classes: Mapping[str, QueueSample] = field(default_factory=dict)


class QueueTable(Mapping[int, VifSample]):
    """By VIF number, of all that have a queue. blocks: see queue_table."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    def __getitem__(self, vif: int) -> VifSample:
        found = {name: rows.row(vif) for name, rows in self.blocks.items()}
        if not any(found.values()):
            raise KeyError(vif)
        return VifSample(
            _sample(found.get(SHAPER)),
            _sample(found.get(UPLINK)),
            _sample(found.get(INGRESS)),
            *(
                {name: QueueSample(*row) for name, block in classes_in(found, kind) if (row := found[block])}
                for kind in (UPLINK, INGRESS)
            ),
        )

    def __iter__(self) -> Iterator[int]:
        keys = [rows.keys for rows in self.blocks.values()]
        return iter(np.unique(np.concatenate(keys)).tolist() if keys else [])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"QueueTable of {dict(self)!r}"


def table_of(vifs: Mapping[int, VifSample]) -> QueueTable:
    """VIFs without any queue are left out."""
    if isinstance(vifs, QueueTable):
        return vifs
    blocks: dict[str, dict[int, Row]] = {}
    for number, sample in vifs.items():
        for name, queue in _queues(sample):
            blocks.setdefault(name, {})[number] = queue.row
    return QueueTable({name: counted(rows, COLUMNS) for name, rows in blocks.items()})


def _queues(sample: VifSample) -> Iterator[tuple[str, QueueSample]]:
    for name, queue in ((SHAPER, sample.shaper), (UPLINK, sample.uplink), (INGRESS, sample.ingress)):
        if queue is not None:
            yield name, queue
    for kind, classes in ((UPLINK, sample.uplink_classes), (INGRESS, sample.ingress_classes)):
        for name, queue in classes.items():
            yield class_block(kind, name), queue


def _sample(row: Row | None) -> QueueSample | None:
    return None if row is None else QueueSample(*row)
