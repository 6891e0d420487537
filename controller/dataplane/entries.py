"""Flow and meter entries, key and body apart, so that a diff compares mappings and knows nothing of networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.dataplane.actions import Instructions
from controller.dataplane.match import Match


@dataclass(frozen=True, slots=True, order=True)
class FlowKey:
    """Made once and looked up again and again among ten thousands: it keeps its hash."""

    table: int
    priority: int
    match: Match
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.table, self.priority, self.match.fields)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[FlowKey], tuple[int, int, Match]]:
        """Hashes of texts differ from process to process."""
        return FlowKey, (self.table, self.priority, self.match)


@dataclass(frozen=True, slots=True)
class FlowBody:
    cookie: int  # dataplane.cookies: leads back to a policy's file and line
    instructions: Instructions


@dataclass(frozen=True, slots=True)
class MeterBody:
    """A drop band with statistics. Without a burst of our own OVS would allow one second of the rate."""

    rate_kbps: int  # 1 kbps = 1000 bit/s (OFPMF_KBPS)
    burst_kbit: int


@dataclass(frozen=True, slots=True)
class PacketMeterBody:
    """The same, counting packets (OFPMF_PKTPS)."""

    rate_pps: int
    burst_packets: int


Meter = MeterBody | PacketMeterBody


def meter_rate(body: Meter) -> int:
    """kbit/s, or packets a second: comparable between meters of one sort."""
    return body.rate_kbps if isinstance(body, MeterBody) else body.rate_pps


@dataclass(frozen=True, slots=True)
class SwitchState:
    """All that Weir wants in a bridge, or has found there. meters: by meter id."""

    flows: Mapping[FlowKey, FlowBody] = field(default_factory=dict)
    meters: Mapping[int, Meter] = field(default_factory=dict)


NOTHING = SwitchState()
