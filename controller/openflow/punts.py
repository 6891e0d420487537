"""Packets that a switch sends up (punts), and those that are sent down to it. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.dataplane.actions import Output
from controller.dataplane.cookies import TAG
from controller.openflow.action_codec import encode_actions
from controller.openflow.oxm import decode_match
from controller.openflow.wire import ANY, HEADER_BYTES, Type, WireError, message

_FROM_CONTROLLER = 0xFFFFFFFD  # OFPP_CONTROLLER
_PACKET_IN = struct.Struct("!4x2xxBQ2xH")  # table, cookie, length of the match without padding
_MATCH_AT = HEADER_BYTES + 16
_PACKET_OUT = struct.Struct("!IIH6x")


@dataclass(frozen=True, slots=True)
class Punt:
    """A copy of a packet, made by a Controller action of ours.

    datapath_id: 16 hex digits. cookie, table: of the entry that made it. in_port: where the packet came in.
    registers: by name, as they were then, without those that were 0. frame: as it was then, from its MACs on; whole
    or cut to the action's max_bytes, as the switch likes.
    """

    datapath_id: str
    cookie: int
    table: int
    in_port: int
    registers: Mapping[str, int]
    frame: bytes


def decode_punt(datapath_id: str, packet_in: bytes) -> Punt | None:
    """What a whole OFPT_PACKET_IN message tells, None if no entry of ours sent it. Raises WireError when malformed."""
    if len(packet_in) < HEADER_BYTES + _PACKET_IN.size:
        raise WireError(f"packet-in is cut short: {packet_in.hex()}")
    table, cookie, match_length = _PACKET_IN.unpack_from(packet_in, HEADER_BYTES)
    if cookie >> 48 != TAG:
        return None
    frame_at = _MATCH_AT + match_length + -match_length % 8 + 2
    if match_length < 4 or frame_at > len(packet_in):
        raise WireError(f"packet-in with an impossible match: {packet_in[:64].hex()}")
    match = decode_match(packet_in[_MATCH_AT + 4 : _MATCH_AT + match_length])
    in_port = match.value("in_port")
    if in_port is None:
        raise WireError(f"packet-in without the port where the packet came in: {packet_in[:64].hex()}")
    registers = {name: value for name, value, _ in match.fields if name.startswith("reg")}
    return Punt(datapath_id, cookie, table, in_port, registers, packet_in[frame_at:])


def encode_packet_out(xid: int, ports: Sequence[int], frame: bytes) -> bytes:
    """Sends the frame out of the ports, past all tables."""
    actions = encode_actions([Output(port) for port in ports])
    return message(Type.PACKET_OUT, xid, _PACKET_OUT.pack(ANY, _FROM_CONTROLLER, len(actions)) + actions + frame)
