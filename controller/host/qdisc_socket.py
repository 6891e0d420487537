"""A netlink socket for traffic control and tables of links that sends many requests, and reads many answers, at a time.

Its own, beside pyroute2's, because a tree of hundreds of classes has to be written and read in a few system calls.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from controller.host import namespace
from controller.host.errors import HostError
from controller.host.qdisc_frames import DUMP, Request

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST, _ACKNOWLEDGE = 0x1, 0x4
_ERROR, _DONE = 2, 3
_INTERRUPTED = 0x10  # flag: what is dumped changed meanwhile
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT_CHECK = 270, 10, 11, 12
_CAPPED, _EXTENDED = 0x100, 0x200  # flags of an answer
_BATCH = 128  # requests a send; their answers fit the receive buffer
_RECEIVE_BYTES = 1 << 20
_DUMP_ATTEMPTS = 5
_MOST_SEQUENCE = 2**32 - 1  # the field has 32 bits
_TIMEOUT_S = 10.0  # the kernel answers at once, or something is very wrong


class KernelRefusal(Exception):
    """The kernel's answer to one request. code: an errno; text: its own words, often none."""

    def __init__(self, request: Request, code: int, text: str) -> None:
        super().__init__(f"{request.what}: {os.strerror(code)}" + (f" ({text})" if text else ""))
        self.code, self.text = code, text


class QdiscSocket:
    """Stays in the network namespace that it was opened in, which it keeps alive: close it soon if that is not ours.

    port: what `port` shall be, as long as nobody has that in the namespace; 0: the kernel chooses.
    """

    def __init__(self, netns: Path | None = None, port: int = 0) -> None:
        with namespace.entered(netns):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)  # a dump of some is of those, not of everything
        self._socket.settimeout(_TIMEOUT_S)
        bind(self._socket, port)  # now, so that `port` is known
        self._sequence = 0

    def __enter__(self) -> QdiscSocket:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """What the kernel names when it tells others of a change that was asked for here."""
        return int(self._socket.getsockname()[0])

    def dump(self, request: Request) -> list[bytes]:
        """The bodies of all answers, of one moment. Raises KernelRefusal, OSError."""
        for _ in range(_DUMP_ATTEMPTS):
            asked = self._send([request])
            bodies, interrupted, done = list[bytes](), False, False
            while not done:
                for type_, flags, sequence, body in self._receive():
                    if sequence != asked:  # left over from a request that was given up
                        continue
                    interrupted |= bool(flags & _INTERRUPTED)
                    if type_ in (_ERROR, _DONE):
                        done = True
                        if refusal := _refusal(request, flags, body):
                            raise refusal
                    else:
                        bodies.append(body)
            if not interrupted:
                return bodies
        raise HostError(f"{request.what}: it changed during each of {_DUMP_ATTEMPTS} readings", "Try again")

    def ask(self, requests: Sequence[Request]) -> list[bytes | KernelRefusal | None]:
        """The answer to each: a body, a refusal, or None for one that was only acknowledged. Raises OSError."""
        answers: list[bytes | KernelRefusal | None] = [None] * len(requests)
        for start in range(0, len(requests), _BATCH):
            batch = requests[start : start + _BATCH]
            first, missing = self._send(batch), len(batch)
            while missing:
                for type_, flags, sequence, body in self._receive():
                    place = sequence - first
                    if not 0 <= place < len(batch):
                        continue
                    if type_ != _ERROR:
                        answers[start + place] = body
                        continue
                    missing -= 1
                    if refusal := _refusal(batch[place], flags, body):
                        answers[start + place] = refusal
        return answers

    def _send(self, requests: Sequence[Request]) -> int:
        """Returns the sequence number of the first; the others follow on."""
        if self._sequence + len(requests) > _MOST_SEQUENCE:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += len(requests)
        self._socket.send(
            b"".join(
                _HEADER.pack(
                    _HEADER.size + len(request.body),
                    request.type,
                    request.flags | _REQUEST | (0 if request.flags & DUMP == DUMP else _ACKNOWLEDGE),
                    first + place,
                    0,
                )
                + request.body
                for place, request in enumerate(requests)
            )
        )
        return first

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        """Type, flags, sequence number and body of each message of one datagram."""
        data, place, messages = self._socket.recv(1 << 18), 0, []
        while place + _HEADER.size <= len(data):
            length, type_, flags, sequence, _ = _HEADER.unpack_from(data, place)
            messages.append((type_, flags, sequence, data[place + _HEADER.size : place + length]))
            place += (length + 3) & ~3
        return messages


def bind(link: socket.socket, port: int) -> None:
    """To the port, if nobody has that in the namespace; otherwise, and for 0, to one that the kernel chooses."""
    try:
        link.bind((port, 0))
    except OSError as fault:
        if not port or fault.errno != errno.EADDRINUSE:
            raise
        link.bind((0, 0))


def _refusal(request: Request, flags: int, body: bytes) -> KernelRefusal | None:
    """None when the answer is an acknowledgement. The kernel's own words are attribute 1 after the header it echoes."""
    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if code <= 0:
        return None
    text = ""
    if flags & _EXTENDED and flags & _CAPPED:
        place = 4 + _HEADER.size
        while place + 4 <= len(body):
            length, type_ = struct.unpack_from("=HH", body, place)
            if length < 4:
                break
            if type_ == 1:
                text = body[place + 4 : place + length].rstrip(b"\0").decode(errors="replace")
            place += (length + 3) & ~3
    return KernelRefusal(request, code, text)
