"""How much may wait for each VIF of this host, in each place where its frames wait for a device. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controller.host.class_queues import ClassShare, rooms_of
from controller.host.desired import Limits
from controller.host.joined_frames import holding_joined_frames
from controller.host.leaf_queues import Room, needed_bytes
from controller.host.leaf_sizes import fitted, least_bytes, wanted, wanted_by_class
from controller.host.queue_sizes import FRAME_BYTES
from policies.hierarchy import Branch, Leaf
from policies.joined_packets import LEAST_JOINED_LEAF_BYTES
from policies.model import Congestion

RAISED_SEND_BYTES = 64 << 20  # to which the send buffer is raised: room for 29,000 frames; the queues bound its use
PORT = ""  # in place of an uplink's name
_OTHERS = 0  # in place of a VIF's number: what no filter names
Place = tuple[str, int]  # name of the uplink or PORT; number of the VIF


@dataclass(frozen=True, slots=True)
class Waiter:
    """A VIF as far as it matters here. classes: empty: its traffic is not divided."""

    limits: Limits
    classes: tuple[ClassShare, ...]
    frame_bytes: int = FRAME_BYTES

    def rooms(self, sure_kbps: int, most_kbps: int, plain_frames: bool) -> tuple[Room, ...]:
        """As its policy has it, or as much as is good; empty: for the tree to choose."""
        limits = self.limits
        if limits.buffer_bytes is not None:
            whole = Room(limits.buffer_bytes, self.frame_bytes, plain_frames, limits.congestion)
            return rooms_of(whole, self.classes)
        if not plain_frames and limits.congestion == Congestion():
            return ()
        own = wanted_by_class(self.classes, sure_kbps, most_kbps, self.frame_bytes)
        return tuple(replace(room, in_frames=plain_frames, congestion=limits.congestion) for room in own)


@dataclass(frozen=True, slots=True)
class Rooms:
    """leaf_bytes: of whatever else waits, by uplink. note: what is not as good as it should be."""

    of: Mapping[Place, tuple[Room, ...]]
    leaf_bytes: Mapping[str, int]
    note: str | None = None


def divide_buffer(
    waiters: Mapping[int, Waiter],
    uplinks: Mapping[str, tuple[Branch, int]],
    ports: Sequence[int],
    send_buffer_bytes: int | None,
) -> Rooms:
    """uplinks: the VIFs that wait there, and the capacity in kbit/s. ports: the VIFs that wait at their own.

    send_buffer_bytes: what all together may take on the userspace datapath; None: on the kernel's, which has no such
    bound.
    """
    plain = send_buffer_bytes is not None
    found = dict[Place, tuple[Room, ...]]()
    for number in ports:
        limit_kbps = waiters[number].limits.ingress_kbps
        assert limit_kbps is not None
        found[PORT, number] = waiters[number].rooms(limit_kbps, limit_kbps, plain)
    for name, (root, capacity_kbps) in uplinks.items():
        for leaf in _leaves(root):
            number = leaf.member.number
            most_kbps = capacity_kbps if leaf.limit_kbps is None else min(capacity_kbps, leaf.limit_kbps)
            found[name, number] = waiters[number].rooms(leaf.guarantee_kbps, most_kbps, plain)
    if send_buffer_bytes is None:
        found = {place: tuple(map(holding_joined_frames, own)) for place, own in found.items()}
        return Rooms(found, dict.fromkeys(uplinks, LEAST_JOINED_LEAF_BYTES))
    asked = {place: own for place, own in found.items() if _is_asked(waiters, place)}
    free = {place: own for place, own in found.items() if place not in asked}
    free |= {(name, _OTHERS): (wanted(0, capacity_kbps),) for name, (_, capacity_kbps) in uplinks.items()}
    asked_bytes = needed_bytes(_each(asked))
    fitting = fitted(free, send_buffer_bytes - asked_bytes)
    note = _note(asked_bytes, _each(free), _each(fitting), send_buffer_bytes)
    others = {name: fitting.pop((name, _OTHERS))[0].size_bytes for name in uplinks}
    return Rooms(asked | fitting, others, note)


def _each(rooms: Mapping[Place, Sequence[Room]]) -> list[Room]:
    return [room for own in rooms.values() for room in own]


def _is_asked(waiters: Mapping[int, Waiter], place: Place) -> bool:
    return waiters[place[1]].limits.buffer_bytes is not None


def _leaves(branch: Branch) -> list[Leaf]:
    return [*branch.leaves, *(leaf for below in branch.branches for leaf in _leaves(below))]


def _note(asked_bytes: int, free: Sequence[Room], fitting: Sequence[Room], send_buffer_bytes: int) -> str | None:
    """Past some number of queues none can be made smaller, see `fitted`."""
    raising = "Start the system with weir up --raise-buffers, an agent of your own with weir agent --raise-buffers."
    fewer = "Ask for smaller buffers, or attach fewer VIFs to this host."
    remedy = raising if send_buffer_bytes < RAISED_SEND_BYTES else fewer
    most_bytes = asked_bytes + least_bytes(free)
    if most_bytes > send_buffer_bytes:
        buffers = f" and buffers that policies ask for, worth {asked_bytes} bytes," if asked_bytes else ""
        return (
            f"{len(free)} queues{buffers} may take {most_bytes} bytes of the send buffer of Open vSwitch, which holds "
            f"{send_buffer_bytes}: while most of them are full, frames of all VIFs are lost and guarantees do not "
            f"hold. {remedy}"
        )
    short = [now.frames for now, whole in zip(fitting, free, strict=True) if 2 * now.frames < whole.frames]
    if short:
        return (
            f"queues hold as little as {min(short)} frames each, as the send buffer of Open vSwitch holds "
            f"{send_buffer_bytes} bytes: TCP that fills one sends up to a tenth of its segments again. {remedy}"
        )
    return None
