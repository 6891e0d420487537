"""Sends probes, and tells when the kernel saw them and their answers. Nothing here waits.

One socket sends for all devices, one hears each sort of answer: their number does not grow with that of VIFs. Opening
them takes CAP_NET_RAW, using them does not: an agent opens them before it gives up its privileges.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from controller.dataplane.macs import PROBES
from controller.dataplane.protocols import ETH_ARP, ETH_IPV6
from controller.host.errors import HostError
from controller.host.latency.frames import PEERS, from_peer, number_answered, number_sent
from controller.host.latency.muting import Muting
from controller.host.latency.stamps import Heard, Moment, Stamp

MOST_STAMPS, MOST_HEARD = 1024, 256  # at a time, the latter of one socket: a flood takes no more of our time

_SO_TIMESTAMPING, _SO_ATTACH_FILTER, _SOL_PACKET, _PACKET_STATISTICS = 37, 26, 263, 6
_TX_SOFTWARE, _RX_SOFTWARE, _REPORT_SOFTWARE, _TX_SCHED = 1 << 1, 1 << 3, 1 << 4, 1 << 8  # SOF_TIMESTAMPING_...
_ERROR = struct.Struct("=IBBBxII")  # sock_extended_err
_SENT, _QUEUED = 0, 1  # ee_info: SCM_TSTAMP_SND, SCM_TSTAMP_SCHED
_TIMESTAMP = struct.Struct("=qq")
_ALL, _SIOCGIFINDEX = 0x0003, 0x8933
_ANCILLARY_BYTES, _FRAME_BYTES = 256, 128


class Sent(Enum):
    QUEUED = "queued"
    REFUSED = "refused"  # the queue was full
    NOT = "not"  # there is no such device, it is down, or our own buffer is full


class Wire:
    """Of the namespace in which it is made. sees_all: whether frames are taken by the kernel's own switch before they
    are sorted by protocol. Raises HostError."""

    def __init__(self, sees_all: bool = False) -> None:
        self._closing = contextlib.ExitStack()
        try:
            self._sender = self._open(0, _TX_SCHED | _TX_SOFTWARE | _REPORT_SOFTWARE)
            protocols = (_ALL,) if sees_all else (PEERS, ETH_ARP, ETH_IPV6)
            self._hearers = [self._open(protocol, _RX_SOFTWARE | _REPORT_SOFTWARE) for protocol in protocols]
        except OSError as fault:
            self._closing.close()
            raise HostError(f"probes of latency: {fault.strerror}", "Start the agent as root") from fault

        self._muting, self._muted = Muting(time.monotonic), frozenset[str]()

    def close(self) -> None:
        self._closing.close()

    def spare(self, devices: Iterable[str]) -> None:
        """Answers that come from there are heard, however many they are."""
        self._muting.spare(devices)

    def send(self, device: str, frame: bytes) -> Sent:
        try:
            self._sender.sendto(frame, (device, int.from_bytes(frame[12:14], "big")))
        except OSError as fault:
            return Sent.REFUSED if fault.errno == errno.ENOBUFS else Sent.NOT
        return Sent.QUEUED

    def has_heard(self) -> bool:
        """Whether another host's agent has asked or answered."""
        return bool(select.select([self._hearers[0]], [], [], 0)[0])

    def heard(self) -> Iterator[Stamp | Heard]:
        """What has come since the last call: first of what was sent."""
        for _ in range(MOST_STAMPS):
            try:
                frame, ancillary, _, _ = self._sender.recvmsg(
                    _FRAME_BYTES, _ANCILLARY_BYTES, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
                )
            except OSError:
                break  # nothing more, or what went wrong with a device that is gone
            number, stamp = number_sent(frame), _sent(ancillary)
            if number is not None and stamp is not None:
                yield Stamp(stamp[0], number, stamp[1])
        for hearer in self._hearers:
            yield from _answers(hearer, self._muting.count)
        self._mute()

    def _mute(self) -> None:
        """What comes from devices that send too much does not reach us any more, nor does it count as lost."""
        muted = self._muting.muted()
        if muted != self._muted:
            self._muted = muted
            program = _only_answers([index for device in muted if (index := self._index(device)) is not None])
            for hearer in self._hearers:
                _attach(hearer, program)

    def _index(self, device: str) -> int | None:
        """In the namespace of our sockets; None: it is gone."""
        try:
            answer = fcntl.ioctl(self._sender, _SIOCGIFINDEX, struct.pack("16si20x", device.encode(), 0))
        except OSError:
            return None
        index: int = struct.unpack_from("16si", answer)[1]
        return index

    def has_lost(self) -> bool:
        """Whether answers came faster than they were read since the last call: then what is missing is not lost."""
        sizes = (hearer.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8) for hearer in self._hearers)
        return any([struct.unpack("=II", size)[1] for size in sizes])

    def _open(self, protocol: int, stamps: int) -> socket.socket:
        """protocol: of what is received; 0: nothing is."""
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._closing.callback(opened.close)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, stamps)
        if protocol:
            _attach(opened, _only_answers())
            _bind(opened, protocol)
        return opened


def _answers(hearer: socket.socket, count: Callable[[str], None]) -> Iterator[Stamp | Heard]:
    """count: is told the device of whatever was read, be it an answer or not."""
    for _ in range(MOST_HEARD):
        try:
            frame, ancillary, _, address = hearer.recvmsg(_FRAME_BYTES, _ANCILLARY_BYTES)
        except OSError:
            return
        count(address[0])
        time_ns = _time_ns(ancillary)
        if time_ns is None:
            continue
        if (number := number_answered(frame)) is not None:
            yield Stamp(Moment.ANSWERED, number, time_ns, address[0], int.from_bytes(frame[6:12], "big"))
        elif (told := from_peer(frame)) is not None:
            yield Heard(*told, int.from_bytes(frame[:6], "big"), time_ns, address[0])


def _sent(ancillary: list[tuple[int, int, bytes]]) -> tuple[Moment, int] | None:
    time_ns = _time_ns(ancillary)
    for level, _, data in ancillary:
        if level == _SOL_PACKET and len(data) >= _ERROR.size and time_ns is not None:
            info = _ERROR.unpack_from(data)[4]
            return {_SENT: (Moment.SENT, time_ns), _QUEUED: (Moment.QUEUED, time_ns)}.get(info)
    return None


def _time_ns(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING) and len(data) >= _TIMESTAMP.size:
            seconds, rest_ns = _TIMESTAMP.unpack_from(data)
            return int(seconds * 1_000_000_000 + rest_ns) or None
    return None


def _only_answers(muted: Iterable[int] = ()) -> bytes:
    """A program of the classic filter: what is for senders of probes, and was not sent by ourselves.

    muted: indices of devices of which nothing is.
    """
    load_word, load_byte, compare, give = 0x20, 0x30, 0x15, 0x06
    packet_type, device, outgoing = 0xFFFF_F000 + 4, 0xFFFF_F000 + 8, 4
    unheard = [instruction for index in muted for instruction in ((compare, 0, 1, index), (give, 0, 0, 0))]
    return b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (load_byte, 0, 0, packet_type),
            (compare, 0, 1, outgoing),
            (give, 0, 0, 0),
            (load_word, 0, 0, device),
            *unheard,
            (load_word, 0, 0, 0),
            (compare, 0, 1, PROBES[0] >> 16),
            (give, 0, 0, _FRAME_BYTES),
            (give, 0, 0, 0),
        )
    )


def _attach(hearer: socket.socket, program: bytes) -> None:
    code = ctypes.create_string_buffer(program)
    hearer.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    )


def _bind(hearer: socket.socket, protocol: int) -> None:
    """To all devices at once, which Python's own `bind` cannot say."""
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(protocol), 0, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(hearer.fileno(), address, len(address)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "cannot hear answers")
