"""How long frames wait on a wire: each carries the time when it was sent, and the kernel says when it came."""

from __future__ import annotations

import multiprocessing
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.frame_flood import DESTINATION, Wire, mac_of, packet_socket

_ETHERTYPE = 0x88B6  # the second for experiments
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("=q")
_HEAD_BYTES = 14
_processes = multiprocessing.get_context("fork")


@contextmanager
def stamped(wire: Wire, vif: int, size_bytes: int, rate_mbit: float) -> Iterator[None]:
    """Offers such frames until left; what the queue refuses is lost."""
    sender = packet_socket(wire.near_path, "up0")
    process = _processes.Process(target=_offer, args=(sender, vif, size_bytes, rate_mbit), daemon=True)
    process.start()
    sender.close()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _offer(sender: socket.socket, vif: int, size_bytes: int, rate_mbit: float) -> None:
    head = DESTINATION + mac_of(vif).to_bytes(6, "big") + struct.pack(">H", _ETHERTYPE)
    rest = bytes(size_bytes - len(head) - _STAMP.size)
    sender.setblocking(False)
    # paced by the clock, not by the socket: more than its buffer may wait in a queue
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    gap_s, parent = size_bytes * 8e-6 / rate_mbit, os.getppid()
    due_s = time.monotonic()
    while os.getppid() == parent:
        due_s = max(due_s + gap_s, time.monotonic() - 20 * gap_s)
        time.sleep(max(0.0, due_s - time.monotonic()))
        try:
            sender.send(head + _STAMP.pack(time.time_ns()) + rest)
        except OSError:  # the queue is full
            continue


class Waits:
    """At the far end of the wire."""

    def __init__(self, wire: Wire) -> None:
        self._socket = packet_socket(wire.far_path, "dn0", _ETHERTYPE)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.settimeout(5.0)

    def close(self) -> None:
        self._socket.close()

    def read(self, count: int) -> list[float]:
        """Milliseconds that each of the next frames took, sorted. Raises TimeoutError when nothing comes."""
        waits = []
        for _ in range(count):
            body, extra, _, _ = self._socket.recvmsg(_HEAD_BYTES + _STAMP.size, socket.CMSG_SPACE(16))
            seconds, rest_ns = struct.unpack("=qq", extra[0][2])
            (sent_ns,) = _STAMP.unpack_from(body, _HEAD_BYTES)
            waits.append((seconds * 1_000_000_000 + rest_ns - sent_ns) / 1e6)
        return sorted(waits)
