"""Bundles on the wire: ONF extension 230, which brings OpenFlow 1.4's atomic bundles to 1.3. Pure."""

from __future__ import annotations

import enum
import struct

from controller.openflow.wire import ONF_EXPERIMENTER, Frame, Type, message

_CONTROL_MESSAGE, _ADD_MESSAGE = 2300, 2301
_ATOMIC = 1
_CONTROL = struct.Struct("!IIIHH")
_ADD = struct.Struct("!IIIHH")


class Control(enum.IntEnum):
    OPEN = 0
    COMMIT = 4
    DISCARD = 6


def control(bundle_id: int, what: Control) -> Frame:
    """Opens an atomic bundle, commits it or throws it away; the switch replies with the same xid."""
    body = _CONTROL.pack(ONF_EXPERIMENTER, _CONTROL_MESSAGE, bundle_id, what, _ATOMIC)
    return lambda xid: message(Type.EXPERIMENTER, xid, body)


def add(bundle_id: int, inner: Frame) -> Frame:
    """Puts a message into the bundle, under one xid outside and inside, as the extension demands."""
    head = _ADD.pack(ONF_EXPERIMENTER, _ADD_MESSAGE, bundle_id, 0, _ATOMIC)
    return lambda xid: message(Type.EXPERIMENTER, xid, head + inner(xid))
