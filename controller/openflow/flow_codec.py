"""Flow entries on the wire: add, delete, and the statistics by which they are read back. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from controller.dataplane.actions import Instructions
from controller.dataplane.cookies import TAG, TAG_MASK
from controller.dataplane.entries import FlowBody, FlowKey
from controller.dataplane.match import Match
from controller.openflow.action_codec import ForeignInstructions, decode_instructions, encode_instructions
from controller.openflow.oxm import decode_match, encode_match
from controller.openflow.wire import (
    ALL_TABLES,
    ANY,
    Frame,
    Multipart,
    Type,
    WireError,
    message,
    multipart_request,
    padded,
)

_ADD, _DELETE_STRICT = 0, 4
_OXM_MATCH = 1
_OUR_COOKIE = TAG << 48
_WHOLE_COOKIE = (1 << 64) - 1

_FLOW_MOD = struct.Struct("!QQBBHHHIIIH2x")
_MATCH = struct.Struct("!HH")
_REQUEST = struct.Struct("!B3xII4xQQ")
_STATISTICS = struct.Struct("!HBx8xHHHH4xQ16x")
_COUNTERS = struct.Struct("!HBx20xQQQ")  # the same: length, table, cookie, packets, bytes
_LENGTH = struct.Struct("!H")
_TIMES, _COUNTS = range(4, 12), range(32, 48)  # of the same, where they change by themselves
_SMALLEST = _STATISTICS.size + 8  # with an empty match


def add_flow(xid: int, key: FlowKey, body: FlowBody) -> bytes:
    """Adds the entry, or puts it in the place of one with the same key, whose counters go on."""
    fixed = _FLOW_MOD.pack(body.cookie, 0, key.table, _ADD, 0, 0, key.priority, ANY, ANY, ANY, 0)
    return message(Type.FLOW_MOD, xid, fixed + _oxm_match(key.match) + encode_instructions(body.instructions))


def delete_flow(xid: int, key: FlowKey) -> bytes:
    """Deletes the entry with exactly this key, if its cookie is one of ours."""
    fixed = _FLOW_MOD.pack(_OUR_COOKIE, TAG_MASK, key.table, _DELETE_STRICT, 0, 0, key.priority, ANY, ANY, ANY, 0)
    return message(Type.FLOW_MOD, xid, fixed + _oxm_match(key.match))


def our_flows_request(table: int = ALL_TABLES) -> Frame:
    """Asks for every flow entry that carries our cookie, of one table or of all."""
    return multipart_request(Multipart.FLOW, _REQUEST.pack(table, ANY, ANY, _OUR_COOKIE, TAG_MASK) + _oxm_match())


def flows_request(table: int, cookie: int, match: Match | None = None) -> Frame:
    """Asks for the flow entries of a table under one cookie; match: only for those that match all that it does."""
    return multipart_request(Multipart.FLOW, _REQUEST.pack(table, ANY, ANY, cookie, _WHOLE_COOKIE) + _oxm_match(match))


def decode_flows(body: bytes) -> Iterator[tuple[FlowKey, FlowBody]]:
    """The entries in the body of one flow statistics reply. Raises WireError when it is malformed."""
    seen: dict[bytes, Instructions] = {}  # few instructions, many entries
    at = 0
    while at < len(body):
        length, table, priority, idle_s, hard_s, flags, cookie, match_length = _statistics_at(body, at)
        match_at = at + _STATISTICS.size
        match = decode_match(body[match_at + _MATCH.size : match_at + match_length])
        data = body[match_at + match_length + -match_length % 8 : at + length]
        instructions = seen.get(data)
        if instructions is None:
            instructions = seen[data] = decode_instructions(data)
        if idle_s or hard_s or flags:
            instructions = ForeignInstructions(found=struct.pack("!HHH", idle_s, hard_s, flags) + data)
        yield FlowKey(table, priority, match), FlowBody(cookie, instructions)
        at += length


def fingerprint(body: bytes) -> int:
    """A hash of all that the body of one flow statistics reply says but for times and counters, in whatever order.

    The sum of those of several bodies stands for all of them. Raises WireError when it is malformed.
    """
    return sum(
        hash(
            body[at : at + _TIMES.start]
            + body[at + _TIMES.stop : at + _COUNTS.start]
            + body[at + _COUNTS.stop : at + length]
        )
        for at, length in _each(body)
    )


def decode_counters(body: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Table, cookie, packets and bytes of each entry of one flow statistics reply, the rest of which is left unread.

    Raises WireError when it is malformed.
    """
    for at, _ in _each(body):
        _, table, cookie, packets, size_bytes = _COUNTERS.unpack_from(body, at)
        yield table, cookie, packets, size_bytes


def _each(body: bytes) -> Iterator[tuple[int, int]]:
    """Where each entry begins, and its length."""
    at, last = 0, len(body) - _SMALLEST
    while at <= last:
        (length,) = _LENGTH.unpack_from(body, at)
        if length < _SMALLEST:
            break
        yield at, length
        at += length
    if at != len(body):
        raise WireError(f"flow statistics with an impossible length: {body[at : at + _SMALLEST].hex()}")


def _statistics_at(body: bytes, at: int) -> tuple[int, ...]:
    """length, table, priority, idle and hard timeout, flags, cookie, length of the match without padding."""
    if len(body) - at < _SMALLEST:
        raise WireError(f"flow statistics end inside an entry: {body[at:].hex()}")
    fixed = _STATISTICS.unpack_from(body, at)
    _, match_length = _MATCH.unpack_from(body, at + _STATISTICS.size)
    if not (_SMALLEST <= fixed[0] <= len(body) - at and _MATCH.size <= match_length <= fixed[0] - _STATISTICS.size):
        raise WireError(f"flow statistics with an impossible length: {body[at : at + _SMALLEST].hex()}")
    return (*fixed, match_length)


def _oxm_match(match: Match | None = None) -> bytes:
    fields = b"" if match is None else encode_match(match)
    return padded(_MATCH.pack(_OXM_MATCH, _MATCH.size + len(fields)) + fields)
