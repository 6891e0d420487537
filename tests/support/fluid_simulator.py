"""Traffic as fluid through shapers, meters, an uplink's queue tree, ingress queues: the plant that the loop controls.

It moves in steps of 50 ms and counts as the real parts count: a meter change zeroes its statistics and refills its
bucket, a queue shows bytes, packets, drops and backlog. Rates in kbit/s, backlog in bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from controller.allocation.actuator import Change
from controller.allocation.network import Network
from controller.allocation.samples import MeterCounters, PortCounters, QueueCounters, VifCounters
from controller.allocation.tree import TreeNode, tree_of
from tests.support.reference_allocator import reference_max_min

STEP_S = 0.05
FRAME_BYTES = 1250.0


def kbit_to_bytes(rate_kbps: float) -> float:
    """Bytes of one step at this rate."""
    return rate_kbps * STEP_S * 125


class Constant:
    """Sends what it wants, whatever happens to it. rate: kbit/s as a function of time, or a number."""

    def __init__(self, rate: float | Callable[[float], float]) -> None:
        self._rate = rate if callable(rate) else lambda _: rate

    def offer(self, time_s: float) -> float:
        return self._rate(time_s)

    def heed(self, passed_kbps: float, lost: bool) -> None:
        """Does not listen."""


class Adaptive:
    """Like TCP: grows while nothing is lost, falls below what got through when something is; never above `wish`."""

    def __init__(self, wish: float | Callable[[float], float] = math.inf) -> None:
        self._wish = wish if callable(wish) else lambda _: wish
        self._rate, self._starting = 500.0, True

    def offer(self, time_s: float) -> float:
        wish = self._wish(time_s)
        if wish <= 0:
            self._rate, self._starting = 500.0, True
        return min(self._rate, wish)

    def heed(self, passed_kbps: float, lost: bool) -> None:
        if lost:
            self._rate, self._starting = max(0.9 * passed_kbps, 100.0), False
        else:
            self._rate = min(self._rate * (2.0 if self._starting else 1.02), 1e6)


Source = Constant | Adaptive


@dataclass
class Queue:
    """A bounded queue of two kinds of fluid, local and through the uplink."""

    bytes_limit: float
    backlog: list[float] = field(default_factory=lambda: [0.0, 0.0])
    sent_bytes: float = 0.0
    dropped_bytes: float = 0.0

    def pass_on(self, arriving: Sequence[float], room: float) -> tuple[list[float], list[bool]]:
        """Sends at most `room` bytes; what does not fit into the queue is lost. Returns (sent, lost) of each kind."""
        waiting = [stands + comes for stands, comes in zip(self.backlog, arriving, strict=True)]
        total = sum(waiting)
        sent = [part * min(1.0, room / total) if total else 0.0 for part in waiting]
        left = [part - gone for part, gone in zip(waiting, sent, strict=True)]
        over = max(0.0, sum(left) - self.bytes_limit)
        lost = [over * part / sum(left) if over else 0.0 for part in left]
        self.backlog = [part - gone for part, gone in zip(left, lost, strict=True)]
        self.sent_bytes += sum(sent)
        self.dropped_bytes += over
        return sent, [part > 0 for part in lost]

    def counters(self) -> QueueCounters:
        packets = (int(self.sent_bytes / FRAME_BYTES), int(self.dropped_bytes / FRAME_BYTES))
        return QueueCounters(int(self.sent_bytes), *packets, int(sum(self.backlog)))


@dataclass
class Meter:
    rate_kbps: float
    burst_s: float = 0.2
    tokens: float = 0.0
    in_bytes: float = 0.0
    dropped_bytes: float = 0.0
    port_bytes: float = 0.0  # what the port received: a meter's change does not touch it

    def pass_on(self, arriving: Sequence[float]) -> tuple[list[float], bool]:
        total = sum(arriving)
        self.port_bytes += total
        if not math.isfinite(self.rate_kbps):
            self.in_bytes += total
            return list(arriving), False
        self.tokens = min(self.tokens + kbit_to_bytes(self.rate_kbps), self.rate_kbps * 125 * self.burst_s)
        through = min(total, self.tokens)
        self.tokens -= through
        self.in_bytes += total
        self.dropped_bytes += total - through
        return [part * through / total if total else 0.0 for part in arriving], through < total

    def modify(self, rate_kbps: float) -> None:
        self.rate_kbps, self.in_bytes, self.dropped_bytes = rate_kbps, 0.0, 0.0
        self.tokens = 0.0 if math.isinf(rate_kbps) else rate_kbps * 125 * self.burst_s


@dataclass
class FluidVif:
    """One VIF: sources by where they go, and what stands in their way."""

    node: TreeNode  # its leaf in the egress tree; link None: it has no uplink
    local: Source | None = None
    through_link: Source | None = None
    inward: Source | None = None
    shaped: bool = True
    ingress_limit_kbps: float = math.inf
    ingress_guarantee_kbps: float = 0.0
    egress_kbps: int | None = None  # enforced below its limit
    ingress_kbps: int | None = None

    def __post_init__(self) -> None:
        self.shaper = Queue(60_000) if self.shaped else None
        self.leaf = Queue(30_000) if self.node.link is not None else None
        self.ingress = Queue(60_000)
        self.meter = Meter(self.node.limit_kbps * (1.02 if self.shaped else 1.0))
        self.passed_bytes = [0.0, 0.0, 0.0]  # local, through the link, inward

    @property
    def egress_rate(self) -> float:
        return self.node.limit_kbps if self.egress_kbps is None else min(self.node.limit_kbps, self.egress_kbps)

    def leave(self, time_s: float) -> tuple[list[float], list[bool]]:
        """What reaches the bridge in this step (local, link) and whether any was lost on the way."""
        sources = (self.local, self.through_link)
        parts = [kbit_to_bytes(source.offer(time_s)) if source else 0.0 for source in sources]
        lost = [False, False]
        if self.shaper is not None:
            parts, lost = self.shaper.pass_on(parts, kbit_to_bytes(self.egress_rate))
        parts, cut = self.meter.pass_on(parts)
        return parts, [cut or one for one in lost]

    def arrive(self, time_s: float) -> None:
        if self.inward is None:
            return
        limit = self.ingress_limit_kbps
        rate = limit if self.ingress_kbps is None else min(limit, self.ingress_kbps)
        sent, lost = self.ingress.pass_on([kbit_to_bytes(self.inward.offer(time_s)), 0.0], kbit_to_bytes(rate))
        self.inward.heed(sent[0] / STEP_S / 125, lost[0])
        self.passed_bytes[2] += sent[0]

    def counters(self, switch_time_s: float, host_time_s: float) -> VifCounters:
        return VifCounters(
            switch_time_s,
            host_time_s,
            MeterCounters(int(self.meter.in_bytes), int(self.meter.dropped_bytes)),
            PortCounters(int(self.meter.port_bytes), int(self.ingress.sent_bytes)),
            self.shaper.counters() if self.shaper else None,
            self.leaf.counters() if self.leaf else None,
            self.ingress.counters(),
        )


class FluidNetwork:
    """VIFs below inner nodes, and uplinks. inner: the nodes above the leaves, the root first, for either direction."""

    START_S = 100.0

    def __init__(
        self, inner: Sequence[TreeNode], vifs: Mapping[int, FluidVif], capacities: Sequence[float] = ()
    ) -> None:
        self.inner, self.vifs, self.capacities = list(inner), dict(vifs), list(capacities)
        self.time_s = self.START_S
        self._nodes = [*self.inner, *(vif.node for vif in self.vifs.values())]

    def network(self, ingress_inner: Sequence[TreeNode] | None = None) -> Network:
        """The trees that the loop is to know. ingress_inner: the inner nodes of the other direction."""
        leaves = [
            TreeNode(vif.node.parent, vif.ingress_guarantee_kbps, vif.ingress_limit_kbps, vif.node.weight, number)
            for number, vif in self.vifs.items()
        ]
        inward = ingress_inner or [TreeNode(node.parent, weight=node.weight, name=node.name) for node in self.inner]
        slow = {("egress", number): 2.0 for number, vif in self.vifs.items() if not vif.shaped}
        return Network(tree_of(self._nodes), tree_of([*inward, *leaves]), np.array(self.capacities, dtype=float), slow)

    def run(self, seconds: float = 1.0) -> dict[int, list[float]]:
        """Lets time pass. Returns what passed of each VIF in kbit/s: local, through its link, inward."""
        before = {number: list(vif.passed_bytes) for number, vif in self.vifs.items()}
        for _ in range(round(seconds / STEP_S)):
            self._step()
        return {
            number: [(now - then) / seconds / 125 for now, then in zip(vif.passed_bytes, before[number], strict=True)]
            for number, vif in self.vifs.items()
        }

    def _step(self) -> None:
        self.time_s += STEP_S
        left = {number: vif.leave(self.time_s) for number, vif in self.vifs.items()}
        demands = {}  # at the leaves of the uplinks' queue trees
        for index, (number, vif) in enumerate(self.vifs.items(), len(self.inner)):
            if vif.leaf is not None:
                demands[index] = (sum(vif.leaf.backlog) + left[number][0][1]) / STEP_S / 125
        shares = reference_max_min(self._nodes, demands, self.capacities) if any(demands.values()) else demands
        for index, (number, vif) in enumerate(self.vifs.items(), len(self.inner)):
            (local, link), lost = left[number]
            if vif.leaf is not None:
                sent, dropped = vif.leaf.pass_on([0.0, link], kbit_to_bytes(shares[index]))
                link, lost = sent[1], [lost[0], lost[1] or dropped[1]]
            for source, passed, hurt in ((vif.local, local, lost[0]), (vif.through_link, link, lost[1])):
                if source is not None:
                    source.heed(passed / STEP_S / 125, hurt)
            vif.passed_bytes[0] += local
            vif.passed_bytes[1] += link
            vif.arrive(self.time_s)

    def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            vif = self.vifs[change.vif]
            if change.direction == "ingress":
                vif.ingress_kbps = change.after_kbps
                continue
            vif.egress_kbps = change.after_kbps
            if not vif.shaped:
                vif.meter.modify(vif.egress_rate)

    def samples(self) -> dict[int, VifCounters]:
        return {number: vif.counters(self.time_s, self.time_s + 7000.0) for number, vif in self.vifs.items()}
