"""What others change of queues, as the kernel tells of it: in the agent's own network namespace, and in those of the
instances whose links lead to it.

Nothing is held open in an instance's namespace: the kernel tells of every namespace that it has a number for here, and
it has one for each that the other end of a link is in. Its word is an optimisation: audits find the same
without it, later.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import socket
import struct
from contextlib import suppress
from types import TracebackType

_QUEUE_CHANGES = 0x8  # RTMGRP_TC
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_INDEX = struct.Struct("=4xi")  # of the head of a traffic-control message
_SOL_NETLINK, _OF_ALL_NAMESPACES, _NAMESPACE = 270, 8, 8
_ATTACH_FILTER, _FORCE_RECEIVE_BYTES = 26, 33  # of SOL_SOCKET
_RECEIVE_BYTES = 4 << 20
_MOST_AT_ONCE = 5000  # an instance may change its own queues without end
_MESSAGE_BYTES = 1 << 16

# As the kernel runs it on each message: the word at the port's place; if it is ours 0 bytes are kept, else all.
_LOAD_WORD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_INSTRUCTION = struct.Struct("=HBBI")

log = logging.getLogger("weir.agent")
Device = tuple[int | None, int]  # the kernel's number for the network namespace, None: the agent's own; and the index


class TcWatch:
    """Belongs to the namespace in which it was made. own_port: of the sockets whose changes are ours, and not told.

    elsewhere: tells of all namespaces but the own one; of none without CAP_NET_BROADCAST. descriptor: readable when
    something was told.
    """

    def __init__(self, own_port: int, elsewhere: bool = False) -> None:
        self._elsewhere = elsewhere
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        with suppress(PermissionError):  # without CAP_NET_ADMIN all else fails, too, and says so
            self._socket.setsockopt(socket.SOL_SOCKET, _FORCE_RECEIVE_BYTES, _RECEIVE_BYTES)
        if elsewhere:
            try:
                self._socket.setsockopt(_SOL_NETLINK, _OF_ALL_NAMESPACES, 1)
            except PermissionError:
                log.warning("changes inside instances are not heard of, only found by audits: no CAP_NET_BROADCAST")
        _pass_over(self._socket, own_port)
        self._socket.bind((0, _QUEUE_CHANGES))

    @property
    def descriptor(self) -> int:
        return self._socket.fileno()

    def __enter__(self) -> TcWatch:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def changed(self) -> set[Device] | None:
        """The devices that somebody else has changed since the last call; None: not all of them are known."""
        found: set[Device] = set()
        lost = False
        for _ in range(_MOST_AT_ONCE):
            try:
                message, about, _, _ = self._socket.recvmsg(_MESSAGE_BYTES, 64)
            except BlockingIOError:
                return None if lost else found
            except OSError as fault:
                if fault.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            namespace = next((_number(data) for level, type_, data in about if (level, type_) == _ABOUT), None)
            if (namespace is not None) == self._elsewhere and len(message) >= _HEADER.size + _INDEX.size:
                found.add((namespace, _INDEX.unpack_from(message, _HEADER.size)[0]))
        return None


_ABOUT = _SOL_NETLINK, _NAMESPACE


def _number(data: bytes) -> int:
    return int(struct.unpack("=i", data)[0])


def _pass_over(watch: socket.socket, port: int) -> None:
    """Messages that answer requests of the socket with this port are not even queued."""
    (loaded,) = struct.unpack(">I", struct.pack("=I", port))  # words are loaded as a network has them
    program = b"".join(
        _INSTRUCTION.pack(*one)
        for one in (
            (_LOAD_WORD, 0, 0, _HEADER.size - 4),
            (_IF_EQUAL, 0, 1, loaded),
            (_RETURN, 0, 0, 0),
            (_RETURN, 0, 0, 0xFFFFFFFF),
        )
    )
    kept = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HP", len(program) // _INSTRUCTION.size, ctypes.addressof(kept))
    watch.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, head)
