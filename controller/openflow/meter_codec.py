"""Meters on the wire: add, modify, delete, their configuration and their counters. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from controller.dataplane.entries import MeterBody
from controller.openflow.wire import ANY, Frame, Multipart, Type, WireError, message, multipart_request

_ADD, _MODIFY, _DELETE = 0, 1, 2
_KBPS, _BURST, _STATS = 1, 4, 8
_FLAGS = _KBPS | _BURST | _STATS
_DROP = 1

_METER_MOD = struct.Struct("!HHI")
_BAND = struct.Struct("!HHII4x")
_REQUEST = struct.Struct("!I4x")
_CONFIG = struct.Struct("!HHI")
_STATISTICS = struct.Struct("!IH6x4xQQII")
_BAND_STATISTICS = struct.Struct("!QQ")


@dataclass(frozen=True, slots=True)
class ForeignMeter(MeterBody):
    """A meter, found among ours, that Weir never writes: equal to nothing that it wants. found: flags and bands."""

    found: bytes = b""


@dataclass(frozen=True, slots=True)
class MeterCounters:
    """Since the meter was added or last modified, except duration_s: since it was added."""

    packets_in: int
    bytes_in: int
    packets_dropped: int
    bytes_dropped: int
    duration_s: float


def add_meter(xid: int, meter_id: int, body: MeterBody) -> bytes:
    return _meter_mod(xid, _ADD, meter_id, _encode_band(body))


def modify_meter(xid: int, meter_id: int, body: MeterBody) -> bytes:
    """Flow entries that use the meter stay; its bucket is refilled and its counters start from zero."""
    return _meter_mod(xid, _MODIFY, meter_id, _encode_band(body))


def delete_meter(xid: int, meter_id: int) -> bytes:
    """The switch deletes every flow entry that uses the meter with it."""
    return _meter_mod(xid, _DELETE, meter_id, b"")


def configuration_request() -> Frame:
    return multipart_request(Multipart.METER_CONFIG, _REQUEST.pack(ANY))


def statistics_request() -> Frame:
    return multipart_request(Multipart.METER, _REQUEST.pack(ANY))


def decode_configuration(body: bytes) -> Iterator[tuple[int, MeterBody]]:
    """Meter ids and meters of one reply. Raises WireError when it is malformed."""
    at = 0
    while at < len(body):
        length, flags, meter_id = _entry(_CONFIG, body, at, length_index=0)
        bands = body[at + _CONFIG.size : at + length]
        found = ForeignMeter(0, 0, struct.pack("!H", flags) + bands)
        if flags == _FLAGS and len(bands) == _BAND.size:
            kind, _, rate_kbps, burst_kbit = _BAND.unpack(bands)
            yield meter_id, MeterBody(rate_kbps, burst_kbit) if kind == _DROP else found
        else:
            yield meter_id, found
        at += length


def decode_statistics(body: bytes) -> Iterator[tuple[int, MeterCounters]]:
    """Meter ids and counters of one reply. Raises WireError when it is malformed."""
    at = 0
    while at < len(body):
        meter_id, length, packets, size_bytes, duration_s, duration_ns = _entry(_STATISTICS, body, at, length_index=1)
        bands = list(_BAND_STATISTICS.iter_unpack(body[at + _STATISTICS.size : at + length]))
        yield (
            meter_id,
            MeterCounters(
                packets_in=packets,
                bytes_in=size_bytes,
                packets_dropped=sum(band[0] for band in bands),
                bytes_dropped=sum(band[1] for band in bands),
                duration_s=duration_s + duration_ns / 1e9,
            ),
        )
        at += length


def _meter_mod(xid: int, command: int, meter_id: int, bands: bytes) -> bytes:
    return message(Type.METER_MOD, xid, _METER_MOD.pack(command, _FLAGS, meter_id) + bands)


def _encode_band(body: MeterBody) -> bytes:
    return _BAND.pack(_DROP, _BAND.size, body.rate_kbps, body.burst_kbit)


def _entry(layout: struct.Struct, body: bytes, at: int, length_index: int) -> tuple[int, ...]:
    if len(body) - at < layout.size:
        raise WireError(f"meter reply ends inside an entry: {body[at:].hex()}")
    fields = layout.unpack_from(body, at)
    bands_length = fields[length_index] - layout.size
    if bands_length < 0 or bands_length % 16 or fields[length_index] > len(body) - at:
        raise WireError(f"meter reply with an impossible length: {body[at : at + layout.size].hex()}")
    return fields
