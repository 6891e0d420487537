"""Program: counts what TCP connections bring to ports, by when it was read. Standard library only: it starts fast.

    stream_counter.py BIN_S PIECE_BYTES PORT...

One connection a port. Every 0.1 s one line of JSON: {"at_s": CLOCK_MONOTONIC until which all is counted, "ports":
{PORT: {BIN: [frames, bytes of payload]}}}, what has come since the line before, as datagrams of the same frame rate;
BIN: the time in units of BIN_S. Ends with standard input.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

REPORT_S = 0.1
PAUSE_S = 0.004
MORE_HEADERS_BYTES = 24  # of a TCP segment with timestamps than of a datagram
_RECEIVE_BUFFER_BYTES = 4 << 20


class Port:
    def __init__(self, port: int, bin_s: float, piece_bytes: int) -> None:
        self._listener = socket.create_server(("", port), backlog=1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._listener.setblocking(False)
        self._socket: socket.socket | None = None
        self._buffer, self._bin_s, self._piece_bytes = bytearray(1 << 20), bin_s, piece_bytes
        self._rest = 0
        self.bins: dict[int, list[int]] = {}

    def drain(self, at_s: float) -> None:
        try:
            if self._socket is None:
                self._socket, _ = self._listener.accept()
                self._socket.setblocking(False)
            while size := self._socket.recv_into(self._buffer):
                pieces, self._rest = divmod(self._rest + size, self._piece_bytes)
                count = self.bins.setdefault(int(at_s / self._bin_s), [0, 0])
                count[0] += pieces
                count[1] += pieces * (self._piece_bytes + MORE_HEADERS_BYTES)
        except BlockingIOError:
            pass


def main() -> None:
    bin_s, piece_bytes = float(sys.argv[1]), int(sys.argv[2])
    ports = {port: Port(int(port), bin_s, piece_bytes) for port in sys.argv[3:]}
    due_s = time.monotonic()
    while True:
        ends = bool(select.select([sys.stdin], [], [], PAUSE_S)[0])
        at_s = time.monotonic()
        for port in ports.values():
            port.drain(at_s)
        if ends or at_s >= due_s:
            print(json.dumps({"at_s": at_s, "ports": {name: port.bins for name, port in ports.items()}}), flush=True)
            for port in ports.values():
                port.bins = {}
            due_s += REPORT_S
        if ends:
            return


if __name__ == "__main__":
    main()
