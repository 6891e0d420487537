"""Flow entries on the wire: add, delete, and the statistics by which they are read back. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from controller.dataplane.actions import Instructions
from controller.dataplane.cookies import TAG, TAG_MASK
from controller.dataplane.entries import FlowBody, FlowKey
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

_FLOW_MOD = struct.Struct("!QQBBHHHIIIH2x")
_MATCH = struct.Struct("!HH")
_REQUEST = struct.Struct("!B3xII4xQQ")
_STATISTICS = struct.Struct("!HBx8xHHHH4xQ16x")


def add_flow(xid: int, key: FlowKey, body: FlowBody) -> bytes:
    """Adds the entry, or puts it in the place of one with the same key, whose counters go on."""
    fixed = _FLOW_MOD.pack(body.cookie, 0, key.table, _ADD, 0, 0, key.priority, ANY, ANY, ANY, 0)
    return message(Type.FLOW_MOD, xid, fixed + _encode_match(key) + encode_instructions(body.instructions))


def delete_flow(xid: int, key: FlowKey) -> bytes:
    """Deletes the entry with exactly this key, if its cookie is one of ours."""
    fixed = _FLOW_MOD.pack(_OUR_COOKIE, TAG_MASK, key.table, _DELETE_STRICT, 0, 0, key.priority, ANY, ANY, ANY, 0)
    return message(Type.FLOW_MOD, xid, fixed + _encode_match(key))


def our_flows_request() -> Frame:
    """Asks for every flow entry that carries our cookie."""
    everything = padded(_MATCH.pack(_OXM_MATCH, _MATCH.size))
    return multipart_request(Multipart.FLOW, _REQUEST.pack(ALL_TABLES, ANY, ANY, _OUR_COOKIE, TAG_MASK) + everything)


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


def _statistics_at(body: bytes, at: int) -> tuple[int, ...]:
    """length, table, priority, idle and hard timeout, flags, cookie, length of the match without padding."""
    smallest = _STATISTICS.size + 8
    if len(body) - at < smallest:
        raise WireError(f"flow statistics end inside an entry: {body[at:].hex()}")
    fixed = _STATISTICS.unpack_from(body, at)
    _, match_length = _MATCH.unpack_from(body, at + _STATISTICS.size)
    if not (smallest <= fixed[0] <= len(body) - at and _MATCH.size <= match_length <= fixed[0] - _STATISTICS.size):
        raise WireError(f"flow statistics with an impossible length: {body[at : at + smallest].hex()}")
    return (*fixed, match_length)


def _encode_match(key: FlowKey) -> bytes:
    fields = encode_match(key.match)
    return padded(_MATCH.pack(_OXM_MATCH, _MATCH.size + len(fields)) + fields)
