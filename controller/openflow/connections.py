"""Connection tracking on the wire: Nicira's extension with which a switch forgets what is in a zone. Pure."""

from __future__ import annotations

import struct

from controller.openflow.wire import NICIRA_EXPERIMENTER, Type, message

_FLUSH_ZONE = 29
_BODY = struct.Struct("!II6xH")


def flush_zone(xid: int, zone: int) -> bytes:
    """zone: 0..65535."""
    return message(Type.EXPERIMENTER, xid, _BODY.pack(NICIRA_EXPERIMENTER, _FLUSH_ZONE, zone))
