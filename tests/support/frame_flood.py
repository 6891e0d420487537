"""Two network namespaces joined by a veth pair, and floods of frames from chosen source MACs across it."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from controller.host import namespace

FRAME_BYTES = 1514
DESTINATION = bytes.fromhex("02ffffffffff")
SOURCE = 0x0277_0000_0000
_ETHERTYPE = b"\x88\xb5"  # for experiments; no stack answers it
_ANY_PROTOCOL = 0x0003
_SO_RCVBUFFORCE = 33
_processes = multiprocessing.get_context("fork")


def mac_of(vif: int) -> int:
    return SOURCE | vif


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


class Wire:
    """Device `up0` in one namespace leads to `dn0` in the other; nothing but the test's traffic is on it."""

    def __init__(self, prefix: str) -> None:
        self.near, self.far = f"{prefix}n", f"{prefix}f"
        self.near_path, self.far_path = (namespace.named(name) for name in (self.near, self.far))

    def make(self) -> None:
        run("ip", "netns", "add", self.near)
        run("ip", "netns", "add", self.far)
        run("ip", "-n", self.near, "link", "add", "up0", "type", "veth", "peer", "name", "dn0", "netns", self.far)
        for name, device in ((self.near, "up0"), (self.far, "dn0")):
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            run("ip", "netns", "exec", name, "ethtool", "-K", device, "tx", "off")
            run("ip", "-n", name, "link", "set", device, "up")

    def remove(self) -> None:
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def frame(vif: int, vlan: int | None = None, destination: bytes = DESTINATION) -> bytes:
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return (destination + mac_of(vif).to_bytes(6, "big") + tag + _ETHERTYPE).ljust(FRAME_BYTES, b"\0")


def packet_socket(place: Path, device: str, protocol: int = 0) -> socket.socket:
    with namespace.entered(place):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
    opened.bind((device, protocol))
    return opened


class Flood:
    """A process that offers frames of each VIF at a rate that may be changed while it runs."""

    def __init__(self, place: Path, frames: Mapping[int, bytes], rate_mbit: float) -> None:
        self._vifs = sorted(frames)
        self._rates = _processes.Array("d", [rate_mbit] * len(frames), lock=False)
        sockets = [packet_socket(place, "up0") for _ in self._vifs]
        self._process = _processes.Process(
            target=_offer, args=(sockets, [frames[vif] for vif in self._vifs], self._rates), daemon=True
        )
        self._process.start()
        for opened in sockets:
            opened.close()

    def offer(self, vif: int, rate_mbit: float) -> None:
        self._rates[self._vifs.index(vif)] = rate_mbit

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


@contextmanager
def flood(place: Path, vifs: Sequence[int], rate_mbit: float, vlan: int | None = None) -> Iterator[Flood]:
    running = Flood(place, {vif: frame(vif, vlan) for vif in vifs}, rate_mbit)
    try:
        yield running
    finally:
        running.stop()


def _offer(sockets: Sequence[socket.socket], frames: Sequence[bytes], rates: Sequence[float]) -> None:
    credit_bytes, last_s = [0.0] * len(frames), time.monotonic()
    for opened in sockets:
        opened.setblocking(False)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.001)
        now_s = time.monotonic()
        for place, rate_mbit in enumerate(rates):
            credit_bytes[place] = min(credit_bytes[place] + rate_mbit * 125_000 * (now_s - last_s), 60_000)
            while credit_bytes[place] >= FRAME_BYTES:
                credit_bytes[place] -= FRAME_BYTES
                try:
                    sockets[place].send(frames[place])
                except OSError:  # the queue is full: what is offered beyond it is lost
                    continue
        last_s = now_s


class Counter:
    """What arrives at the far end, by VIF number."""

    def __init__(self, place: Path) -> None:
        self._socket = packet_socket(place, "dn0", _ANY_PROTOCOL)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        self._socket.settimeout(0.05)

    def close(self) -> None:
        self._socket.close()

    def frames(self, duration_s: float, enough: int | None = None) -> dict[int, int]:
        """Frames that arrive from now on, until the time is over or enough have come."""
        found: dict[int, int] = {}
        buffer = bytearray(12)
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s and (enough is None or sum(found.values()) < enough):
            try:
                self._socket.recv_into(buffer)
            except TimeoutError:
                continue
            vif = int.from_bytes(buffer[6:12], "big") - SOURCE
            found[vif] = found.get(vif, 0) + 1
        return found

    def drain(self) -> None:
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(1)
        except BlockingIOError:
            self._socket.settimeout(0.05)

    def rates_mbit(self, duration_s: float) -> dict[int, float]:
        self.drain()
        start_s = time.monotonic()
        found = self.frames(duration_s)
        return {vif: count * FRAME_BYTES * 8e-6 / (time.monotonic() - start_s) for vif, count in sorted(found.items())}
