"""Tap devices: made, read and looked after in the network namespace that the calling thread is in."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from controller.host import link_codec
from controller.host.errors import HostError
from controller.host.links import Netlink
from controller.host.tun_codec import TapState, tap_state

_DEVICE = "/dev/net/tun"
_SETIFF, _SETPERSIST, _SETOWNER = 0x400454CA, 0x400454CB, 0x400454CC
_ACCESS_LIST = "system.posix_acl_access"
_TAP, _MULTI_QUEUE, _NO_PACKET_INFO, _NEW = 0x2, 0x100, 0x1000, 0x8000


@contextmanager
def new(name: str, owner: int, multi_queue: bool) -> Iterator[None]:
    """Makes a tap device for the time of the block; it stays when the block ends without an exception.

    So whoever marks the device inside the block never leaves one without a mark, not even when it is killed.
    owner: the user who may attach to it without privilege. Raises HostError.
    """
    flags = _TAP | _NO_PACKET_INFO | _NEW | (_MULTI_QUEUE if multi_queue else 0)
    try:
        descriptor = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as fault:
        raise HostError(f"{_DEVICE} cannot be opened ({fault.strerror})", "Load the driver: modprobe tun") from fault
    try:
        _ioctl(name, descriptor, _SETIFF, struct.pack("16sH22x", name.encode(), flags))
        _ioctl(name, descriptor, _SETOWNER, owner)
        yield
        _ioctl(name, descriptor, _SETPERSIST, 1)
    finally:
        os.close(descriptor)


def state(socket: Netlink, name: str) -> TapState | None:
    """None when there is no tap device of this name."""
    (answer,) = socket.lean.ask([link_codec.ask_link(name)])
    return tap_state(answer) if isinstance(answer, bytes) else None


def closed_to(user: int, device: str = _DEVICE) -> str | None:
    """Why this user (an id) cannot attach to a tap device of theirs, in words that say what to do.

    None where they can, and where more than the mode of `device` decides it: a group, an access control list.
    """
    if user == 0:
        return None
    with suppress(OSError):
        os.getxattr(device, _ACCESS_LIST)
        return None
    try:
        found = os.stat(device)
    except OSError:
        return None  # making the device says what is wrong
    everybody = stat.S_IROTH | stat.S_IWOTH
    if found.st_mode & everybody == everybody or found.st_gid != 0 or found.st_uid == user:
        return None
    return f"{device} is root's alone: a VM of user {user} cannot attach to its tap device. Run: chmod 0666 {device}"


def _ioctl(name: str, descriptor: int, request: int, argument: bytes | int) -> None:
    try:
        fcntl.ioctl(descriptor, request, argument)
    except OSError as fault:
        raise HostError(
            f"tap device {name} cannot be made ({fault.strerror})",
            "The agent needs CAP_NET_ADMIN, and the name to be free; it tries again by itself",
        ) from fault
