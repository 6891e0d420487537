"""Brings together what switches and hosts have counted, by VIF. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.allocation.samples import MeterCounters, PortCounters, QueueCounters, VifCounters
from controller.stream.messages import HostSample, QueueSample, VifSample
from ovsdb.rows import VirtualInterface

_NEVER_S = float("-inf")


@dataclass(frozen=True, slots=True)
class SwitchSample:
    """meters by meter id, ports by OpenFlow port; time_s: our monotonic clock when they were asked for."""

    time_s: float
    meters: Mapping[int, MeterCounters] = field(default_factory=dict)
    ports: Mapping[int, PortCounters] = field(default_factory=dict)


def vif_counters(vif: VirtualInterface, switch: SwitchSample | None, host: HostSample | None) -> VifCounters:
    """What is known of one VIF; an egress meter has its VIF's number."""
    queues = (host.vifs.get(vif.number) if host else None) or VifSample()
    return VifCounters(
        switch_time_s=switch.time_s if switch else _NEVER_S,
        host_time_s=host.time_s if host else _NEVER_S,
        meter=switch.meters.get(vif.number) if switch else None,
        port=switch.ports.get(vif.ofport) if switch and vif.ofport is not None else None,
        shaper=_queue(queues.shaper),
        uplink=_queue(queues.uplink),
        ingress=_queue(queues.ingress),
    )


def _queue(sample: QueueSample | None) -> QueueCounters | None:
    if sample is None:
        return None
    return QueueCounters(sample.sent_bytes, sample.sent_packets, sample.dropped_packets, sample.backlog_bytes)
