"""When the kernel saw a probe. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from controller.host.latency.frames import Note

LATE_S = 0.25  # so much older may the moment be that a step calls now


class Moment(Enum):
    QUEUED = "queued"  # it came to the device's queues
    SENT = "sent"  # the device took it out of them
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Stamp:
    """time_ns: of the kernel's wall clock. device: where an answer arrived; "": not known, of what was sent.

    sender: MAC of who answered; 0: not known.
    """

    moment: Moment
    number: int
    time_ns: int
    device: str = ""
    sender: int = 0


def is_possible(time_ns: int, passed_s: float) -> bool:
    """Whether something that began so long ago, by the monotonic clock, can have taken this time by the wall clock: if
    not, that was set meanwhile."""
    return 0 <= time_ns <= (passed_s + LATE_S) * 1e9


@dataclass(frozen=True, slots=True)
class Heard:
    """What another host's agent has said. peer, receiver: MACs. time_ns: of the kernel's wall clock, on arrival."""

    peer: int
    note: Note
    receiver: int
    time_ns: int
    device: str
