"""Program: sends numbered datagrams at a rate that standard input sets. Standard library only, so that it starts fast.

    udp_sender.py SOURCE|- DESTINATION PORT PAYLOAD_BYTES

Each line on standard input is a frame rate in kbit/s; 0 pauses. To each it answers one line of JSON, and a last one
when standard input ends: {"at_s": CLOCK_MONOTONIC, "sent": ..., "refused": ...}, datagrams the socket took, or not.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

HEADERS_BYTES = 42
PAUSE_S = 0.002
MOST_LATE_S = 0.02  # what a delay of ours beyond this would have sent is not made up for
_SO_SNDBUFFORCE = 32
_IP_TRANSPARENT = 19
_SEND_BUFFER_BYTES = 4 << 20  # a full queue shall drop, as seen from outside, and not make the sender wait


class Sender:
    def __init__(self, source: str, destination: tuple[str, int], payload_bytes: int) -> None:
        family = socket.AF_INET6 if ":" in destination[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
        if source != "-":
            self._socket.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)  # also one that this host does not have
            self._socket.bind((source, 0))
        self._socket.connect(destination)
        self._socket.setblocking(False)
        self._payload = bytearray(payload_bytes)
        self.sent = self.refused = 0
        self.rate_kbps = 0.0

    def run(self) -> None:
        credit_bytes, last_s = 0.0, time.monotonic()
        frame_bytes = len(self._payload) + HEADERS_BYTES
        while True:
            ready, _, _ = select.select([sys.stdin], [], [], PAUSE_S if self.rate_kbps else None)
            if ready:
                line = sys.stdin.readline()
                if not line:
                    return
                self.rate_kbps = float(line)
                self.say()
            now_s = time.monotonic()
            most_bytes = max(frame_bytes, self.rate_kbps * 125 * MOST_LATE_S)
            credit_bytes = min(credit_bytes + self.rate_kbps * 125 * (now_s - last_s), most_bytes)
            last_s = now_s
            while credit_bytes >= frame_bytes:
                credit_bytes -= frame_bytes
                self._send()
            if not self.rate_kbps:
                credit_bytes = 0.0

    def _send(self) -> None:
        struct.pack_into("!Q", self._payload, 0, self.sent)
        try:
            self._socket.send(self._payload)
        except OSError:
            self.refused += 1
        else:
            self.sent += 1

    def say(self) -> None:
        print(json.dumps({"at_s": time.monotonic(), "sent": self.sent, "refused": self.refused}), flush=True)


def main() -> None:
    source, destination, port, payload_bytes = sys.argv[1:]
    sender = Sender(source, (destination, int(port)), int(payload_bytes))
    sender.run()
    sender.say()


if __name__ == "__main__":
    main()
