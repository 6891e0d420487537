"""What the kernel says of a tap device beyond what it says of any link. Pure.

Layout: linux/if_link.h, the IFLA_TUN_* attributes of a link's message.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from controller.host.qdisc_frames import attributes

_LINK_HEAD_BYTES = 16  # struct ifinfomsg
_INFO = 18
_KIND, _DATA = 1, 2  # within _INFO
_OWNER, _TYPE, _PERSIST, _MULTI_QUEUE, _QUEUES = 1, 3, 6, 7, 8  # within _DATA
_TAP = 2  # of _TYPE


@dataclass(frozen=True, slots=True)
class TapState:
    """owner: who may attach to it without privilege; None: everybody. queues: that are attached now, by a VM."""

    owner: int | None
    persistent: bool
    multi_queue: bool
    queues: int


def tap_state(body: bytes) -> TapState | None:
    """From the answer to `link_codec.ask_link`; None when the link is no tap device."""
    found = dict(attributes(body[_LINK_HEAD_BYTES:]))
    info = dict(attributes(found.get(_INFO, b"")))
    data = dict(attributes(info.get(_DATA, b"")))
    if info.get(_KIND, b"").rstrip(b"\0") != b"tun" or data.get(_TYPE, b"")[:1] != bytes([_TAP]):
        return None
    return TapState(
        owner=_number(data[_OWNER]) if _OWNER in data else None,
        persistent=data.get(_PERSIST, b"\0")[0] == 1,
        multi_queue=data.get(_MULTI_QUEUE, b"\0")[0] == 1,
        queues=_number(data[_QUEUES]) if _QUEUES in data else 0,
    )


def _number(value: bytes) -> int:
    return int(struct.unpack("=I", value)[0])
