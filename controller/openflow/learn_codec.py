"""Open vSwitch's learn action on the wire, always in the form with a limit (NXAST_LEARN2). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from controller.dataplane.actions import Learn
from controller.dataplane.fields import FIELDS
from controller.openflow import oxm
from controller.openflow.wire import padded

_HEAD = struct.Struct(
    "!HHHQHBxHHIHxx"
)  # idle, hard timeout, priority, cookie, flags, table, fin timeouts, most, result
_CONSTANT, _SETS = 1 << 13, 1 << 11  # of a spec: its source is a constant; it sets the target instead of matching it
_BITS = 0x07FF
_UNALIGNED = 10 % 8  # bytes of the head of an NX action beyond a multiple of 8
_SPEC = struct.Struct("!H")
_PLACE = struct.Struct("!IH")  # header of a field, first bit in it: always the lowest


def encode_learn(learn: Learn) -> bytes:
    """What follows the head of an NX action, so padded that the whole is a multiple of 8 bytes.

    Raises ValueError for a source that is wider than its target.
    """
    fixed = (learn.idle_s, 0, learn.priority, learn.cookie, 0, learn.table, 0, 0, learn.most, 0)
    specs = _encode_specs(learn.matches, 0) + _encode_specs(learn.sets, _SETS)
    return padded(bytes(_UNALIGNED) + _HEAD.pack(*fixed) + specs)[_UNALIGNED:]


def decode_learn(data: bytes) -> Learn | None:
    """None for what Weir does not write, or when the data end too soon. data: what follows the head of the action."""
    if len(data) < _HEAD.size:
        return None
    idle_s, _, priority, cookie, _, table, _, _, most, _ = _HEAD.unpack_from(data)
    matches: list[tuple[str, int | str]] = []
    sets: list[tuple[str, int | str]] = []
    at = _HEAD.size
    while len(data) - at >= _SPEC.size and any(data[at : at + _SPEC.size]):
        (spec,) = _SPEC.unpack_from(data, at)
        length = _source_length(spec)
        end = at + _SPEC.size + length + _PLACE.size
        source = _decode_source(spec, data[at + _SPEC.size : at + _SPEC.size + length])
        target = _decode_place(data[end - _PLACE.size : end])
        if source is None or target is None or not _fits(source, target, spec & _BITS):
            return None
        (sets if spec & _SETS else matches).append((target, source))
        at = end
    return Learn(table, priority, cookie, tuple(matches), tuple(sets), idle_s, most)


def _encode_specs(specs: Iterable[tuple[str, int | str]], kind: int) -> bytes:
    return b"".join(_encode_spec(target, source, kind) for target, source in specs)


def _encode_spec(target: str, source: int | str, kind: int) -> bytes:
    bits = FIELDS[target].bits
    to = _PLACE.pack(oxm.nxm_header(target), 0)
    if isinstance(source, int):
        return _SPEC.pack(kind | _CONSTANT | bits) + source.to_bytes(_source_length(_CONSTANT | bits), "big") + to
    if FIELDS[source].bits > bits:
        raise ValueError(f"{source} is wider than {target}, which is to hold it")
    return _SPEC.pack(kind | FIELDS[source].bits) + _PLACE.pack(oxm.nxm_header(source), 0) + to


def _fits(source: int | str, target: str, bits: int) -> bool:
    """Whether a spec is of as many bits as Weir writes."""
    room = FIELDS[target].bits
    if isinstance(source, int):
        return bits == room and source.bit_length() <= room
    return bits == FIELDS[source].bits <= room


def _source_length(spec: int) -> int:
    """Bytes: a constant fills whole pairs of them."""
    return (spec & _BITS) + 15 >> 4 << 1 if spec & _CONSTANT else _PLACE.size


def _decode_source(spec: int, data: bytes) -> int | str | None:
    return int.from_bytes(data, "big") if spec & _CONSTANT else _decode_place(data)


def _decode_place(data: bytes) -> str | None:
    """The whole field, or its low bits. None for a field that Weir does not know, or when the data end too soon."""
    if len(data) < _PLACE.size:
        return None
    header, first = _PLACE.unpack(data)
    return None if first else oxm.field_of(header)
