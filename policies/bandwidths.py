"""A node's numbers in one direction, as written. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from policies import units
from policies.errors import BadValue, Place, Problems
from policies.grammar import BANDWIDTH
from policies.model import Bandwidth
from policies.reader import Reader
from policies.source import Tree
from policies.units import rate_text
from policies.wording import quoted

_WEIGHT = re.compile(r"[0-9]{1,7}(\.[0-9]{1,3})?")
_HEAVIEST = 1_000_000
_LONGEST_BURST_S = 60.0


@dataclass(frozen=True, slots=True)
class WrittenBandwidth:
    """The numbers, and where those that are written stand, by key."""

    numbers: Bandwidth = field(default_factory=Bandwidth)
    places: Mapping[str, Place] = field(default_factory=dict)
    may_guarantee: bool = False  # has a guarantee, or one that could not be read


def read_bandwidth(reader: Reader, tree: Tree | None, above: Bandwidth) -> WrittenBandwidth:
    """`above`: of the node above, from which only the burst is inherited."""
    if tree is None:
        return WrittenBandwidth(Bandwidth(burst_s=above.burst_s, burst_bytes=above.burst_bytes))
    fields = reader.fields(tree, BANDWIDTH)
    burst = reader.value(fields["burst"], _burst) if "burst" in fields else None
    burst_s, burst_bytes = burst or (above.burst_s, above.burst_bytes)
    guarantee = reader.value(fields["guarantee"], units.rate_kbps) if "guarantee" in fields else 0
    own = Bandwidth(
        guarantee_kbps=guarantee or 0,
        limit_kbps=reader.value(fields["limit"], _limit) if "limit" in fields else None,
        weight=(reader.value(fields["weight"], _weight) if "weight" in fields else None) or 1.0,
        burst_s=burst_s,
        burst_bytes=burst_bytes,
        packets_pps=reader.value(fields["packets"], _packets) if "packets" in fields else None,
    )
    if own.limit_kbps is not None and own.guarantee_kbps > own.limit_kbps:
        problem = f"{rate_text(own.guarantee_kbps)} is more than the limit {rate_text(own.limit_kbps)}"
        reader.problems.add(fields["guarantee"].place, problem, "Raise the limit or lower the guarantee")
    return WrittenBandwidth(own, {key: value.place for key, value in fields.items()}, guarantee != 0)


def refuse_large_burst(problems: Problems, written: WrittenBandwidth, node: Place) -> None:
    """A burst in time, of a leaf, that its limit makes larger than a bucket can be; either may be inherited."""
    own = written.numbers
    if own.limit_kbps is None or own.burst_s is None:
        return
    most_ms = units.SIZE.most * 8 // own.limit_kbps
    if own.burst_s * 1000 > most_ms:
        place = written.places.get("burst") or written.places.get("limit") or node
        problem = f"a burst of {own.burst_s:g} s at a limit of {rate_text(own.limit_kbps)} is more than '1024 mib'"
        problems.add(place, problem, f"Write a burst of at most '{most_ms} ms', or a lower limit")


def _limit(text: str) -> int:
    limit = units.rate_kbps(text)
    if limit == 0:
        raise BadValue(f"{quoted(text)} lets nothing pass", "Write a limit, or deny by rules and 'unmatched: deny'")
    return limit


def _packets(text: str) -> int:
    packets = units.packets_per_s(text)
    if packets == 0:
        raise BadValue(f"{quoted(text)} lets nothing pass", "Write a limit, or deny by rules and 'unmatched: deny'")
    return packets


def _weight(text: str) -> float:
    weight = float(text) if _WEIGHT.fullmatch(text) else 0.0
    if not 0.001 <= weight <= _HEAVIEST:
        raise BadValue(
            f"{quoted(text)} is not a weight",
            f"Write a number without a unit, above 0, at most {_HEAVIEST}, such as 2.5",
        )
    return weight


def _burst(text: str) -> tuple[float | None, int | None]:
    burst_s, burst_bytes = units.time_or_size(text)
    if (burst_s or burst_bytes or 0) <= 0:
        raise BadValue(f"{quoted(text)} lets nothing pass", "Write a burst such as '20 ms' or '64 kib', or remove it")
    if burst_s is not None and burst_s > _LONGEST_BURST_S:
        raise BadValue(f"{quoted(text)} is longer than a burst can be", "Write at most '60 s'; '20 ms' is usual")
    return burst_s, burst_bytes
