"""What goes into the client and comes out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from types import NoneType
from typing import Any

from controller.intent.errors import Rejected
from controller.intent.vif_change import VifChange
from controller.intent.vif_checks import VifRequest
from policies.errors import BadValue
from policies.own_numbers import Own, read_own


@dataclass(frozen=True, slots=True)
class Demand:
    """The bandwidth that a VIF wants for itself, within its policy leaf's. None: as it is; "none" or Own(): the leaf's.

    As text: 'guarantee=10 mbit,limit=50 mbit', either part alone, with the units of the policy language.
    """

    egress: Own | str | None = None
    ingress: Own | str | None = None


@dataclass(frozen=True, slots=True)
class PacketBound:
    """pps: packets a second. node: of the policy, which says it. together: with all other VIFs below that node, each
    host for itself; else the VIF's own."""

    pps: int
    node: str
    together: bool


@dataclass(frozen=True, slots=True)
class ProcessorBudget:
    """share: of one datapath core, as a part. node: of the policy, which says it. packet_ns: processor time a packet on
    its host, packets_measured: over how many, 0: it is assumed. budget_pps: packets a second of both directions
    together. The last three are None where nobody can tell.
    """

    share: float
    node: str
    packet_ns: int | None = None
    packets_measured: int | None = None
    budget_pps: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction of a VIF, in kbit/s. None: not measured (yet), unbounded, or no controller answers.

    limit_kbps: what it may have; allocated_kbps: what the loop gives it of what is shared; offered_kbps: what comes;
    passed_kbps, dropped_kbps: what becomes of it. packets: what bounds their number.
    """

    guarantee_kbps: int | None = None
    limit_kbps: int | None = None
    offered_kbps: int | None = None
    allocated_kbps: int | None = None
    passed_kbps: int | None = None
    dropped_kbps: int | None = None
    packets: tuple[PacketBound, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """What probes through the VIF's own queues have seen lately. None: too few have come back, or none are sent.

    p50_ms, p99_ms: of round trips; jitter_ms: as RFC 3550 has it; loss: the part of probes that was not answered, 0..1.
    """

    p50_ms: float | None = None
    p99_ms: float | None = None
    jitter_ms: float | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """at_s: seconds since 1970 when it was asked for. state: of the VIF; error: what is wrong with it. cpu: None: its
    processor time is not bounded."""

    name: str
    at_s: float
    state: str
    error: str | None
    egress: Flow
    ingress: Flow
    cpu: ProcessorBudget | None = None
    path: Path = Path()


def own(wanted: Own | str | None, what: str) -> Own | None:
    """what: which numbers, for the error. Raises Rejected."""
    if not isinstance(wanted, str):
        return wanted
    try:
        return read_own(wanted)
    except BadValue as fault:
        raise Rejected([f"{what}: {fault}"]) from fault


def check_types(asked: VifRequest | VifChange) -> None:
    """Values of other types than a request or a change is made of. Raises Rejected with all of them."""
    who = f"VIF {asked.name!r}: " if isinstance(asked, VifRequest) else ""
    lines = [line for part in fields(asked) for line in _mistyped(part, getattr(asked, part.name), asked)]
    if lines:
        raise Rejected(f"{who}{line}" for line in lines)


def _mistyped(part: Field[Any], value: object, asked: VifRequest | VifChange) -> Iterator[str]:
    if value is None and part.default is None:
        return
    if part.name in ("egress", "ingress"):
        if not isinstance(value, Own):
            yield f"{part.name}: {value!r} is no Own. Give one, as in Own(limit_kbps=5000)."
    elif part.name in ("binding", "labels", "options"):
        takes_away = isinstance(asked, VifChange) and part.name != "binding"
        yield from _of_mapping(part.name, value, (str, NoneType) if takes_away else (str,))
    elif part.name == "addresses":
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            yield from (f"addresses: {one!r} is no text. Give a str." for one in value if not isinstance(one, str))
        else:
            yield f"addresses: {value!r} is no list. Give a list of texts, as in ['192.0.2.5']."
    elif not isinstance(value, str):
        yield f"{part.name}: {value!r} is no text. Give a str."


def _of_mapping(part: str, value: object, types: tuple[type, ...]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{part}: {value!r} is no mapping. Give a dict of texts."
        return
    for key, one in value.items():
        if not isinstance(key, str) or not isinstance(one, types):
            yield f"{part}: {one!r} of {key!r} is no text. Give a str."


def traffic(document: Mapping[str, Any], at_s: float) -> Traffic:
    """From the document of one VIF, see intent.views."""
    egress, ingress = (_flow(document[way]) for way in ("egress", "ingress"))
    cpu = document["cpu"] and ProcessorBudget(**document["cpu"])
    seen = document["path"]
    path = Path(seen["latency_ms"]["p50"], seen["latency_ms"]["p99"], seen["jitter_ms"], seen["loss"])
    return Traffic(document["name"], at_s, document["state"], document["error"], egress, ingress, cpu, path)


def _flow(shown: Mapping[str, Any]) -> Flow:
    found = {name: shown[name] for name in Flow.__slots__}
    return Flow(**{**found, "packets": tuple(PacketBound(**bound) for bound in shown["packets"])})
