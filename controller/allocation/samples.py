"""What is measured of a VIF at one tick, as values, and the same of many VIFs as arrays. Pure.

Counters are cumulative; one that falls was made anew (a meter MODIFY zeroes its statistics, a new qdisc starts from 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from controller.allocation.tree import FloatArray, IntArray

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class MeterCounters:
    """The egress meter of a VIF: bytes that reached it, and bytes that its band dropped."""

    in_bytes: int
    dropped_bytes: int


@dataclass(frozen=True, slots=True)
class PortCounters:
    """The VIF's OpenFlow port: rx comes from the instance (egress), tx goes to it (ingress)."""

    rx_bytes: int
    tx_bytes: int


@dataclass(frozen=True, slots=True)
class QueueCounters:
    """A qdisc or class as tc shows it; the backlog is what stands in it now."""

    sent_bytes: int
    sent_packets: int
    dropped_packets: int
    backlog_bytes: int


@dataclass(frozen=True, slots=True)
class VifCounters:
    """One VIF at one tick; None: there is no such thing, or it could not be read.

    switch_time_s: when meter and port were read; host_time_s: when the queues were. Each is a monotonic clock of the
    place that read them; the two need not agree. An unchanged time says that nothing new was read.
    """

    switch_time_s: float
    host_time_s: float
    meter: MeterCounters | None = None
    port: PortCounters | None = None
    shaper: QueueCounters | None = None  # inside the instance's namespace, before the meter
    uplink: QueueCounters | None = None  # its leaf in the tree of its uplink
    ingress: QueueCounters | None = None  # its tree on its own port


# A block is what is read, and starts anew, together: its columns are the counters in it.
METER, PORT, SHAPER, UPLINK, INGRESS = range(5)
_WIDTHS = (2, 2, 4, 4, 4)
METER_IN, METER_DROPPED, PORT_RX, PORT_TX = range(4)
BACKLOG_BYTES = 3  # within a queue's block, after bytes sent, packets sent, packets dropped
FIRST_COLUMN: IntArray = np.concatenate([[0], np.cumsum(_WIDTHS)[:-1]]).astype(np.int64)  # by block
BLOCK_OF_COLUMN: IntArray = np.repeat(np.arange(len(_WIDTHS)), _WIDTHS)
GAUGES = np.zeros(len(BLOCK_OF_COLUMN), dtype=np.bool_)  # which columns may fall without having been made anew
GAUGES[FIRST_COLUMN[SHAPER:] + BACKLOG_BYTES] = True


@dataclass(frozen=True, slots=True)
class Readings:
    """value: float64[n_vifs, n_columns]; time_s: float64[n_vifs, n_blocks]; NaN where nothing was read."""

    value: FloatArray
    time_s: FloatArray


def readings(keys: IntArray, samples: Mapping[int, VifCounters]) -> Readings:
    """The samples of the VIFs `keys` (VIF numbers), in that order; a VIF without a sample has NaN everywhere."""
    nothing = ([_NAN] * len(BLOCK_OF_COLUMN), [_NAN] * len(_WIDTHS))
    rows = [nothing if (sample := samples.get(key)) is None else _row(sample) for key in keys.tolist()]
    value = np.array([row[0] for row in rows], dtype=np.float64).reshape(len(rows), len(BLOCK_OF_COLUMN))
    time_s = np.array([row[1] for row in rows], dtype=np.float64).reshape(len(rows), len(_WIDTHS))
    return Readings(value, np.where(np.isnan(value[:, FIRST_COLUMN]), np.nan, time_s))


def _row(sample: VifCounters) -> tuple[list[float], list[float]]:
    meter, port = sample.meter, sample.port
    value: list[float] = [_NAN, _NAN] if meter is None else [meter.in_bytes, meter.dropped_bytes]
    value += [_NAN, _NAN] if port is None else [port.rx_bytes, port.tx_bytes]
    for queue in (sample.shaper, sample.uplink, sample.ingress):
        if queue is None:
            value += [_NAN] * 4
        else:
            value += [queue.sent_bytes, queue.sent_packets, queue.dropped_packets, queue.backlog_bytes]
    return value, [sample.switch_time_s] * 2 + [sample.host_time_s] * 3
