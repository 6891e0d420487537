"""Queues that tell senders early, on a kernel that has them: made as planned, read back so, changed in place; what runs
beside TCP waits less than in a plain one, and where marks are asked for TCP is marked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from controller.host.class_queues import ClassShare, rooms_of
from controller.host.leaf_queues import Room
from controller.host.qdisc import TrafficControl
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.queue_tree import QueuePlan, Verb
from lab.children import run
from policies.hierarchy import Branch, Leaf, Member
from policies.model import Congestion, LeafQueue
from tests.support.frame_flood import Wire, mac_of
from tests.support.stamped_frames import Waits, stamped
from tests.support.wire_tcp import address, behind, tcp_across

PROBE_BYTES = 100
ROW = 200  # frames
DEADLINE_S = 40.0
RATE_KBPS, SIZE_BYTES = 4000, 32_768
CLASSES = (ClassShare(0.5, (46,)), ClassShare(0.5))


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    for module in ("sch_htb", "sch_red", "sch_fq_codel", "cls_u32", "sch_tbf"):
        run(["modprobe", module])
    one = Wire(f"we{os.getpid()}")
    try:
        one.make()
        yield one
    finally:
        one.remove()


@pytest.fixture(scope="module")
def control(wire: Wire) -> Iterator[TrafficControl]:
    with TrafficControl(wire.near_path) as one:
        yield one


def planned(place: str, room: Room) -> QueuePlan | None:
    if place == "shaper":
        return shaper_plan(RATE_KBPS, 1_000_000, room=room)
    if place == "port":
        return ingress_plan(RATE_KBPS, 60_000, None, (), [room])
    if place == "classes":
        return ingress_plan(4000, 60_000, None, CLASSES, rooms_of(room, CLASSES))
    leaf = Leaf(Member(1, "vif1", "p"), 2000, 4000, 1.0, None, None)
    return uplink_plan(Branch("", 0, None, 1.0, (), (leaf,)), 8000, {1: Sender(mac_of(1), rooms=(room,))}, {}, 60_000)


@pytest.mark.parametrize("queue", [LeafQueue.RED, LeafQueue.FQ_CODEL])
def test_it_is_made_read_back_and_changed_in_place(control: TrafficControl, queue: LeafQueue) -> None:
    for place, leaves in (("shaper", 1), ("port", 1), ("classes", 2), ("uplink", 1)):
        small = planned(place, Room(32_768, congestion=Congestion(queue)))
        assert control.apply("up0", small)
        assert control.apply("up0", small) == []  # it reads back as it was planned
        large = control.apply("up0", planned(place, Room(65_536, congestion=Congestion(queue, ecn=True))))
        assert [step.verb for step in large] == [Verb.SET] * leaves, place
        plain = planned(place, Room(65_536))
        assert control.apply("up0", plain) and control.apply("up0", plain) == []


def test_beside_tcp_frames_wait_less_than_in_a_plain_queue_and_marks_stand_for_losses(
    wire: Wire, control: TrafficControl
) -> None:
    address(wire)
    full_ms = SIZE_BYTES * 8 / RATE_KBPS
    with behind(wire) as source:
        for name in (source, wire.far):
            run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.tcp_ecn=1"])
        with beside_tcp(wire, control, source, Congestion()) as waits:
            plain_ms = await_wait(waits, lambda wait_ms: wait_ms > 0.5 * full_ms)
        assert marked(wire) == 0
        for queue in (LeafQueue.RED, LeafQueue.FQ_CODEL):
            before = marked(wire)
            with beside_tcp(wire, control, source, Congestion(queue, ecn=True)) as waits:
                await_wait(waits, lambda wait_ms: marked(wire) > before and wait_ms < 0.7 * plain_ms)  # noqa: B023


@contextmanager
def beside_tcp(wire: Wire, control: TrafficControl, source: str, congestion: Congestion) -> Iterator[Waits]:
    control.apply("up0", planned("port", Room(SIZE_BYTES, congestion=congestion)))
    waits = Waits(wire)
    try:
        with tcp_across(wire, "cubic", source), stamped(wire, 1, PROBE_BYTES, 0.08):  # 100 a second
            yield waits
    finally:
        waits.close()


def await_wait(waits: Waits, wanted: Callable[[float], bool]) -> float:
    """The median wait of frames in a row, in milliseconds, once it is as wanted: TCP takes its time in a guest."""
    end_s, tried = time.monotonic() + DEADLINE_S, list[float]()
    while time.monotonic() < end_s:
        found = waits.read(ROW)
        tried.append(found[len(found) // 2])
        if wanted(tried[-1]):
            return tried[-1]
    raise AssertionError(f"waited {tried} ms")


def marked(wire: Wire) -> int:
    """Packets with "congestion experienced" that have reached the far end."""
    names, values = (
        line.split()
        for line in run(["ip", "netns", "exec", wire.far, "cat", "/proc/net/netstat"]).splitlines()
        if line.startswith("IpExt:")
    )
    return int(values[names.index("InCEPkts")])
