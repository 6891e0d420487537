"""Program: sends as a schedule says, and says when it did. Standard library only, so that it starts fast.

    demand_sender.py udp|CONGESTION DESTINATION PORT PAYLOAD_BYTES BIN_S

udp: datagrams; else one TCP connection with this congestion control, written to in pieces of so many bytes. What its
socket does not take is not offered again.

Standard input: one line of JSON, {"begin_s": CLOCK_MONOTONIC, "steps": [[seconds, frame rate in kbit/s], ...]}, steps
one after the other. After the last: one line, {BIN: [frames, bytes of payload]}, all that it offered to its socket,
taken or not, as datagrams of the same frame rate; BIN: the time in units of BIN_S.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import sys
import time
from typing import NamedTuple

HEADERS_BYTES, STREAM_HEADERS_BYTES = 42, 66  # of a frame: of a datagram, of a TCP segment with timestamps
PAUSES_S = 0.001, 0.003  # at random: senders that keep step with each other lose in step, at the same queue
MOST_LATE_S = 0.02  # what a delay of ours beyond this would have sent is not made up for
_SO_SNDBUFFORCE = 32
_SEND_BUFFER_BYTES = 4 << 20  # a full queue shall drop, as seen from outside, and not make the sender wait
_STREAM_BUFFER_BYTES = 256 << 10  # what is written and waits belongs to an earlier time


def main() -> None:
    way, destination, port, payload_bytes, bin_s = sys.argv[1:]
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if way == "udp" else socket.SOCK_STREAM) as out:
        if way == "udp":
            out.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER_BYTES)
        else:
            out.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, way.encode())
            out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STREAM_BUFFER_BYTES)
        out.connect((destination, int(port)))
        out.setblocking(False)
        given = json.loads(sys.stdin.readline())
        headers_bytes = HEADERS_BYTES if way == "udp" else STREAM_HEADERS_BYTES
        plan = Plan(float(bin_s), headers_bytes, given["begin_s"], given["steps"])
        bins = send(out, bytearray(int(payload_bytes)), plan)
    print(json.dumps(bins), flush=True)


class Plan(NamedTuple):
    bin_s: float
    headers_bytes: int
    begin_s: float
    steps: list[tuple[float, float]]


def send(out: socket.socket, payload: bytearray, plan: Plan) -> dict[int, list[int]]:
    bins: dict[int, list[int]] = {}
    frame_bytes, number, end_s = len(payload) + plan.headers_bytes, 0, plan.begin_s
    for seconds, kbps in plan.steps:
        last_s, end_s, credit_bytes = end_s, end_s + seconds, 0.0
        most_bytes = max(frame_bytes, kbps * 125 * MOST_LATE_S)
        time.sleep(max(0.0, (last_s if kbps else end_s) - time.monotonic()))
        while (now_s := min(time.monotonic(), end_s)) < end_s:
            credit_bytes = min(credit_bytes + kbps * 125 * (now_s - last_s), most_bytes)
            last_s = now_s
            while credit_bytes >= frame_bytes:
                credit_bytes -= frame_bytes
                struct.pack_into("!Q", payload, 0, number)
                with contextlib.suppress(OSError):
                    out.send(payload)
                number += 1
                count = bins.setdefault(int(now_s / plan.bin_s), [0, 0])
                count[0] += 1
                count[1] += frame_bytes - HEADERS_BYTES
            time.sleep(random.uniform(*PAUSES_S))
    return bins


if __name__ == "__main__":
    main()
