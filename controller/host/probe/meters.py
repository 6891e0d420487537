"""Which meters a bridge's datapath takes: the switch is asked, over the bridge's own socket, in OpenFlow 1.3."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from policies.enforcement import METERS, PACKET_METERS, YES

PATIENCE_S = 0.5
_HEAD = struct.Struct("!BBHI")  # version, type, length, number of the request
_PART = struct.Struct("!HH4x")  # type, flags
_FEATURES = struct.Struct("!8xIIIBB")  # meters, band types, flags, bands a meter, colours
_VERSION = 4
_HELLO, _ERROR, _REQUEST, _REPLY = 0, 1, 18, 19
_METER_FEATURES = 11
_DROP = 1 << 1
_KBPS, _PACKETS = 1 << 0, 1 << 1
_NONE = "no: the datapath of Open vSwitch has no meters"
_NO_PACKETS = "no: the meters of Open vSwitch's datapath do not count packets"


def abilities(rundir: Path, bridge: str) -> dict[str, str]:
    """By ability: YES, or "no: REASON". Empty when the switch does not say: it has no such bridge, or does not run."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as switch:
            switch.settimeout(PATIENCE_S)
            switch.connect(str(rundir / f"{bridge}.mgmt"))
            switch.sendall(_HEAD.pack(_VERSION, _HELLO, _HEAD.size, 1))
            switch.sendall(_HEAD.pack(_VERSION, _REQUEST, _HEAD.size + _PART.size, 2) + _PART.pack(_METER_FEATURES, 0))
            return dict(features(_answer(switch)))
    except (OSError, struct.error):
        return {}


def features(body: bytes) -> Mapping[str, str]:
    """What a reply to a request for meter features says. Raises struct.error when it is too short for one."""
    meters, bands, flags, bands_each, _ = _FEATURES.unpack_from(body)
    if not meters or not bands_each or not bands & _DROP or not flags & _KBPS:
        return {METERS: _NONE, PACKET_METERS: _NONE}
    return {METERS: YES, PACKET_METERS: YES if flags & _PACKETS else _NO_PACKETS}


def _answer(switch: socket.socket) -> bytes:
    """The body of the reply, past the greeting and whatever else comes first."""
    while True:
        _, kind, length, number = _HEAD.unpack(_exactly(switch, _HEAD.size))
        body = _exactly(switch, length - _HEAD.size)
        if kind == _ERROR:
            raise ConnectionRefusedError(f"it answers with an error: {body[:4].hex()}")
        if kind == _REPLY and number == 2:
            return body


def _exactly(switch: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = switch.recv(size - len(found))
        if not more:
            raise ConnectionAbortedError("it hung up")
        found += more
    return found
