"""Program: an end of one TCP connection that goes on until it is told to end. Standard library only.

    stream_ends.py receive PORT
    stream_ends.py send ADDRESS PORT RATE_KBPS

The receiver takes one connection, and says every 20 ms in a line of JSON: {"at_s": CLOCK_MONOTONIC, "bytes": ...,
"last_s": when the last of them were taken, null before the first}. Both end with standard input.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

REPORT_S = 0.02
_CHUNK_BYTES = 1000


def receive(port: int) -> None:
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print(json.dumps({"at_s": time.monotonic(), "bytes": 0, "last_s": None}), flush=True)
    connection, size, last_s, due_s = None, 0, None, time.monotonic()
    while True:
        ready = select.select([sys.stdin, connection or listener], [], [], REPORT_S)[0]
        if sys.stdin in ready:
            return
        if listener in ready:
            connection = listener.accept()[0]
        elif ready and connection is not None:
            taken = len(connection.recv(1 << 16))
            if not taken:
                raise ConnectionError("the sender has closed the connection")
            size, last_s = size + taken, time.monotonic()
        if time.monotonic() >= due_s:
            print(json.dumps({"at_s": time.monotonic(), "bytes": size, "last_s": last_s}), flush=True)
            due_s = time.monotonic() + REPORT_S


def send(address: str, port: int, rate_kbps: float) -> None:
    connection = socket.create_connection((address, port), timeout=3)
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begun_s, size = time.monotonic(), 0
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        while size + _CHUNK_BYTES <= (time.monotonic() - begun_s) * rate_kbps * 125:
            try:
                size += connection.send(bytes(_CHUNK_BYTES))
            except BlockingIOError:
                begun_s = time.monotonic() - size / (rate_kbps * 125)  # what could not be sent is not made up for


def main() -> None:
    what, *arguments = sys.argv[1:]
    if what == "receive":
        receive(int(arguments[0]))
    else:
        send(arguments[0], int(arguments[1]), float(arguments[2]))


if __name__ == "__main__":
    main()
