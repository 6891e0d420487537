"""Program: counts the datagrams, of either IP version, that arrive at ports, by when the kernel took them.

    window_counter.py BIN_S PORT...

Every 0.1 s one line of JSON: {"at_s": CLOCK_MONOTONIC until which all is counted, "ports": {PORT: {BIN: [frames, bytes
of payload]}}}, what has come since the line before; BIN: the time of arrival (CLOCK_MONOTONIC) in units of BIN_S. How
late this program looks does not count. Ends with standard input, after one more line. Standard library only.
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
_SO_TIMESTAMPNS = 35
_RECEIVE_BUFFER_BYTES = 16 << 20
_SPACE = socket.CMSG_SPACE(16)
_stamp = struct.Struct("qq")


class Port:
    def __init__(self, port: int, bin_s: float) -> None:
        has_both = socket.has_dualstack_ipv6()
        self._socket = socket.socket(socket.AF_INET6 if has_both else socket.AF_INET, socket.SOCK_DGRAM)
        if has_both:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("", port))
        self._socket.setblocking(False)
        self._buffer = bytearray(65536)
        self._bin_s = bin_s
        self.bins: dict[int, list[int]] = {}

    def drain(self, offset_s: float) -> None:
        """offset_s: from the kernel's stamps to CLOCK_MONOTONIC."""
        try:
            while True:
                size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], _SPACE)
                seconds, nanoseconds = _stamp.unpack(ancillary[0][2])
                count = self.bins.setdefault(int((seconds + nanoseconds * 1e-9 + offset_s) / self._bin_s), [0, 0])
                count[0] += 1
                count[1] += size
        except BlockingIOError:
            pass


def main() -> None:
    ports = {port: Port(int(port), float(sys.argv[1])) for port in sys.argv[2:]}
    due_s = time.monotonic()
    while True:
        ends = bool(select.select([sys.stdin], [], [], PAUSE_S)[0])
        at_s = time.monotonic()
        offset_s = at_s - time.time()  # again each time: the other clock is adjusted
        for port in ports.values():
            port.drain(offset_s)
        if ends or at_s >= due_s:
            print(json.dumps({"at_s": at_s, "ports": {name: port.bins for name, port in ports.items()}}), flush=True)
            for port in ports.values():
                port.bins = {}
            due_s += REPORT_S
        if ends:
            return


if __name__ == "__main__":
    main()
