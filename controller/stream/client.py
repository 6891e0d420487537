"""The agent's end of the stream: never waits, reconnects by itself, keeps no more than one sample unsent.

Repairs wait for a connection, the last MOST_REPAIRS of them."""

from __future__ import annotations

import errno
import logging
import math
import os
import socket
from collections import deque
from pathlib import Path

from controller.stream.messages import (
    Hello,
    HostSample,
    MessageError,
    Rates,
    Repair,
    Repairs,
    decode,
    encode,
    part_of,
)

LONGEST_LINE_BYTES = 4 << 20
MOST_REPAIRS = 1000
MOST_PARTS = 60  # samples between two whole ones, should a part ever have been put together wrongly
HANGS_S = 15.0  # without a sign of life from the controller, many times as long as its longest work takes
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_CHUNK_BYTES = 1 << 16

log = logging.getLogger("weir.stream")


class StreamClient:
    """Connects to the controller's Unix socket and says Hello. `run` when `descriptor` is ready or `due_s` has come.

    Times are of one monotonic clock, given by the caller.
    """

    def __init__(self, path: Path, chassis: str) -> None:
        self._path = path
        self._chassis = chassis
        self._socket: socket.socket | None = None
        self._received = b""
        self._to_send = b""
        self._pause_s = _FIRST_PAUSE_S
        self._next_try_s = 0.0
        self._sent: HostSample | None = None  # on this connection, whole
        self._parts = 0  # since one was sent whole
        self._repairs: deque[Repair] = deque(maxlen=MOST_REPAIRS)
        self._rates = Rates()
        self._lost_s: float | None = None  # when the rates were last known to be the controller's
        self._heard_s = 0.0  # when something last came on this connection

    @property
    def descriptor(self) -> int | None:
        return None if self._socket is None else self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether to wait for the descriptor to take more."""
        return bool(self._to_send)

    @property
    def due_s(self) -> float | None:
        """When `run` wants to be called though nothing has arrived; None: only when the descriptor is ready."""
        return self._next_try_s if self._socket is None else None

    def rates(self, now_s: float, patience_s: float) -> Rates:
        """The controller's last word; nothing when it has been away for longer than `patience_s`, or hangs."""
        away = self._lost_s is not None and now_s - self._lost_s > patience_s
        return Rates() if away or self._hangs(now_s) else self._rates

    def _hangs(self, now_s: float) -> bool:
        return self._socket is not None and now_s - self._heard_s > HANGS_S

    def run(self, now_s: float) -> None:
        """Connects, receives and sends as far as that goes without waiting."""
        if self._socket is None and (now_s < self._next_try_s or not self._connect(now_s)):
            return
        try:
            self._receive(now_s)
            self._flush()
            if self._repairs and not self._to_send:
                self._to_send = encode(Repairs(self._chassis, tuple(self._repairs)))
                self._repairs.clear()
                self._flush()
        except (OSError, MessageError) as fault:
            log.warning("controller at %s: connection ended: %s", self._path, fault)
            self._disconnect(now_s)

    def send(self, sample: HostSample, now_s: float) -> None:
        """Sends the sample, or drops it when there is no connection or the last one is still on its way."""
        if self._socket is not None and not self._to_send:
            part = part_of(sample, self._sent if self._parts < MOST_PARTS else None)
            self._sent, self._parts = sample, self._parts + 1 if part.part else 0
            self._to_send = encode(part)
            self.run(now_s)

    def repaired(self, repair: Repair) -> None:
        """Sent by the next `run` with a connection."""
        self._repairs.append(repair)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, now_s: float) -> bool:
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        failure = fresh.connect_ex(os.fspath(self._path))
        if failure:
            fresh.close()
            if failure not in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN):
                log.warning("controller at %s: cannot connect: %s", self._path, os.strerror(failure))
            self._postpone(now_s)
            return False
        self._socket, self._received, self._sent, self._heard_s = fresh, b"", None, now_s
        self._to_send = encode(Hello(self._chassis))
        return True

    def _receive(self, now_s: float) -> None:
        assert self._socket is not None
        while True:
            try:
                chunk = self._socket.recv(_CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                raise ConnectionResetError(errno.ECONNRESET, "closed by the controller")
            self._heard_s = now_s
            *lines, self._received = (self._received + chunk).split(b"\n")
            for line in filter(None, lines):  # an empty one: it is there
                self._take(line)
            if len(self._received) > LONGEST_LINE_BYTES:
                raise MessageError(f"a line of more than {LONGEST_LINE_BYTES} bytes")

    def _take(self, line: bytes) -> None:
        message = decode(line)
        if not isinstance(message, Rates):
            raise MessageError(f"a controller does not send {type(message).__name__}")
        self._rates, self._lost_s, self._pause_s = message, None, _FIRST_PAUSE_S

    def _flush(self) -> None:
        assert self._socket is not None
        while self._to_send:
            try:
                sent = self._socket.send(self._to_send)
            except BlockingIOError:
                return
            self._to_send = self._to_send[sent:]

    def _disconnect(self, now_s: float) -> None:
        if self._hangs(now_s):
            self._lost_s = -math.inf  # what it said is not taken up again
        self.close()
        self._to_send = b""
        self._postpone(now_s)

    def _postpone(self, now_s: float) -> None:
        if self._lost_s is None:
            self._lost_s = now_s
        self._next_try_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
