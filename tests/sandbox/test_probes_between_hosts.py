"""Agents that ask each other over a wire with a box between them: what waits in the box counts, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from controller.host import namespace
from controller.host.latency.frames import host_macs
from controller.host.latency.neighbours import Neighbour, Neighbours
from controller.host.latency.prober import Prober
from controller.host.latency.surroundings import Aims
from controller.host.latency.wire import Wire
from lab.children import Child, wait_until
from tests.support.frame_flood import flood, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

LIMIT = ("tbf", "rate", "5mbit", "burst", "3000", "limit", "31250")
FULL_MS = 31_250 * 8 / 5_000
VLAN = 30
MACS = host_macs("5a1e37", ("h1", "h2"))


class Road:
    """up0 of one host, through a box that passes on every frame, to dn0 of the other."""

    def __init__(self) -> None:
        self.names = [f"wr{os.getpid()}{part}" for part in ("n", "b", "f")]
        self.near, self.box, self.far = (namespace.named(name) for name in self.names)

    def __enter__(self) -> Road:
        near, box, far = self.names
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        run("ip", "-n", near, "link", "add", "up0", "type", "veth", "peer", "name", "b0", "netns", box)
        run("ip", "-n", far, "link", "add", "dn0", "type", "veth", "peer", "name", "b1", "netns", box)
        for name, device in ((near, "up0"), (box, "b0"), (box, "b1"), (far, "dn0")):
            run("ip", "-n", name, "link", "set", device, "up")
        for device, other in (("b0", "b1"), ("b1", "b0")):
            run("tc", "-n", box, "qdisc", "add", "dev", device, "ingress")
            everything = ["parent", "ffff:", "protocol", "all", "u32", "match", "u32", "0", "0"]
            passing = ["action", "mirred", "egress", "redirect", "dev", other]
            run("tc", "-n", box, "filter", "add", "dev", device, *everything, *passing)
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def narrow(self, place: int, device: str) -> None:
        run("tc", "-n", self.names[place], "qdisc", "add", "dev", device, "root", *LIMIT)


class Agents:
    """One at each end, as their processes would be: each looks at what came when it is its turn."""

    def __init__(self, one: Prober, other: Prober, asking: Neighbours) -> None:
        self._both, self._asking = (one, other), asking

    def beyond_ms(self) -> float | None:
        now_s = time.monotonic()
        for prober in self._both:
            prober.hear(now_s)
            prober.step(now_s)
        found = self._asking.beyond_ns(["up0"], now_s)
        return None if found is None else found / 1e6

    def for_a_while_ms(self) -> list[float]:
        """What was known at any time of two seconds."""
        found, end_s = list[float](), time.monotonic() + 2
        while time.monotonic() < end_s:
            known_ms = self.beyond_ms()
            if known_ms is not None:
                found.append(known_ms)
            time.sleep(0.01)
        return sorted(found)


@pytest.fixture
def road() -> Iterator[Road]:
    with Road() as made:
        yield made


@pytest.fixture
def agents(road: Road) -> Iterator[Agents]:
    with ExitStack() as ends:
        one, other = prober(road.near), prober(road.far)
        ends.callback(one.close)
        ends.callback(other.close)
        now_s = time.monotonic()
        one.aim(Aims({}, (Neighbour("up0", MACS["h2"], VLAN),), {"up0": VLAN}, MACS["h1"]), now_s)
        other.aim(Aims({}, (), {"dn0": VLAN}, MACS["h2"]), now_s)
        made = Agents(one, other, one._neighbours)
        wait_until(lambda: made.beyond_ms() is not None, "the agents know of each other")
        yield made


def prober(place: Path) -> Prober:
    with namespace.entered(place):
        return Prober(Wire())


def assert_comes_to(agents: Agents, least_ms: float, most_ms: float, deadline_s: float = 30.0) -> None:
    """Others use this machine too: the first two seconds whose median is right."""
    tried, end_s = list[float](), time.monotonic() + deadline_s
    while time.monotonic() < end_s:
        found = agents.for_a_while_ms()
        if found and least_ms <= found[len(found) // 2] <= most_ms:
            return
        tried += found[len(found) // 2 : len(found) // 2 + 1]
    raise AssertionError(f"not within {least_ms} to {most_ms} ms: {tried}")


def test_an_empty_road_takes_hardly_any_time(agents: Agents) -> None:
    assert_comes_to(agents, 0.001, 0.1 * FULL_MS)


def test_what_waits_on_the_road_is_seen(road: Road, agents: Agents) -> None:
    road.narrow(1, "b1")
    with flood(road.near, [1], 12):
        assert_comes_to(agents, 0.75 * FULL_MS, 1.25 * FULL_MS)


@pytest.mark.parametrize(("place", "device"), [(0, "up0"), (2, "dn0")])
def test_what_waits_at_either_end_is_not(road: Road, agents: Agents, place: int, device: str) -> None:
    """Neither in the asker's own queue nor in the other's, though every frame of theirs waits there."""
    road.narrow(place, device)
    with flood(road.near, [1], 12) if place == 0 else flooded(road):
        wait_until(lambda: backlog_bytes(road, place, device) > 20_000, "the queue is full")
        assert_comes_to(agents, 0.001, 0.1 * FULL_MS)
        assert backlog_bytes(road, place, device) > 20_000


@contextmanager
def flooded(road: Road) -> Iterator[None]:
    """From the far end towards the near one."""
    send = (
        "import socket, time\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)\ns.bind(('dn0', 0))\n"
        "while True:\n try:\n  s.send(bytes.fromhex('02ffffffffff02770000000188b5').ljust(1514, b'0'))\n"
        " except OSError:\n  pass\n time.sleep(0.001)\n"
    )
    with Child(road.names[2], [sys.executable, "-c", send], lambda line: None):
        yield


def backlog_bytes(road: Road, place: int, device: str) -> int:
    shown = run("tc", "-s", "-n", road.names[place], "qdisc", "show", "dev", device, "root")
    words = shown.replace("b ", " ").split("backlog")[-1].split()
    amount = words[0]
    return int(amount[:-1]) * 1024 if amount.endswith("K") else int(amount)
