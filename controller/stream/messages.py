"""What controller and agent tell each other every tick, as values and as lines of JSON. Pure.

The agent connects and says Hello, then sends HostSample every interval: of queues the first says all, the others mostly
what has changed (docs/decisions/0046). The controller sends Rates when they change, and all of them after a Hello. The
agent sends Repairs when it had to mend something. Both serve from memory: after a restart the next message restores
everything.
Counters are cumulative since the qdisc or class was made; a smaller value means that it was made anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from controller.stream.queue_table import changed, flat, from_flat, merged
from controller.stream.samples import QueueSample, QueueTable, VifSample, table_of

__all__ = [
    "Hello",
    "HostSample",
    "Message",
    "MessageError",
    "PathSample",
    "QueueSample",
    "QueueTable",
    "Rates",
    "Repair",
    "Repairs",
    "VifSample",
    "decode",
    "encode",
    "part_of",
    "table_of",
    "whole",
]


class MessageError(ValueError):
    """A line is no message of this protocol."""


@dataclass(frozen=True, slots=True)
class PathSample:
    """The probes of one VIF in one class that were answered or given up since the last sample.

    buckets: how many round trips, by the number of the bucket that they fall into (controller.measure.sketch).
    jitter_ms: as RFC 3550 has it, by the last answer; None: never two answers yet. sent 0: its link is down.
    unanswered: of those lost, such that all queues took them, and nothing but the instance's answer is missing.
    every_s: so far apart probes of this class are sent; 0: not said.
    """

    sent: int
    lost: int
    jitter_ms: float | None = None
    buckets: Mapping[int, int] = field(default_factory=dict)
    unanswered: int = 0
    every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Hello:
    chassis: str


@dataclass(frozen=True, slots=True)
class HostSample:
    """vifs: by VIF number. paths: by VIF number and class. time_s: the host's monotonic clock when it was taken.

    part: what the last sample on this connection said of queues goes on to hold where this one says nothing.
    still: no link of this host has carried more since the sample before than probes come to in that time.
    """

    chassis: str
    time_s: float
    vifs: Mapping[int, VifSample] = field(default_factory=dict)
    paths: Mapping[int, Mapping[str, PathSample]] = field(default_factory=dict)
    part: bool = False
    still: bool = False


@dataclass(frozen=True, slots=True)
class Rates:
    """What the loop enforces below the policy's limits, in kbit/s by VIF number. Replaces the last message.

    class_kbps: the most that a class of a VIF may take of its uplink, by VIF number and class.
    """

    egress_kbps: Mapping[int, int] = field(default_factory=dict)
    ingress_kbps: Mapping[int, int] = field(default_factory=dict)
    class_kbps: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that was found other than Weir had made it, though nothing else was wanted, and that was mended.

    time_s: seconds since 1970. what: the thing, in the same words whenever it is the same. vifs: numbers of VIFs.
    """

    time_s: float
    kind: str
    what: str
    differed: str
    done: str
    vifs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Repairs:
    """In the order in which they were made."""

    chassis: str
    repairs: tuple[Repair, ...] = ()


Message = Hello | HostSample | Rates | Repairs


def encode(message: Message) -> bytes:
    """One line, newline included."""
    body = _sample_body(message) if isinstance(message, HostSample) else asdict(message)
    return json.dumps({"type": type(message).__name__, **body}, separators=(",", ":")).encode() + b"\n"


def part_of(sample: HostSample, before: HostSample | None) -> HostSample:
    """What needs to be sent of a sample to somebody who has `before`: of queues only those that have counted since."""
    part = None if before is None else changed(table_of(before.vifs).blocks, table_of(sample.vifs).blocks)
    return sample if part is None else replace(sample, vifs=QueueTable(part), part=True)


def whole(sample: HostSample, before: HostSample | None) -> HostSample:
    """Undoes `part_of`. Raises MessageError for a part of nothing."""
    if not sample.part:
        return sample
    if before is None:
        raise MessageError("a part of a sample, with none before it")
    vifs = QueueTable(merged(table_of(before.vifs).blocks, table_of(sample.vifs).blocks))
    return replace(sample, vifs=vifs, part=False)


def _sample_body(sample: HostSample) -> dict[str, Any]:
    body: dict[str, Any] = {"chassis": sample.chassis, "time_s": sample.time_s}
    body |= {name: True for name in ("part", "still") if getattr(sample, name)}
    body["queues"] = {name: flat(rows) for name, rows in table_of(sample.vifs).blocks.items()}
    if sample.paths:
        body["paths"] = {
            vif: {name: asdict(path) for name, path in classes.items()} for vif, classes in sample.paths.items()
        }
    return body


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


def _host_sample(
    chassis: object,
    time_s: object,
    queues: Mapping[str, object],
    paths: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType({}),
    part: object = False,
    still: object = False,
) -> HostSample:
    table = QueueTable({name: from_flat(rows) for name, rows in queues.items()})
    probed = {
        _vif_number(number): {name: _path_sample(**sample) for name, sample in classes.items()}
        for number, classes in paths.items()
    }
    return HostSample(_name(chassis), _time_s(time_s), table, probed, _flag(part), _flag(still))


def _path_sample(
    sent: object,
    lost: object,
    jitter_ms: object,
    buckets: Mapping[str, object],
    unanswered: object = 0,
    every_s: object = 0.0,
) -> PathSample:
    jitter = None if jitter_ms is None else _time_s(jitter_ms)
    counts = {int(key): _whole(count) for key, count in buckets.items()}
    return PathSample(_whole(sent), _whole(lost), jitter, counts, _whole(unanswered), _time_s(every_s))


def _rates(
    egress_kbps: Mapping[str, object],
    ingress_kbps: Mapping[str, object],
    class_kbps: Mapping[str, Mapping[str, object]],
) -> Rates:
    egress, ingress = (
        {_vif_number(vif): _whole(rate) for vif, rate in rates.items()} for rates in (egress_kbps, ingress_kbps)
    )
    classes = {
        _vif_number(vif): {name: _whole(rate) for name, rate in rates.items()} for vif, rates in class_kbps.items()
    }
    return Rates(egress, ingress, classes)


def _repairs(chassis: object, repairs: Sequence[Mapping[str, Any]]) -> Repairs:
    return Repairs(_name(chassis), tuple(_repair(**one) for one in repairs))


def _repair(time_s: object, vifs: Sequence[object], **words: object) -> Repair:
    numbers = tuple(_vif_number(str(_whole(number))) for number in vifs)
    return Repair(_time_s(time_s), vifs=numbers, **{name: _name(value) for name, value in words.items()})


def _time_s(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{value!r} is no time")
    return value  # type: ignore[return-value]


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


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


_DECODERS: Mapping[str, Callable[..., Message]] = {
    "Hello": _hello,
    "HostSample": _host_sample,
    "Rates": _rates,
    "Repairs": _repairs,
}
