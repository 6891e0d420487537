"""What leaves the dummy ports of a switch, taken through named pipes that it writes as capture files (tx_pcap).

Open vSwitch writes a capture before it goes on, so all that a packet caused is here once the switch answers a barrier.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

_FILE_HEADER_BYTES = 24
_RECORD = struct.Struct("<IIII")  # seconds, microseconds, bytes here, bytes on the wire
_PIPE_BYTES = 1 << 20  # a full pipe would stop the switch


class PortTaps:
    """One pipe a port in `directory`. Close it, but not before the switch has ended."""

    def __init__(self, directory: Path, ports: Iterable[int]):
        self.paths = {port: directory / f"p{port}.pcap" for port in ports}
        self._ready = select.epoll()
        self._ports: dict[int, int] = {}
        for port, path in self.paths.items():
            os.mkfifo(path)
            pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            self._ports[pipe] = port
            self._ready.register(pipe, select.EPOLLIN)

    def close(self) -> None:
        self._ready.close()
        for pipe in self._ports:
            os.close(pipe)

    def skip_headers(self) -> None:
        """To be called once, when the switch has opened every port."""
        for pipe in self._ports:
            os.read(pipe, _FILE_HEADER_BYTES)

    def take(self) -> list[tuple[int, bytes]]:
        """(port, frame) of what has left since the last call; by port, in each port's order."""
        departed = []
        for pipe, _ in self._ready.poll(0, len(self._ports)):
            captured = os.read(pipe, _PIPE_BYTES)
            departed += [(self._ports[pipe], frame) for frame in _frames(captured)]
        return sorted(departed, key=lambda one: one[0])


def _frames(captured: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(captured):
        size = _RECORD.unpack_from(captured, at)[2]
        at += _RECORD.size
        yield captured[at : at + size]
        at += size
