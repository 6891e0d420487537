"""What controller and agent tell each other every tick, as values and as lines of JSON. Pure.

The agent connects and says Hello, then sends HostSample every interval; the controller sends Rates when they change,
and all of them after a Hello. Both serve from memory: after a restart the next message restores everything.
Counters are cumulative since the qdisc or class was made; a smaller value means that it was made anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


class MessageError(ValueError):
    """A line is no message of this protocol."""


@dataclass(frozen=True, slots=True)
class QueueSample:
    """One queue as tc shows it: cumulative counters, and the backlog now."""

    sent_bytes: int
    sent_packets: int
    dropped_packets: int
    backlog_bytes: int


@dataclass(frozen=True, slots=True)
class VifSample:
    """The queues of one VIF; None: the VIF has no such queue, or it could not be read."""

    shaper: QueueSample | None = None  # inside the instance's namespace, before the meter
    uplink: QueueSample | None = None  # its leaf in the tree of its uplink
    ingress: QueueSample | None = None  # its tree on its own port


@dataclass(frozen=True, slots=True)
class Hello:
    chassis: str


@dataclass(frozen=True, slots=True)
class HostSample:
    """vifs: by VIF number. time_s: the host's monotonic clock when it was taken."""

    chassis: str
    time_s: float
    vifs: Mapping[int, VifSample] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rates:
    """What the loop enforces below the policy's limits, in kbit/s by VIF number. Replaces the last message."""

    egress_kbps: Mapping[int, int] = field(default_factory=dict)
    ingress_kbps: Mapping[int, int] = field(default_factory=dict)


Message = Hello | HostSample | Rates


def encode(message: Message) -> bytes:
    """One line, newline included."""
    return json.dumps({"type": type(message).__name__, **asdict(message)}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Raises MessageError for anything that `encode` does not make."""
    try:
        body = json.loads(line)
        kind = body.pop("type")
        if kind == "Hello":
            return Hello(**body)
        if kind == "HostSample":
            vifs = {
                int(number): VifSample(**{name: queue and QueueSample(**queue) for name, queue in sample.items()})
                for number, sample in body["vifs"].items()
            }
            return HostSample(body["chassis"], body["time_s"], vifs)
        if kind == "Rates":
            return Rates(
                *(
                    {int(number): int(rate) for number, rate in body[name].items()}
                    for name in ("egress_kbps", "ingress_kbps")
                )
            )
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise MessageError(f"not a message: {line[:80]!r}: {fault}") from fault
    raise MessageError(f"no message is called {kind!r}")
