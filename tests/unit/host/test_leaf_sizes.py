"""How much may wait where the policy does not say: laws of sizes, and what a host's send buffer makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.host.class_queues import ClassShare
from controller.host.desired import Limits
from controller.host.leaf_queues import Room, needed_bytes
from controller.host.leaf_sizes import SLOW_FRAMES, TCP_FRAMES, fitted, least_bytes, wanted, wanted_by_class
from controller.host.queue_sizes import LEAST_FRAMES
from controller.host.rooms import PORT, RAISED_SEND_BYTES, Rooms, Waiter, divide_buffer
from policies.hierarchy import Branch, Leaf, Member
from policies.model import Congestion, LeafQueue

SEND_BUFFER_BYTES = 212_992
CLASSES = (ClassShare(0.4, (46,)), ClassShare(0.6))
rates = st.integers(0, 100_000_000)
frames = st.sampled_from((1518, 9018))
sizes = st.lists(st.builds(wanted, rates, rates, frames), min_size=1, max_size=40)
buffers = st.integers(0, RAISED_SEND_BYTES)


@given(rates, rates, rates, rates, frames)
def test_a_faster_queue_is_no_shorter(sure: int, more: int, most: int, still_more: int, frame_bytes: int) -> None:
    slow = wanted(sure, most, frame_bytes)
    assert slow.frames >= SLOW_FRAMES
    assert wanted(sure + more, most + still_more, frame_bytes).frames >= slow.frames


@given(sizes, buffers)
def test_full_queues_fit_unless_all_are_as_small_as_may_be(rooms: list[Room], memory_bytes: int) -> None:
    (found,) = fitted({1: rooms}, memory_bytes).values()
    assert len(found) == len(rooms)
    assert needed_bytes(found) <= max(memory_bytes, least_bytes(rooms))
    assert all(LEAST_FRAMES <= now.frames <= before.frames for now, before in zip(found, rooms, strict=True))


@given(sizes, buffers)
def test_more_memory_makes_no_queue_shorter_and_enough_of_it_leaves_all_as_wanted(
    rooms: list[Room], memory_bytes: int
) -> None:
    (small,), (large,) = (fitted({1: rooms}, size).values() for size in (memory_bytes, 2 * memory_bytes))
    assert all(one.frames <= other.frames for one, other in zip(small, large, strict=True))
    assert fitted({1: rooms}, needed_bytes(rooms)) == {1: tuple(rooms)}


@pytest.mark.parametrize(
    ("sure_kbps", "most_kbps", "expected"),
    [
        (0, 100_000, TCP_FRAMES),
        (10_000, 100_000, 125_000 // 1518),  # a tenth of a second
        (100_000, 100_000, 250_000 // 1518),
        (1_000_000, 1_000_000, 1_250_000 // 1518),  # ten milliseconds
        (1000, 1000, 62_500 // 1518),  # half a second is less than TCP needs
        (64, 64, SLOW_FRAMES),
    ],
)
def test_what_is_wanted(sure_kbps: int, most_kbps: int, expected: int) -> None:
    assert wanted(sure_kbps, most_kbps).frames == expected


def test_each_class_has_what_its_own_share_of_the_guarantee_is_good_for() -> None:
    assert [room.frames for room in wanted_by_class(CLASSES, 20_000, 100_000)] == [100_000 // 1518, 150_000 // 1518]
    assert wanted_by_class((), 20_000, 100_000) == (wanted(20_000, 100_000),)


def divided(send_buffer_bytes: int | None, asked: Limits, guarantee_kbps: int = 0) -> Rooms:
    """VIF 1 asks, VIF 2 does not; both wait at the uplink, the first at its port, too."""
    members = [Member(number, f"vif{number}", "p") for number in (1, 2)]
    leaves = tuple(Leaf(member, guarantee_kbps, None, 1.0, None, None) for member in members)
    waiters = {1: Waiter(asked, ()), 2: Waiter(Limits(), CLASSES)}
    return divide_buffer(waiters, {"wan": (Branch("", 0, None, 1.0, (), leaves), 100_000)}, [1], send_buffer_bytes)


def test_what_is_asked_for_is_given_whole_and_the_others_share_the_rest() -> None:
    rooms = divided(SEND_BUFFER_BYTES, Limits(ingress_kbps=50_000, buffer_bytes=30_280))
    assert [rooms.of[place, 1] for place in (PORT, "wan")] == 2 * [(Room(30_280, in_frames=True),)]
    rest = [*rooms.of["wan", 2], Room(rooms.leaf_bytes["wan"])]
    assert all(room.frames < TCP_FRAMES for room in rest)
    assert needed_bytes([Room(30_280)] * 2 + rest) <= SEND_BUFFER_BYTES
    assert rooms.note is not None and rooms.note.startswith(f"queues hold as little as {rest[0].frames} frames each")


def test_a_raised_buffer_gives_all_what_they_want() -> None:
    rooms = divided(RAISED_SEND_BYTES, Limits(ingress_kbps=50_000), guarantee_kbps=20_000)
    assert rooms.of["wan", 2] == wanted_by_class(CLASSES, 20_000, 100_000)
    assert rooms.of[PORT, 1] == (wanted(50_000, 50_000),) and rooms.note is None


def test_the_kernels_datapath_has_no_buffer_to_divide() -> None:
    rooms = divided(None, Limits(ingress_kbps=50_000, buffer_bytes=30_280))
    assert rooms.of["wan", 1] == (Room(30_280),) and rooms.of["wan", 2] == () and rooms.note is None
    red = Congestion(LeafQueue.RED)
    rooms = divided(None, Limits(ingress_kbps=50_000, buffer_bytes=30_280, congestion=red))
    assert rooms.of["wan", 1] == rooms.of[PORT, 1] == (Room(131_072, congestion=red),)


def test_another_sort_of_queue_is_as_large_as_a_plain_one() -> None:
    codel = Congestion(LeafQueue.FQ_CODEL)
    rooms = divided(RAISED_SEND_BYTES, Limits(ingress_kbps=50_000, congestion=codel))
    assert rooms.of[PORT, 1] == (replace(wanted(50_000, 50_000), congestion=codel),)


def test_more_than_there_is_is_noted_with_what_helps() -> None:
    note = divided(SEND_BUFFER_BYTES, Limits(ingress_kbps=50_000, buffer_bytes=200_000)).note
    assert note is not None and "buffers that policies ask for" in note and "--raise-buffers" in note
    note = divided(RAISED_SEND_BYTES, Limits(ingress_kbps=50_000, buffer_bytes=30_000_000)).note
    assert note is not None and note.endswith("Ask for smaller buffers, or attach fewer VIFs to this host.")


def test_queues_bounded_in_bytes_are_made_small_enough_for_small_frames() -> None:
    red = replace(wanted(0, 100_000), congestion=Congestion(LeafQueue.RED))
    (found,) = fitted({1: [red] * 4}, SEND_BUFFER_BYTES * 4).values()
    assert LEAST_FRAMES < found[0].frames < TCP_FRAMES and needed_bytes(found) <= SEND_BUFFER_BYTES * 4
    (found,) = fitted({1: [red]}, 1).values()
    assert found[0].frames == LEAST_FRAMES and needed_bytes(found) == least_bytes([red])
