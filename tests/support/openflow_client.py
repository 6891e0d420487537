"""OpenFlow 1.3 with one bridge over its management socket, a question at a time, by the project's own codecs."""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.dataplane.match import Match
from controller.openflow.errors import SwitchError, decode_error
from controller.openflow.oxm import decode_match
from controller.openflow.wire import ALL_TABLES, ANY, VERSION, Frame, Type, barrier_request, message, more_follows

_HELLO, _PACKET_IN, _SET_CONFIG = 0, 10, 9
_WHOLE_FRAME = 0xFFFF
_FLOWS_DELETE, _MATCH_ALL = 3, struct.pack("!HH4x", 1, 4)

_HEADER = struct.Struct("!BBHI")
_PACKET_IN_HEAD = struct.Struct("!IHBBQHH")
_FLOW_MOD = struct.Struct("!QQBBHHHIIIH2x")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PacketIn:
    """A copy that the switch sent to the controller. match: in_port, registers and connection as they were then."""

    cookie: int
    table: int
    match: Match
    frame: bytes


def delete_all_flows() -> Frame:
    """Of whomever."""
    flows = _FLOW_MOD.pack(0, 0, ALL_TABLES, _FLOWS_DELETE, 0, 0, 0, ANY, ANY, ANY, 0) + _MATCH_ALL
    return lambda xid: message(Type.FLOW_MOD, xid, flows)


class OpenFlowClient:
    """packet_ins: what came to the controller, oldest first; whoever looks empties it. Close it."""

    def __init__(self, path: Path, deadline_s: float = 20.0):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(deadline_s)
        self._socket.connect(str(path))
        self._xids = itertools.count(1)
        self._data = b""
        self.packet_ins: list[PacketIn] = []
        config = struct.pack("!BBHIHH", VERSION, _SET_CONFIG, 12, 0, 0, _WHOLE_FRAME)  # else no copies are sent here
        self._socket.sendall(_HEADER.pack(VERSION, _HELLO, _HEADER.size, 0) + config)

    def close(self) -> None:
        self._socket.close()

    def deliver(self, frames: Sequence[Frame]) -> dict[int, SwitchError]:
        """Returns when the switch has done them all; errors by index."""
        xids = list(itertools.islice(self._xids, len(frames) + 1))
        data = [frame(xid) for frame, xid in zip(frames, xids, strict=False)]
        self._socket.sendall(b"".join([*data, barrier_request(xids[-1])]))
        errors: dict[int, SwitchError] = {}
        while True:
            kind, xid, received = self._receive()
            if kind == Type.ERROR:
                errors.setdefault(xid - xids[0], decode_error(received))
            elif kind == Type.BARRIER_REPLY and xid == xids[-1]:
                return errors

    def ask(self, frame: Frame) -> list[bytes]:
        """The messages that answer a multipart request. Raises AssertionError when the switch refuses it."""
        xid = next(self._xids)
        self._socket.sendall(frame(xid))
        replies: list[bytes] = []
        while not replies or more_follows(replies[-1]):
            kind, answered, received = self._receive()
            assert kind != Type.ERROR, f"the switch refuses a question: {decode_error(received)}"
            if answered == xid and kind == Type.MULTIPART_REPLY:
                replies.append(received)
        return replies

    def _receive(self) -> tuple[int, int, bytes]:
        """Type, xid and all bytes of the next message that is no copy of a packet."""
        while True:
            received = self._message()
            _, kind, _, xid = _HEADER.unpack_from(received)
            if kind != _PACKET_IN:
                return kind, xid, received
            self.packet_ins.append(_packet_in(received))

    def _message(self) -> bytes:
        size = _HEADER.size
        while len(self._data) < size or len(self._data) < (size := _HEADER.unpack_from(self._data)[2]):
            more = self._socket.recv(_CHUNK_BYTES)
            if not more:
                raise ConnectionError("the switch has closed its management socket")
            self._data += more
        received, self._data = self._data[:size], self._data[size:]
        return received


def _packet_in(received: bytes) -> PacketIn:
    _, _, _, table, cookie, _, match_length = _PACKET_IN_HEAD.unpack_from(received, _HEADER.size)
    match_at = _HEADER.size + _PACKET_IN_HEAD.size - 4
    fields = received[match_at + 4 : match_at + match_length]
    frame_at = match_at + match_length + -match_length % 8 + 2
    return PacketIn(cookie, table, decode_match(fields), received[frame_at:])
