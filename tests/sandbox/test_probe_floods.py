"""An instance that floods its host with answers to probes: those of others are heard all the same."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.dataplane.macs import PROBES
from controller.dataplane.protocols import ETH_ARP
from controller.host import namespace
from controller.host.latency.muting import MOST_PER_S
from controller.host.latency.wire import Wire
from lab.children import wait_until
from tests.support.frame_flood import run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def place() -> Iterator[Path]:
    """A namespace with the devices of two VIFs, wv1 and wv2, and the instances' ends of them, in1 and in2."""
    name = f"wm{os.getpid()}"
    run("ip", "netns", "add", name)
    try:
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        for number in (1, 2):
            run("ip", "-n", name, "link", "add", f"wv{number}", "type", "veth", "peer", "name", f"in{number}")
            for device in (f"wv{number}", f"in{number}"):
                run("ip", "-n", name, "link", "set", device, "up")
        yield namespace.named(name)
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def answer(number: int) -> bytes:
    head = (PROBES[0] | number).to_bytes(6, "big") + b"\2\0\0\0\0\1" + struct.pack(">H", ETH_ARP)
    return head + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 2) + bytes(38)


@pytest.mark.parametrize("sees_all", [False, True])
def test_who_floods_is_not_heard_any_more_and_others_are(place: Path, sees_all: bool) -> None:
    with namespace.entered(place):
        wire, sender = Wire(sees_all), socket.socket(socket.AF_PACKET, socket.SOCK_RAW)

    def listen(floods: int) -> Counter[str]:
        """How many are heard from each device, of one answer of the quiet one and so many of the other."""
        for number in range(floods):
            sender.sendto(answer(1 + number), ("in2", ETH_ARP))
        sender.sendto(answer(7), ("in1", ETH_ARP))
        return Counter(one.device for one in wire.heard())

    try:
        wait_until(lambda: listen(1).keys() == {"wv1", "wv2"}, "both are heard", 30)
        wait_until(lambda: listen(2 * MOST_PER_S).keys() == {"wv1"}, "only the quiet one is heard", 30)
        wire.has_lost()  # what was lost before
        assert all("wv2" not in listen(2 * MOST_PER_S) for _ in range(20))
        assert not wire.has_lost()  # what the filter takes away fills no buffer
    finally:
        wire.close()
        sender.close()
