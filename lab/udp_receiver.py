"""Program: counts the datagrams, of either IP version, that arrive at ports. Standard library only: it starts fast.

    udp_receiver.py PORT...

Every 0.1 s one line of JSON: {"at_s": CLOCK_MONOTONIC, "ports": {PORT: [frames, bytes of payload, missing, last_s]}},
all since the start; missing: sequence numbers (the first 8 bytes) below the highest seen that did not come; last_s:
when the last one was taken, null before the first. Ends with standard input, after one more line.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

REPORT_S = 0.1
PAUSE_S = 0.004  # datagrams are taken in lots: waking for each would cost more than counting it
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER_BYTES = 16 << 20
_number = struct.Struct("!Q")


class Port:
    def __init__(self, port: int) -> None:
        has_both = socket.has_dualstack_ipv6()
        self._socket = socket.socket(socket.AF_INET6 if has_both else socket.AF_INET, socket.SOCK_DGRAM)
        if has_both:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        self._socket.bind(("", port))
        self._socket.setblocking(False)
        self._buffer = bytearray(65536)
        self._highest = -1
        self.frames = self.payload_bytes = 0
        self._last_s: float | None = None

    def drain(self) -> None:
        before = self.frames
        try:
            while True:
                size = self._socket.recv_into(self._buffer)
                self.frames += 1
                self.payload_bytes += size
                self._highest = max(self._highest, _number.unpack_from(self._buffer)[0])
        except BlockingIOError:
            if self.frames > before:
                self._last_s = time.monotonic()

    @property
    def figures(self) -> list[float | None]:
        return [self.frames, self.payload_bytes, self._highest + 1 - self.frames, self._last_s]


def main() -> None:
    ports = {port: Port(int(port)) for port in sys.argv[1:]}
    due_s = time.monotonic()
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        for port in ports.values():
            port.drain()
        if time.monotonic() >= due_s:
            report(ports)
            due_s += REPORT_S
    for port in ports.values():
        port.drain()
    report(ports)


def report(ports: dict[str, Port]) -> None:
    figures = {name: port.figures for name, port in ports.items()}
    print(json.dumps({"at_s": time.monotonic(), "ports": figures}), flush=True)


if __name__ == "__main__":
    main()
