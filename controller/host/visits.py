"""A look at one qdisc in an instance's namespace, in as few system calls as it takes: nothing stays open there."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from controller.host import namespace
from controller.host.errors import HostError
from controller.host.qdisc_codec import ask_qdisc, class_id
from controller.host.qdisc_socket import bind
from controller.host.queue_tree import ROOT

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST, _NEW_QDISC = 0x1, 36
_ANSWER_BYTES = 4096


def root_qdisc(netns: Path, ifindex: int, port: int) -> bytes | None:
    """What the kernel says of the outermost qdisc of a device, without the netlink header.

    port: to ask from, see QdiscSocket: whoever hears of changes there is told the answer, too, and passes over ours.
    None: it has none of its own, or could not be asked.
    """
    request = ask_qdisc(ifindex, ROOT)
    message = _HEADER.pack(_HEADER.size + len(request.body), request.type, request.flags | _REQUEST, 1, 0)
    try:
        with (
            namespace.entered(netns),
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as link,
        ):
            bind(link, port)
            link.send(message + request.body)
            answer = link.recv(_ANSWER_BYTES, socket.MSG_DONTWAIT)  # the kernel answers within the call that asks
    except (OSError, HostError):
        return None
    length, kind, *_ = _HEADER.unpack_from(answer)
    body = answer[_HEADER.size : length]
    return body if kind == _NEW_QDISC and class_id(body) else None
