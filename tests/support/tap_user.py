"""A process that attaches to a tap device as a VM's would: frames in, frames out."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from controller.host import namespace
from lab.children import as_user

_SETIFF, _TAP, _MULTI_QUEUE, _NO_PACKET_INFO = 0x400454CA, 0x2, 0x100, 0x1000
_ATTACH = """
import fcntl, os, struct, sys
descriptor = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH22x", sys.argv[1].encode(), 0x1002))
"""


class TapUser:
    """Attached to the device until the block ends, once for each queue."""

    def __init__(self, place: Path, name: str, queues: int = 1) -> None:
        flags = _TAP | _NO_PACKET_INFO | (_MULTI_QUEUE if queues > 1 else 0)
        self._descriptors: list[int] = []
        with namespace.entered(place):
            for _ in range(queues):
                self._descriptors.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
                fcntl.ioctl(self._descriptors[-1], _SETIFF, struct.pack("16sH22x", name.encode(), flags))

    def __enter__(self) -> TapUser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def send(self, frame: bytes) -> None:
        os.write(self._descriptors[0], frame)

    def receives(self, frame: bytes, deadline_s: float = 5.0) -> bool:
        """Whether this very frame comes, on whichever queue."""
        end_s = time.monotonic() + deadline_s
        while (left_s := end_s - time.monotonic()) > 0:
            for descriptor in select.select(self._descriptors, [], [], left_s)[0]:
                if os.read(descriptor, 65536) == frame:
                    return True
        return False


def attaches_as(user: int, place: Path, name: str) -> bool:
    """Whether a process of this user, without privilege, may attach to the device."""
    argv = ["nsenter", f"--net={place}", *as_user(user), sys.executable, "-I", "-S", "-c", _ATTACH, name]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
