"""How much may wait at the end of each branch where the policy does not say. Pure.

As much as TCP needs, where the switch's send buffer has room for it: a queue of six frames costs cubic two frames in a
hundred and BBR twelve, one of 20 cubic one in 300, one of 48 one in a thousand. Beyond that as much as leaves within a
tenth of a second at the rate that is sure.

A size follows from the VIF's own numbers alone, and from a factor for all that changes seldom: a VIF that comes or goes
leaves the queues of the others as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from controller.host.class_queues import ClassShare
from controller.host.leaf_queues import Room, needed_bytes
from controller.host.queue_sizes import FRAME_BYTES, LEAST_FRAMES, size_bytes
from policies.buffers import TAG_BYTES

TCP_FRAMES = 64
SLOW_FRAMES, SLOW_US = 10, 500_000  # fewer than TCP needs, where those would wait for longer than this at any time
SURE_US = 100_000
MOST_BYTES, MOST_US = 250_000, 10_000  # the larger counts
SMALLER = 0.75  # the factor's steps
Place = TypeVar("Place")


def wanted(sure_kbps: int, most_kbps: int, frame_bytes: int = FRAME_BYTES) -> Room:
    """For what leaves at sure_kbps whoever else sends, and at most_kbps when nobody does. Monotone in both."""
    most_frames = max(MOST_BYTES, size_bytes(MOST_US, most_kbps)) // frame_bytes
    slow_frames = max(SLOW_FRAMES, size_bytes(SLOW_US, most_kbps) // frame_bytes)
    sure_frames = min(most_frames, size_bytes(SURE_US, sure_kbps) // frame_bytes)
    return _of_frames(max(min(TCP_FRAMES, slow_frames), sure_frames), frame_bytes)


def wanted_by_class(
    classes: Sequence[ClassShare], sure_kbps: int, most_kbps: int, frame_bytes: int = FRAME_BYTES
) -> tuple[Room, ...]:
    """Of each class, in their order; of all together where the traffic is not divided."""
    shares = [own.share for own in classes] or [1.0]
    return tuple(wanted(int(share * sure_kbps), most_kbps, frame_bytes) for share in shares)


def fitted(rooms: Mapping[Place, Sequence[Room]], memory_bytes: int) -> dict[Place, tuple[Room, ...]]:
    """All made smaller by one factor until full ones take no more than this of the send buffer.

    None is smaller than LEAST_FRAMES frames; where all are, they may take more.
    """
    factor = 1.0
    while True:
        found = {place: tuple(_shrunk(room, factor) for room in own) for place, own in rooms.items()}
        every = [room for own in found.values() for room in own]
        if needed_bytes(every) <= memory_bytes or all(room.frames <= LEAST_FRAMES for room in every):
            return found
        factor *= SMALLER


def least_bytes(rooms: Iterable[Room]) -> int:
    """What such queues take of the send buffer when they are as small as they may be."""
    return needed_bytes(_shrunk(room, 0.0) for room in rooms)


def _of_frames(frames: int, frame_bytes: int) -> Room:
    return Room(frames * (frame_bytes - TAG_BYTES), frame_bytes, in_frames=True)


def _shrunk(room: Room, factor: float) -> Room:
    frames = max(LEAST_FRAMES, int(room.frames * factor))
    return replace(room, size_bytes=frames * (room.frame_bytes - TAG_BYTES))
