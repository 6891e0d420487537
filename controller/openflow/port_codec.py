"""Port counters on the wire. Pure."""

from __future__ import annotations

import struct

import numpy as np

from controller.measure.counted import Counted, in_order
from controller.openflow.wire import ANY, Frame, Multipart, WireError, multipart_request

# cumulative, seen from the switch: received is what entered it
COLUMNS = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped")

_REQUEST = struct.Struct("!I4x")
_UNKNOWN = np.uint64((1 << 64) - 1)
_STATISTICS = np.dtype([("port", ">u4"), ("", "V4"), ("counters", ">u8", len(COLUMNS)), ("", "V56")])


def statistics_request() -> Frame:
    return multipart_request(Multipart.PORT_STATS, _REQUEST.pack(ANY))


def decode_statistics(body: bytes) -> Counted:
    """The ports of one reply by number, with these COLUMNS. A port that cannot count something says 0.

    Raises WireError when it is malformed.
    """
    if len(body) % _STATISTICS.itemsize:
        raise WireError(f"port reply of {len(body)} bytes: not a multiple of {_STATISTICS.itemsize}")
    found = np.frombuffer(body, dtype=_STATISTICS)
    counters = found["counters"].astype(np.uint64)
    return in_order(found["port"].astype(np.int64), np.where(counters == _UNKNOWN, np.uint64(0), counters))
