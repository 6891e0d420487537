"""An uplink's tree for a thousand VIFs of every sort, on a real kernel: what it takes to make, change and read it.

Counted are messages and system calls, not seconds: those are the machine's.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence

import pytest

from controller.host.class_queues import ClassShare
from controller.host.qdisc import TrafficControl
from controller.host.qdisc_frames import Request
from controller.host.queue_plan import Sender, uplink_plan
from controller.host.queue_tree import QueuePlan
from policies.hierarchy import Branch, Leaf, Member
from tests.support.frame_flood import Wire, mac_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

VIFS, TENANTS, GROUPS = 1000, 20, 4
ROUTER = 0x06AB_CDEF_3412
CLASSES = (ClassShare(0.3, (46,)), ClassShare(0.6), ClassShare(0.1, (8,)))
SOMEBODY = 7


@pytest.fixture
def control() -> Iterator[TrafficControl]:
    wire = Wire(f"wm{os.getpid()}")
    try:
        wire.make()
        with TrafficControl(wire.near_path) as one:
            yield one
    finally:
        wire.remove()


def sender(number: int) -> Sender:
    """Every third is behind the router, every fourth has traffic classes."""
    classes = CLASSES if number % 4 == 0 else ()
    if number % 3:
        return Sender(mac_of(number), classes)
    return Sender(ROUTER, classes, frozenset([ipaddress.ip_address((10 << 24) + number)]))


def planned(guarantee_kbps: int) -> QueuePlan:
    """Groups of tenants of VIFs; the guarantee is somebody's."""
    numbers = range(1, VIFS + 1)
    leaves = {
        number: Leaf(Member(number, f"v{number}", "p"), guarantee_kbps * (number == SOMEBODY), None, 1.0, None, None)
        for number in numbers
    }

    def tenant(one: int) -> Branch:
        below = tuple(leaves[number] for number in numbers if number % TENANTS == one)
        return Branch(f"g{one % GROUPS}/t{one}", 0, None, 1.0, (), below)

    groups = tuple(
        Branch(f"g{group}", 0, None, 1.0, tuple(tenant(one) for one in range(group, TENANTS, GROUPS)), ())
        for group in range(GROUPS)
    )
    nodes = [node.path for group in groups for node in (group, *group.branches)]
    senders = {number: sender(number) for number in numbers}
    root = Branch("", 0, None, 1.0, groups, ())
    return uplink_plan(root, 1_000_000, senders, {path: place for place, path in enumerate(nodes, 1)}, 4554)


def test_a_thousand_vifs_take_few_system_calls_and_a_change_of_one_takes_one_message(
    control: TrafficControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []  # messages of each call
    answers: list[int] = []
    send, receive = control._socket._send, control._socket._receive

    def counted_send(requests: Sequence[Request]) -> int:
        sent.append(len(requests))
        return send(requests)

    def counted_receive() -> list[tuple[int, int, int, bytes]]:
        answers.append(1)
        return receive()

    monkeypatch.setattr(control._socket, "_send", counted_send)
    monkeypatch.setattr(control._socket, "_receive", counted_receive)

    def taken() -> tuple[int, int, int]:
        """Messages out, calls that sent, calls that received; since the last time."""
        figures = sum(sent), len(sent), len(answers)
        sent.clear()
        answers.clear()
        return figures

    plan, link = planned(0), control._index("up0")
    qdiscs = 1 + GROUPS + TENANTS + VIFS // 4  # that have filters, each read by itself
    made = control.apply(link, plan)
    messages, sends, _ = taken()
    assert len(made) > 7 * VIFS and messages < 1.3 * len(made) and sends < messages / 128 + qdiscs + 20

    assert control.apply(link, plan) == []
    reading, sends, receives = taken()
    assert reading == sends <= qdiscs + 5 and receives < 3 * qdiscs  # a part of those that made it

    (change,) = control.apply(link, planned(50_000))
    assert change.place & 0xFFFF == SOMEBODY
    assert taken()[0] == 2 * reading + 1  # read, written, read again

    assert control.read_samples(link).keys() == set(range(VIFS + 1))
    messages, _, receives = taken()
    assert messages <= 3 and receives < VIFS / 10
