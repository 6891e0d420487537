"""Port counters on the wire. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from controller.openflow.wire import ANY, Frame, Multipart, WireError, multipart_request

_REQUEST = struct.Struct("!I4x")
_STATISTICS = struct.Struct("!I4x6Q56x")
_UNKNOWN = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class PortCounters:
    """Cumulative, seen from the switch: received is what entered it. A port that cannot count something says 0."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    tx_dropped: int


def statistics_request() -> Frame:
    return multipart_request(Multipart.PORT_STATS, _REQUEST.pack(ANY))


def decode_statistics(body: bytes) -> Iterator[tuple[int, PortCounters]]:
    """Port numbers and counters of one reply. Raises WireError when it is malformed."""
    if len(body) % _STATISTICS.size:
        raise WireError(f"port reply of {len(body)} bytes: not a multiple of {_STATISTICS.size}")
    for port, *counters in _STATISTICS.iter_unpack(body):
        yield port, PortCounters(*(0 if counter == _UNKNOWN else counter for counter in counters))
