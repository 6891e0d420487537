"""Flow and meter entries, key and body apart, so that a diff compares mappings and knows nothing of networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.dataplane.actions import Instructions
from controller.dataplane.match import Match


@dataclass(frozen=True, slots=True, order=True)
class FlowKey:
    table: int
    priority: int
    match: Match


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
class SwitchState:
    """All that Weir wants in a bridge, or has found there. meters: by meter id."""

    flows: Mapping[FlowKey, FlowBody] = field(default_factory=dict)
    meters: Mapping[int, MeterBody] = field(default_factory=dict)
