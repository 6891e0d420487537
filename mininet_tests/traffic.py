"""Single frames and connections between hosts, sent from here, and whether they came.

What must not come is told without waiting for it: after it goes a frame that policy always lets through.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from controller.host import namespace
from lab.children import wait_until
from mininet_tests.network import Host
from tests.support import frames

_EVERY_PROTOCOL = 0x0003
_PACKET_AUXDATA, _SOL_PACKET, _VLAN_VALID, _AUXDATA_BYTES = 8, 263, 0x10, 20
_SO_RCVBUFFORCE = 33
_CONNECT_S = 10.0
_numbers = itertools.count(1)
Build = Callable[[bytes], bytes]  # a frame around a payload
_ports = itertools.count(20000)  # a port a frame: each begins a connection


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame without its outer tag. vlan: of that tag, None: it had none."""

    frame: bytes
    vlan: int | None


class Wire:
    """A device as a sender and receiver of whole frames; receives from when it is made."""

    def __init__(self, opened: socket.socket, device: str) -> None:
        self._socket, self._device = opened, device
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._socket.bind((device, _EVERY_PROTOCOL))
        self._socket.setblocking(False)
        self._arrived: list[Arrival] = []
        self._departed: list[bytes] = []  # by whomever but this socket

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def arrivals(self) -> list[Arrival]:
        """All that came."""
        self._drain()
        return self._arrived

    def _left(self, mark: bytes) -> bool:
        self._drain()
        return any(mark in frame for frame in self._departed)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, ancillary, _, address = self._socket.recvmsg(65535, socket.CMSG_SPACE(_AUXDATA_BYTES))
                if address[2] == socket.PACKET_OUTGOING:
                    self._departed.append(frame)
                else:
                    self._arrived.append(_arrival(frame, ancillary))

    def has(self, mark: bytes) -> bool:
        return any(mark in arrival.frame for arrival in self.arrivals())

    def sent_by(self, mac: bytes) -> list[Arrival]:
        """What came from this MAC."""
        return [arrival for arrival in self.arrivals() if arrival.frame[6:12] == mac]

    def await_mark(self, mark: bytes) -> None:
        wait_until(lambda: self.has(mark), f"a frame on {self._device} that holds {mark!r}")

    def await_departure(self, mark: bytes) -> None:
        wait_until(lambda: self._left(mark), f"a frame sent from {self._device} that holds {mark!r}")

    def vlans(self, mark: bytes) -> set[int | None]:
        """The tags that frames with this mark came in."""
        return {arrival.vlan for arrival in self.arrivals() if mark in arrival.frame}


def _arrival(frame: bytes, ancillary: list[tuple[int, int, bytes]]) -> Arrival:
    for level, kind, body in ancillary:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, tag = int.from_bytes(body[:4], "little"), int.from_bytes(body[16:18], "little")
            return Arrival(frame, tag & 0xFFF if status & _VLAN_VALID else None)
    return Arrival(frame, None)


@contextmanager
def wires(*hosts: Host) -> Iterator[Mapping[str, Wire]]:
    """By name of the host."""
    with contextlib.ExitStack() as stack:
        yield {host.name: stack.enter_context(wire_in(host.namespace, host.device)) for host in hosts}


@contextmanager
def wire_in(namespace_name: str, device: str) -> Iterator[Wire]:
    with namespace.entered(namespace.named(namespace_name)):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    with opened:
        yield Wire(opened, device)


def flush(sender: Host, out: Wire, witness: Wire) -> None:
    """Returns when all that `sender` has sent so far was judged on the way to the witness, which is in its segment."""
    asked = question(sender.mac, sender.v4)
    out.send(asked)
    witness.await_mark(asked)


def question(mac: str, address: str) -> bytes:
    """A broadcast of its own that is always let through, and crosses every switch: ARP for an address of nobody."""
    number = next(_numbers)
    asked = frames.arp(1, mac, address, f"169.254.{number >> 8}.{number & 0xFF}")
    return frames.ether(mac, frames.BROADCAST, 0x0806, asked)


def came(sender: Host, receiver: Host, build: Build) -> bool:
    """Whether a frame of `sender` reaches `receiver`, in the same segment."""
    return all_that_came(sender, receiver, {"": build}) != set()


def all_that_came(sender: Host, receiver: Host, build: Mapping[str, Build], last: Build | None = None) -> set[str]:
    """The names of the frames that reach `receiver`.

    last: what is let through in any case; without it they are in the same segment.
    """
    with wires(sender, receiver) as made:
        marks = {name: mark() for name in build}
        for name, frame in build.items():
            made[sender.name].send(frame(marks[name]))
        if last is None:
            flush(sender, made[sender.name], made[receiver.name])
        else:
            final = mark()
            made[sender.name].send(last(final))
            made[receiver.name].await_mark(final)
        return {name for name in build if made[receiver.name].has(marks[name])}


def mark() -> bytes:
    """A payload that no other frame has."""
    return b"weir mark %08d" % next(_numbers)


def tcp(sender: Host, receiver: Host, port: int, v6: bool = False) -> Build:
    """The first segment of a connection, its mark where data would be."""
    return _between(sender, receiver, frames.TCP, port, v6)


def udp(sender: Host, receiver: Host, port: int, v6: bool = False) -> Build:
    return _between(sender, receiver, frames.UDP, port, v6)


def by_router(build: Build, router: str) -> Build:
    """The same, sent to the router with this MAC."""
    return lambda payload: frames.mac_bytes(router) + build(payload)[6:]


def _between(sender: Host, receiver: Host, protocol: int, port: int, v6: bool) -> Build:
    ends = (sender.v6, receiver.v6) if v6 else (sender.v4, receiver.v4)
    wrap, eth_type = (frames.ipv6, 0x86DD) if v6 else (frames.ipv4, 0x0800)

    def build(payload: bytes) -> bytes:
        body = frames.transport(*ends, protocol, (next(_ports), port), payload)
        return frames.ether(sender.mac, receiver.mac, eth_type, wrap(*ends, protocol, body))

    return build


@dataclass(frozen=True, slots=True)
class Connection:
    """Both ends of a TCP connection."""

    client: socket.socket
    server: socket.socket

    def exchange(self) -> None:
        """A little data each way. Raises TimeoutError when it does not arrive."""
        for source, target in ((self.client, self.server), (self.server, self.client)):
            source.sendall(b"weir")
            received = b""
            while len(received) < 4:
                received += target.recv(4 - len(received))

    def transfer(self, size: int) -> None:
        """So many bytes to the server, whole and in order."""
        data = bytes(range(256)) * (size // 256)
        with ThreadPoolExecutor(1) as other:
            sending = other.submit(self.client.sendall, data)
            received = bytearray()
            while len(received) < len(data):
                received += self.server.recv(65536)
            sending.result()
        assert received == data


@contextmanager
def connection(client: Host, server: Host, port: int, v6: bool = False) -> Iterator[Connection]:
    """Raises TimeoutError when it is not established."""
    family, address = (socket.AF_INET6, server.v6) if v6 else (socket.AF_INET, server.v4)
    with server.socket(family, socket.SOCK_STREAM) as listener, client.socket(family, socket.SOCK_STREAM) as caller:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        for end in (listener, caller):
            end.settimeout(_CONNECT_S)
        caller.connect((address, port))
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(_CONNECT_S)
            yield Connection(caller, accepted)
