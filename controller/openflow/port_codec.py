"""Port counters and descriptions on the wire. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controller.openflow.wire import ANY, Frame, Multipart, WireError, multipart_request

_REQUEST = struct.Struct("!I4x")
_STATISTICS = struct.Struct("!I4x6Q56x")
_DESCRIPTION = struct.Struct("!I4x6s2x16sII24x")
_UNKNOWN = (1 << 64) - 1
_PORT_DOWN, _LINK_DOWN = 1, 1


@dataclass(frozen=True, slots=True)
class PortCounters:
    """Cumulative, seen from the switch: received is what entered it. A port that cannot count something says 0."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    tx_dropped: int


@dataclass(frozen=True, slots=True)
class PortDescription:
    name: str
    mac: int  # 48 bits
    up: bool


def statistics_request() -> Frame:
    return multipart_request(Multipart.PORT_STATS, _REQUEST.pack(ANY))


def description_request() -> Frame:
    return multipart_request(Multipart.PORT_DESC)


def decode_statistics(body: bytes) -> Iterator[tuple[int, PortCounters]]:
    """Port numbers and counters of one reply. Raises WireError when it is malformed."""
    for port, *counters in _entries(_STATISTICS, body):
        yield port, PortCounters(*(0 if counter == _UNKNOWN else counter for counter in counters))


def decode_descriptions(body: bytes) -> Iterator[tuple[int, PortDescription]]:
    """Port numbers and descriptions of one reply. Raises WireError when it is malformed."""
    for port, mac, name, config, state in _entries(_DESCRIPTION, body):
        text = name.split(b"\0", 1)[0].decode("utf-8", "replace")
        up = not config & _PORT_DOWN and not state & _LINK_DOWN
        yield port, PortDescription(text, int.from_bytes(mac, "big"), up)


def _entries(layout: struct.Struct, body: bytes) -> Iterator[tuple[Any, ...]]:
    if len(body) % layout.size:
        raise WireError(f"port reply of {len(body)} bytes: not a multiple of {layout.size}")
    return layout.iter_unpack(body)
