"""What a policy lets wait bounds how long it waits: no longer than the buffer takes at the rate, and a quarter more."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.host.leaf_queues import Room
from controller.host.qdisc import TrafficControl
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.queue_tree import QueuePlan
from policies.hierarchy import Branch, Leaf, Member
from tests.support.frame_flood import FRAME_BYTES, Wire, mac_of
from tests.support.stamped_frames import Waits, stamped
from tests.support.wire_tcp import address, split, tcp_across

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

MOST = 1.25  # of the time that the buffer takes at the rate
DEADLINE_S = 20.0
KIB = 1024
PROBE_BYTES = 100


def shaper(rate_kbps: int, room: Room) -> QueuePlan | None:
    return shaper_plan(rate_kbps, 1_000_000, room=Room(room.size_bytes))


def ingress(rate_kbps: int, room: Room) -> QueuePlan | None:
    return ingress_plan(rate_kbps, 60_000, rooms=[room])


def uplink(rate_kbps: int, room: Room) -> QueuePlan:
    limited = Leaf(Member(1, "vif1", "p"), rate_kbps // 2, rate_kbps, 1.0, None, None)
    senders = {1: Sender(mac_of(1), rooms=(room,))}
    return uplink_plan(Branch("", 0, None, 1.0, (), (limited,)), 100_000, senders, {}, 60_000)


SMALL, LARGE = (10_000, 16 * KIB), (20_000, 64 * KIB)


@pytest.fixture
def wire() -> Iterator[Wire]:
    one = Wire(f"wl{os.getpid()}")
    try:
        one.make()
        address(one)
        yield one
    finally:
        one.remove()


@pytest.fixture
def waits(wire: Wire) -> Iterator[Waits]:
    one = Waits(wire)
    try:
        yield one
    finally:
        one.close()


def assert_waits(waits: Waits, full_ms: float, least: float) -> None:
    """Of some hundred frames in a row nineteen of twenty wait no longer than they may, and the queue is used.

    Tried again until the deadline: a machine that is busy elsewhere lets frames wait that no queue holds.
    """
    end_s, tried = time.monotonic() + DEADLINE_S, list[tuple[float, float]]()
    while time.monotonic() < end_s:
        found = waits.read(200)
        middle_ms, most_ms = found[len(found) // 2], found[len(found) * 19 // 20]
        if least * full_ms <= middle_ms and most_ms <= MOST * full_ms:
            return
        tried.append((round(middle_ms, 2), round(most_ms, 2)))
    raise AssertionError(f"waited {tried} ms (median, p95); a full queue takes {full_ms:.2f}")


@pytest.mark.parametrize(
    ("place", "rate_kbps", "size_bytes", "in_frames"),
    [
        (shaper, *SMALL, False),  # in memory of its own: bounded in bytes alone
        (ingress, *LARGE, False),
        (ingress, *SMALL, True),
        (uplink, *LARGE, True),
    ],
)
def test_a_flood_waits_as_long_as_its_buffer_takes(
    wire: Wire,
    waits: Waits,
    place: Callable[[int, Room], QueuePlan | None],
    rate_kbps: int,
    size_bytes: int,
    in_frames: bool,
) -> None:
    with TrafficControl(wire.near_path) as control:
        control.apply("up0", place(rate_kbps, Room(size_bytes, in_frames=in_frames)))
    with stamped(wire, 1, FRAME_BYTES, 2 * rate_kbps / 1000):
        # where the oldest goes when the queue is full, a frame moves up as fast as others are offered: twice the rate
        assert_waits(waits, size_bytes * 8 / rate_kbps, least=0.4 if in_frames else 0.6)


@pytest.mark.parametrize(
    ("place", "rate_kbps", "size_bytes", "algorithm"),
    [
        (shaper, *SMALL, "bbr"),
        (shaper, *LARGE, "cubic"),
        (ingress, *SMALL, "cubic"),
        (ingress, *LARGE, "bbr"),
        (uplink, *SMALL, "bbr"),
        (uplink, *LARGE, "cubic"),
    ],
)
def test_what_runs_beside_tcp_waits_no_longer_than_the_buffer_takes(
    wire: Wire,
    waits: Waits,
    place: Callable[[int, Room], QueuePlan | None],
    rate_kbps: int,
    size_bytes: int,
    algorithm: str,
) -> None:
    if algorithm not in Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split():
        pytest.skip(f"the kernel has no {algorithm}: TCP with it can not be tried here")
    with TrafficControl(wire.near_path) as control:
        control.apply("up0", place(rate_kbps, Room(size_bytes, in_frames=True)))
    if place is not shaper:  # a joined packet would be one of those that are counted, whatever its size
        split(wire)
    with tcp_across(wire, algorithm), stamped(wire, 1, PROBE_BYTES, 0.16):  # 200 a second
        assert_waits(waits, size_bytes * 8 / rate_kbps, least=0.0)
