"""Meters on the wire: add, modify, delete, their configuration and their counters. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import astuple, dataclass

import numpy as np

from controller.dataplane.entries import Meter, MeterBody, PacketMeterBody
from controller.measure.counted import Counted, counted, in_order
from controller.openflow.wire import ANY, Frame, Multipart, Type, WireError, message, multipart_request

_ADD, _MODIFY, _DELETE = 0, 1, 2
_KBPS, _PKTPS, _BURST, _STATS = 1, 2, 4, 8
_IN_KBPS, _IN_PKTPS = _KBPS | _BURST | _STATS, _PKTPS | _BURST | _STATS
_DROP = 1

_METER_MOD = struct.Struct("!HHI")
_BAND = struct.Struct("!HHII4x")
_REQUEST = struct.Struct("!I4x")
_CONFIG = struct.Struct("!HHI")
_STATISTICS = struct.Struct("!IH6x4xQQII")
_STATISTICS_HEAD = struct.Struct("!IH")
_BAND_STATISTICS = struct.Struct("!QQ")
_ONE_BAND = np.dtype(
    [("id", ">u4"), ("length", ">u2"), ("", "V10"), ("in", ">u8", 2), ("", "V8"), ("dropped", ">u8", 2)]
)

COLUMNS = ("packets_in", "bytes_in", "packets_dropped", "bytes_dropped")


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


def add_meter(xid: int, meter_id: int, body: Meter) -> bytes:
    return _meter_mod(xid, _ADD, meter_id, body)


def modify_meter(xid: int, meter_id: int, body: Meter) -> bytes:
    """Flow entries that use the meter stay; its bucket is refilled and its counters start from zero."""
    return _meter_mod(xid, _MODIFY, meter_id, body)


def delete_meter(xid: int, meter_id: int) -> bytes:
    """The switch deletes every flow entry that uses the meter with it."""
    return message(Type.METER_MOD, xid, _METER_MOD.pack(_DELETE, _IN_KBPS, meter_id))


def configuration_request(meter_id: int = ANY) -> Frame:
    """The switch refuses it for one meter that it does not have."""
    return multipart_request(Multipart.METER_CONFIG, _REQUEST.pack(meter_id))


def statistics_request(meter_id: int = ANY) -> Frame:
    """The switch refuses it for one meter that it does not have."""
    return multipart_request(Multipart.METER, _REQUEST.pack(meter_id))


def decode_configuration(body: bytes) -> Iterator[tuple[int, Meter]]:
    """Meter ids and meters of one reply. Raises WireError when it is malformed."""
    at = 0
    while at < len(body):
        length, flags, meter_id = _entry(_CONFIG, body, at, length_index=0)
        yield meter_id, _decode_meter(flags, body[at + _CONFIG.size : at + length])
        at += length


def _decode_meter(flags: int, bands: bytes) -> Meter:
    if len(bands) == _BAND.size and flags in (_IN_KBPS, _IN_PKTPS):
        kind, _, rate, burst = _BAND.unpack(bands)
        if kind == _DROP:
            return MeterBody(rate, burst) if flags == _IN_KBPS else PacketMeterBody(rate, burst)
    return ForeignMeter(0, 0, struct.pack("!H", flags) + bands)


def decode_statistics(body: bytes, ids: range) -> Iterator[tuple[int, MeterCounters]]:
    """Meter ids and counters of one reply, those of `ids` alone. Raises WireError when it is malformed."""
    at = 0
    while at < len(body):
        room = len(body) - at
        meter_id, length = _STATISTICS_HEAD.unpack_from(body, at) if room >= _STATISTICS.size else (0, 0)
        if meter_id in ids or not _STATISTICS.size <= length <= room:  # a switch may hold many thousand others
            yield meter_id, _counters_at(body, at)
        at += length


def decode_table(body: bytes, ids: range) -> Counted:
    """The same with these COLUMNS, in a hundredth of the time where each meter has one band, as ours have."""
    if len(body) % _ONE_BAND.itemsize == 0:
        found = np.frombuffer(body, dtype=_ONE_BAND)
        if bool((found["length"] == _ONE_BAND.itemsize).all()):
            ours = found[(found["id"] >= ids.start) & (found["id"] < ids.stop)]
            value = np.concatenate([ours["in"], ours["dropped"]], axis=1).astype(np.uint64)
            return in_order(ours["id"].astype(np.int64), value)
    rows = {meter_id: astuple(counters)[: len(COLUMNS)] for meter_id, counters in decode_statistics(body, ids)}
    return counted(rows, len(COLUMNS))


def _counters_at(body: bytes, at: int) -> MeterCounters:
    _, length, packets, size_bytes, duration_s, duration_ns = _entry(_STATISTICS, body, at, length_index=1)
    bands = list(_BAND_STATISTICS.iter_unpack(body[at + _STATISTICS.size : at + length]))
    return MeterCounters(
        packets_in=packets,
        bytes_in=size_bytes,
        packets_dropped=sum(band[0] for band in bands),
        bytes_dropped=sum(band[1] for band in bands),
        duration_s=duration_s + duration_ns / 1e9,
    )


def _meter_mod(xid: int, command: int, meter_id: int, body: Meter) -> bytes:
    match body:
        case MeterBody(rate, burst):
            flags = _IN_KBPS
        case PacketMeterBody(rate, burst):
            flags = _IN_PKTPS
    band = _BAND.pack(_DROP, _BAND.size, rate, burst)
    return message(Type.METER_MOD, xid, _METER_MOD.pack(command, flags, meter_id) + band)


def _entry(layout: struct.Struct, body: bytes, at: int, length_index: int) -> tuple[int, ...]:
    if len(body) - at < layout.size:
        raise WireError(f"meter reply ends inside an entry: {body[at:].hex()}")
    fields = layout.unpack_from(body, at)
    bands_length = fields[length_index] - layout.size
    if bands_length < 0 or bands_length % 16 or fields[length_index] > len(body) - at:
        raise WireError(f"meter reply with an impossible length: {body[at : at + layout.size].hex()}")
    return fields
