"""What controller and agent tell each other every tick, as values and as lines of JSON. Pure.

The agent connects and says Hello, then sends HostSample every interval; the controller sends Rates when they change,
and all of them after a Hello. Both serve from memory: after a restart the next message restores everything.
Counters are cumulative since the qdisc or class was made; a smaller value means that it was made anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


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
        if kind in _DECODERS:
            return _DECODERS[kind](**body)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
        raise MessageError(f"not a message: {line[:80]!r}: {fault}") from fault
    raise MessageError(f"no message is called {kind!r}")


def _hello(chassis: object) -> Hello:
    return Hello(_name(chassis))


def _host_sample(chassis: object, time_s: object, vifs: Mapping[str, Mapping[str, Any]]) -> HostSample:
    if type(time_s) not in (int, float) or not math.isfinite(time_s):  # type: ignore[arg-type]
        raise ValueError(f"{time_s!r} is no time")
    queues = {
        _vif_number(number): VifSample(**{name: queue and _queue(**queue) for name, queue in sample.items()})
        for number, sample in vifs.items()
    }
    return HostSample(_name(chassis), time_s, queues)  # type: ignore[arg-type]


def _queue(**counters: object) -> QueueSample:
    return QueueSample(**{name: _whole(value) for name, value in counters.items()})


def _rates(egress_kbps: Mapping[str, object], ingress_kbps: Mapping[str, object]) -> Rates:
    return Rates(
        *({_vif_number(vif): _whole(rate) for vif, rate in rates.items()} for rates in (egress_kbps, ingress_kbps))
    )


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no name")
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:  # a bool is an int, and no counter
        raise ValueError(f"{value!r} is no counter of 64 bits")
    return value


def _vif_number(key: str) -> int:
    if not 0 < int(key) < 1 << 16:
        raise ValueError(f"{key} is no VIF number")
    return int(key)


_DECODERS: Mapping[str, Callable[..., Message]] = {"Hello": _hello, "HostSample": _host_sample, "Rates": _rates}
