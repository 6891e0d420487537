"""What is measured of a VIF at one tick, as values, and the same of many VIFs as arrays. Pure.

Counters are cumulative; one that falls was made anew (a meter MODIFY zeroes its statistics, a new qdisc starts from 0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import TypeVar

import numpy as np

from controller.allocation.tree import FloatArray, IntArray

_NAN = float("nan")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MeterCounters:
    """The egress meter of a VIF: bytes that reached it, and bytes that its band dropped."""

    in_bytes: int
    dropped_bytes: int


@dataclass(frozen=True, slots=True)
class PortCounters:
    """The VIF's OpenFlow port: rx comes from the instance (egress), tx goes to it (ingress).

    rx_cut, tx_cut: packets beside those that the port itself has dropped, as DPDK's policers do; 0 where it does not.
    """

    rx_bytes: int
    tx_bytes: int
    rx_packets: int = 0
    tx_packets: int = 0
    rx_cut: int = 0
    tx_cut: int = 0


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
_WIDTHS = (2, 6, 4, 4, 4)
METER_IN, METER_DROPPED, PORT_RX, PORT_TX, PORT_RX_PACKETS, PORT_TX_PACKETS, PORT_RX_CUT, PORT_TX_CUT = range(8)
BACKLOG_BYTES = 3  # within a queue's block, after bytes sent, packets sent, packets dropped
FIRST_COLUMN: IntArray = np.concatenate([[0], np.cumsum(_WIDTHS)[:-1]]).astype(np.int64)  # by block
BLOCK_OF_COLUMN: IntArray = np.repeat(np.arange(len(_WIDTHS)), _WIDTHS)
GAUGES = np.zeros(len(BLOCK_OF_COLUMN), dtype=np.bool_)  # which columns may fall without having been made anew
GAUGES[FIRST_COLUMN[SHAPER:] + BACKLOG_BYTES] = True
WIDTH = np.full(len(BLOCK_OF_COLUMN), 2.0**64)  # from where each counter begins again at 0
WIDTH[np.add.outer(FIRST_COLUMN[SHAPER:], [1, 2])] = 2.0**32  # tc counts packets, sent and dropped, in 32 bits


@dataclass(frozen=True, slots=True)
class Readings:
    """value: float64[n_vifs, n_columns]; time_s: float64[n_vifs, n_blocks]; NaN where nothing was read."""

    value: FloatArray
    time_s: FloatArray


class CountersByVif(Mapping[int, VifCounters]):
    """VifCounters by VIF number, made of the arrays when somebody asks."""

    __slots__ = ("numbers", "read")

    def __init__(self, numbers: IntArray, read: Readings) -> None:
        """numbers: int64[n], the VIF numbers of the rows, in ascending order."""
        self.numbers, self.read = numbers, read

    def __getitem__(self, vif: int) -> VifCounters:
        at = int(np.searchsorted(self.numbers, vif))
        if at == len(self.numbers) or self.numbers[at] != vif:
            raise KeyError(vif)
        value, times = self.read.value[at].tolist(), self.read.time_s[at].tolist()

        def block(which: int, made: Callable[..., T]) -> T | None:
            first = int(FIRST_COLUMN[which])
            found = value[first : first + _WIDTHS[which]]
            return None if isnan(found[0]) else made(*map(int, found))

        return VifCounters(
            switch_time_s=_latest(times[:SHAPER]),
            host_time_s=_latest(times[SHAPER:]),
            meter=block(METER, MeterCounters),
            port=block(PORT, PortCounters),
            shaper=block(SHAPER, QueueCounters),
            uplink=block(UPLINK, QueueCounters),
            ingress=block(INGRESS, QueueCounters),
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers.tolist())

    def __len__(self) -> int:
        return len(self.numbers)


def _latest(times: list[float]) -> float:
    return max((time_s for time_s in times if not isnan(time_s)), default=float("-inf"))


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
    if port is None:
        value += [_NAN] * 6
    else:
        value += [port.rx_bytes, port.tx_bytes, port.rx_packets, port.tx_packets, port.rx_cut, port.tx_cut]
    for queue in (sample.shaper, sample.uplink, sample.ingress):
        if queue is None:
            value += [_NAN] * 4
        else:
            value += [queue.sent_bytes, queue.sent_packets, queue.dropped_packets, queue.backlog_bytes]
    return value, [sample.switch_time_s] * 2 + [sample.host_time_s] * 3
