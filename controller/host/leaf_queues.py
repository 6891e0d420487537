"""The queue at the end of a branch: how much may wait in it, of which sort it is, what it costs the switch. Pure.

OVS's userspace datapath sends to all Linux devices through one socket, which is charged with the memory that waiting
frames take, not with their bytes: what a VIF asks for is bounded there in frames of the largest size, so that small
ones cost no more; RED knows bytes alone, and is counted there as full of the smallest. Everywhere else it is bounded in
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from controller.host import congestion
from controller.host.queue_sizes import FRAME_BYTES
from controller.host.queue_tree import BfifoPlan, HeadDropPlan, QdiscPlan
from policies.buffers import frames_of, full_cost_bytes
from policies.model import Congestion, LeafQueue


@dataclass(frozen=True, slots=True)
class Room:
    """What may wait for one VIF in one place. size_bytes: of whole frames. frame_bytes: its largest frame.

    in_frames: bounded by their number, for the userspace datapath; then small frames fill it as large ones do.
    """

    size_bytes: int
    frame_bytes: int = FRAME_BYTES
    in_frames: bool = False
    congestion: Congestion = field(default_factory=Congestion)

    @property
    def frames(self) -> int:
        """Of the largest size; one at least, as nothing passes a queue that holds none."""
        return frames_of(self.size_bytes, self.frame_bytes)

    def part(self, share: float) -> Room:
        return replace(self, size_bytes=int(self.size_bytes * share))

    def queue(self, rate_kbps: int) -> QdiscPlan:
        """rate_kbps: at which it leaves when it is full, as far as that is known."""
        ecn = self.congestion.ecn
        if self.congestion.queue is LeafQueue.RED:
            return congestion.red(self.size_bytes, self.frame_bytes, rate_kbps, ecn)
        if self.congestion.queue is LeafQueue.FQ_CODEL:
            return congestion.fq_codel(self.frames, needed_bytes([self]), self.frame_bytes, rate_kbps, ecn)
        return HeadDropPlan(self.frames) if self.in_frames else BfifoPlan(max(self.frame_bytes, self.size_bytes))


def needed_bytes(rooms: Iterable[Room]) -> int:
    """Of the switch's send buffer when every queue is full: what no queue can then take from the others.

    rooms: one for each queue: a VIF's for its port when it has an ingress limit, and for each uplink that it uses.
    """
    return sum(full_cost_bytes(room.size_bytes, room.frame_bytes, room.congestion.queue) for room in rooms)
