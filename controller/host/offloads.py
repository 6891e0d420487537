"""Offloads of a link that a userspace datapath cannot undo: it reads frames as the instance's stack leaves them.

Segmentation and checksums of a veth are "done by the hardware", that is by nobody: without this TCP breaks, and a UDP
segment of 64 KB (QUIC sends them) is lost whole. Frames that a receiving device has merged are lost likewise. By the
ethtool ioctl: features by name, as `ethtool -k` shows them.
"""

from __future__ import annotations

import ctypes
import fcntl
import re
import socket
import struct
from collections.abc import Iterable

from controller.host.errors import HostError

_SIOCETHTOOL = 0x8946
_GSTRINGS, _GSSET_INFO, _GFEATURES, _SFEATURES = 0x1B, 0x37, 0x3A, 0x3B
_FEATURE_NAMES = 4  # ETH_SS_FEATURES
_NAME_BYTES = 32
RECEIVED = re.compile(r"rx-gro(-.*)?|rx-lro")  # merges frames
LEFT_TO_OTHERS = re.compile(rf"tx-(checksum-.*|.*segmentation|gso-.*)|{RECEIVED.pattern}")


def disable(ifname: str, which: re.Pattern[str] = LEFT_TO_OTHERS) -> frozenset[str]:
    """Turns off, in the calling thread's namespace, every checksum and segmentation offload of the link. Idempotent.

    which: RECEIVED: only those by which frames come out of the device merged. Returns those that were on.
    Raises HostError when the link is missing or one of them stays on.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        names = _feature_names(control, ifname)
        before = wrong = _active(control, ifname, names, which)
        if wrong:
            _switch(control, ifname, names, wrong, on=False)
            wrong = _active(control, ifname, names, which)
    if wrong:
        raise HostError(
            f"{ifname}: offloads stay on: {', '.join(sorted(wrong))}",
            "This driver cannot work without them behind a userspace datapath: use another kind of device",
        )
    return before


def restore(ifname: str, names: Iterable[str]) -> None:
    """Turns the named ones on again, in the calling thread's namespace. Raises HostError when one of them stays off."""
    wanted = frozenset(names)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        known = _feature_names(control, ifname)
        if missing := wanted - _active(control, ifname, known, LEFT_TO_OTHERS):
            _switch(control, ifname, known, missing, on=True)
            missing = wanted - _active(control, ifname, known, LEFT_TO_OTHERS)
    if missing:
        listed = sorted(missing)
        raise HostError(f"{ifname}: offloads stay off: {', '.join(listed)}", f"Try: ethtool -K {ifname} {listed[0]} on")


def active(ifname: str, which: re.Pattern[str] = LEFT_TO_OTHERS) -> frozenset[str]:
    """The offloads that `disable` would turn off and that are on. Raises HostError when the link is missing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        return _active(control, ifname, _feature_names(control, ifname), which)


def is_active(ifname: str, feature: str) -> bool:
    """Whether a feature is on, by its name in `ethtool -k`'s long form. Raises HostError when the link is missing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        on, _ = _states(control, ifname, _feature_names(control, ifname)).get(feature, (0, 0))
    return bool(on)


def _feature_names(control: socket.socket, ifname: str) -> list[str]:
    query = bytearray(struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _FEATURE_NAMES, 0))
    _ioctl(control, ifname, query)
    (count,) = struct.unpack_from("=I", query, 16)
    answer = bytearray(struct.pack("=III", _GSTRINGS, _FEATURE_NAMES, count)) + bytearray(count * _NAME_BYTES)
    _ioctl(control, ifname, answer)
    starts = range(12, len(answer), _NAME_BYTES)
    return [bytes(answer[start : start + _NAME_BYTES]).split(b"\0", 1)[0].decode() for start in starts]


def _active(control: socket.socket, ifname: str, names: list[str], which: re.Pattern[str]) -> frozenset[str]:
    """Those that are on, and that can be turned off."""
    return frozenset(
        name
        for name, (on, fixed) in _states(control, ifname, names).items()
        if on and not fixed and which.fullmatch(name)
    )


def _states(control: socket.socket, ifname: str, names: list[str]) -> dict[str, tuple[int, int]]:
    """By name: whether it is on, and whether it is a part of the device that nobody can change."""
    blocks = (len(names) + 31) // 32
    answer = bytearray(struct.pack("=II", _GFEATURES, blocks)) + bytearray(blocks * 16)
    _ioctl(control, ifname, answer)
    words = [struct.unpack_from("=IIII", answer, 8 + 16 * block) for block in range(blocks)]
    return {
        name: (words[index // 32][2] >> index % 32 & 1, words[index // 32][3] >> index % 32 & 1)
        for index, name in enumerate(names)
    }


def _switch(control: socket.socket, ifname: str, names: list[str], chosen: frozenset[str], on: bool) -> None:
    changed = [0] * ((len(names) + 31) // 32)
    for index, name in enumerate(names):
        if name in chosen:
            changed[index // 32] |= 1 << index % 32
    words = [word for block in changed for word in (block, block if on else 0)]
    _ioctl(control, ifname, bytearray(struct.pack(f"=II{len(words)}I", _SFEATURES, len(changed), *words)))


def _ioctl(control: socket.socket, ifname: str, command: bytearray) -> None:
    buffer = (ctypes.c_char * len(command)).from_buffer(command)
    request = struct.pack("16sP16x", ifname.encode(), ctypes.addressof(buffer))
    try:
        fcntl.ioctl(control, _SIOCETHTOOL, request)
    except OSError as fault:
        raise HostError(
            f"{ifname}: offloads cannot be set ({fault.strerror})",
            "The agent needs CAP_NET_ADMIN, and the link to exist",
        ) from fault
