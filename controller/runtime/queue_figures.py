"""What waits for each VIF, class by class, and what its packets cost the datapath: for those whom the API serves. Pure.

Processor time is an estimate: the host's measured cost of a packet, times the packets of the VIF's port.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from controller.allocation.actuator import Direction
from controller.allocation.class_figures import ClassFigures, ClassOfQueue, ClassState, after, figures, keep
from controller.allocation.samples import PORT_RX_PACKETS, PORT_TX_PACKETS, QueueCounters, VifCounters
from controller.allocation.settings import Settings
from controller.measure.counted import Counted
from controller.runtime.tick import Tick
from controller.stream.messages import HostSample, table_of
from controller.stream.queue_table import INGRESS, UPLINK, classes_in
from ovsdb.rows import VirtualInterface
from policies.packet_budget import packet_cost
from policies.scaling import buffer_in_force, scaled_of

_KINDS: Mapping[Direction, str] = {"egress": UPLINK, "ingress": INGRESS}


class QueueFigures:
    """Remembers of each chassis what its agent has said last, and when. interval_s: from one sample to the next."""

    def __init__(self, clock: Callable[[], float], interval_s: Callable[[], float]) -> None:
        self._clock, self._interval_s = clock, interval_s
        self._classes: dict[str, ClassState] = {}
        self._heard_s: dict[str, float] = {}

    def take(self, sample: HostSample) -> None:
        before = self._classes.get(sample.chassis, ClassState())
        self._classes[sample.chassis] = after(before, dict(_by_class(sample)), sample.time_s)
        self._heard_s[sample.chassis] = self._clock()

    def keep(self, chassis: Collection[str], vifs: Collection[int]) -> None:
        """Forgets all others. vifs: numbers."""
        for gone in self._heard_s.keys() - chassis:
            del self._heard_s[gone], self._classes[gone]
        self._classes = {name: keep(state, vifs) for name, state in self._classes.items()}

    def is_told(self, vif: VirtualInterface) -> bool:
        """Whether the agent of its host says now what waits there: it has been silent for no longer than rates hold."""
        silent_s = self._clock() - self._heard_s.get(vif.chassis or "", -math.inf)
        return silent_s <= Settings().stale_after_ticks * self._interval_s()

    def classes(self, vif: VirtualInterface) -> Mapping[Direction, Mapping[str, ClassFigures]]:
        """By direction and class; empty where the VIF is not divided there, or the agent has not said. Of one that has
        fallen silent totals alone."""
        state = self._classes.get(vif.chassis or "", ClassState())
        return figures(state, vif.number, is_stale=not self.is_told(vif))

    def shown_in(self, document: dict[str, Any], tick: Tick | None) -> dict[str, Any]:
        """What /v1/vifs serves, and beside it of each VIF `cpu_share` (of a core; null: not known), and of each
        direction `backlog_bytes`, `buffer_part` (of the fullest of its queues; null: the policy gives no buffer) and
        `classes`: by name what `ClassFigures` has, kbit/s whole."""
        if tick is None:
            return document
        for name, shown in document["vifs"].items():
            vif = tick.world.snapshot.interfaces.get(name)
            counters = tick.counters.get(vif.number) if vif else None
            if vif is None or counters is None:
                continue
            shown["cpu_share"] = _cpu_share(vif, tick)
            buffer_bytes, classes = _buffer_bytes(vif, tick), self.classes(vif)
            for direction, queues in _queues(counters).items():
                backlogs = [queue.backlog_bytes for queue in queues] if self.is_told(vif) else []
                shown[direction] |= _waiting(backlogs, buffer_bytes)
                found = classes[direction]
                shown[direction]["classes"] = {one: _class(figure) for one, figure in sorted(found.items())}
        return document


def _by_class(sample: HostSample) -> Iterator[tuple[ClassOfQueue, Counted]]:
    blocks = table_of(sample.vifs).blocks
    for direction, kind in _KINDS.items():
        for name, block in classes_in(blocks, kind):
            yield (direction, name), blocks[block]


def _queues(counters: VifCounters) -> Mapping[Direction, list[QueueCounters]]:
    egress = [queue for queue in (counters.shaper, counters.uplink) if queue is not None]
    return {"egress": egress, "ingress": [] if counters.ingress is None else [counters.ingress]}


def _waiting(backlogs: list[int], buffer_bytes: int | None) -> Mapping[str, Any]:
    part = round(max(backlogs) / buffer_bytes, 4) if backlogs and buffer_bytes else None
    return {"backlog_bytes": sum(backlogs) if backlogs else None, "buffer_part": part}


def _class(figure: ClassFigures) -> Mapping[str, Any]:
    return {
        "offered_kbps": _whole(figure.offered_kbps),
        "passed_kbps": _whole(figure.passed_kbps),
        "dropped_kbps": _whole(figure.dropped_kbps),
        "backlog_bytes": figure.backlog_bytes,
        "passed_bytes": figure.passed_bytes,
        "dropped_packets": figure.dropped_packets,
    }


def _whole(kbps: float | None) -> int | None:
    return None if kbps is None else round(kbps)


def _buffer_bytes(vif: VirtualInterface, tick: Tick) -> int | None:
    """Of each of its queues; None: the policy says nothing, and the agent divides what there is."""
    node = tick.world.policies.nodes.get(vif.policy)
    return None if node is None else buffer_in_force(node, scaled_of(vif.scaled))


def _cpu_share(vif: VirtualInterface, tick: Tick) -> float | None:
    chassis = tick.world.snapshot.chassis.get(vif.chassis or "")
    cost = None if chassis is None else packet_cost(chassis.capabilities)
    if tick.counted is None or cost is None:
        return None
    keys = tick.counted.keys
    at = int(np.searchsorted(keys, vif.number))
    if at == len(keys) or keys[at] != vif.number:
        return None
    packets_per_s = float(tick.counted.rate[at, [PORT_RX_PACKETS, PORT_TX_PACKETS]].sum())
    return None if math.isnan(packets_per_s) else round(packets_per_s * cost.ns / 1e9, 6)
