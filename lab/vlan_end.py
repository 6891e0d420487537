"""Program: an interface whose frames have a VLAN tag on another one, on kernels without VLAN devices of their own.

    vlan_end.py NAME DEVICE VLAN

Says "ready" once the interface NAME is there. It goes when the program ends, which it does with standard input.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_ETH_P_ALL, _TPID = 0x0003, b"\x81\x00"
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
_AUXDATA = struct.Struct("=IIIHHHH")  # status, len, snaplen, mac, net, vlan_tci, vlan_tpid
_VLAN_VALID = 1 << 4
_MOST_BYTES = 65536
_LOST = {errno.EIO, errno.ENETDOWN, errno.ENOBUFS}  # one end is not up, or full


def main() -> None:
    name, device, vlan = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    wire.bind((device, _ETH_P_ALL))
    wire.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    print("ready", flush=True)
    while True:
        ready = select.select([sys.stdin, tap, wire], [], [])[0]
        if sys.stdin in ready:
            return
        with losing_frames():
            if tap in ready:
                frame = os.read(tap, _MOST_BYTES)
                wire.send(frame[:12] + _TPID + struct.pack("!H", vlan) + frame[12:])
        with losing_frames():
            if wire in ready and (inner := untagged(wire, vlan)):
                os.write(tap, inner)


@contextmanager
def losing_frames() -> Iterator[None]:
    """A frame for an end that is down is lost, as on any wire; the wire stays."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in _LOST:
            raise


def untagged(wire: socket.socket, vlan: int) -> bytes | None:
    """The next frame, if it has come in with this tag (which the kernel has taken out)."""
    frame, about, _, address = wire.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(_AUXDATA.size))
    if address[2] == socket.PACKET_OUTGOING:
        return None
    for _, _, data in about:
        status, _, _, _, _, tci, _ = _AUXDATA.unpack_from(data)
        if status & _VLAN_VALID and tci & 0xFFF == vlan:
            return frame
    return None


if __name__ == "__main__":
    main()
