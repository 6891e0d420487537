"""A day of many hosts in the fluid: the loop beside static limits and beside who knows the demand.

Hosts stand in pods; a pod's tenants are spread over all of its hosts, each with a limit on its total, which no uplink's
queue tree can keep. What VIFs want changes every 60 s; the real loop, on counters, ticks each second, and the uplinks
divide at packet time. Of each minute's sixty ticks four are computed, after 1, 4, 7 and 10 seconds; the rest is taken
to be as the last of them left it: what others would mend is not counted in the loop's favour. python -m bench day
prints the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from controller.allocation.allocator import max_min
from controller.allocation.loop import advance, initial
from controller.allocation.network import Network
from controller.allocation.samples import Readings
from controller.allocation.settings import Settings
from controller.allocation.tree import BoolArray, FloatArray, TreeNode, tree_of
from lab.fluid.demand import Demand
from lab.fluid.uplinks import Uplinks

MINUTE_S = 60.0
DAY_MINUTES = 1440
COMPUTED_S = (1.0, 3.0, 3.0, 3.0)  # from one computed tick of a minute to the next
HOSTS, FEW_HOSTS, VIFS_OF_HOST = 1000, 100, 100
VIOLATION = 0.97  # of a guarantee that is demanded
STATIC = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0)  # times the part of each when all want all
OPTIMUM, LOOP = "who knows the demand", "Weir's loop"
_UPLINK_KBPS, _GUARANTEE_KBPS, _LIMIT_KBPS, _MEAN_KBPS = 10e6, 60e3, 2e6, 150e3
_OF_FAIR_PART = 0.8  # a tenant's limit, as a part of what its VIFs could have of the uplinks if all wanted all


@dataclass(frozen=True, slots=True)
class Pod:
    """hosts with 100 VIFs each, of as many tenants as `tenants` says; seed: of its demand, from which minute on."""

    hosts: int = 50
    tenants: int = 25
    minutes: int = DAY_MINUTES
    seed: int = 0
    from_minute: int = 0


@dataclass(slots=True)
class Sums:
    """Of one contender. passed: at most each tenant's limit; over: what went beyond. jain: of groups of equals."""

    passed_kbit: float = 0.0
    over_kbit: float = 0.0
    violation_s: float = 0.0
    jain: float = 0.0
    groups: float = 0.0  # times seconds

    def add(self, other: Sums) -> None:
        self.passed_kbit += other.passed_kbit
        self.over_kbit += other.over_kbit
        self.violation_s += other.violation_s
        self.jain += other.jain
        self.groups += other.groups


@dataclass(slots=True)
class Outcome:
    """By contender; vif_s: seconds times VIFs that demanded a guarantee; loop_s: that the loop took."""

    of: dict[str, Sums] = field(default_factory=dict)
    vif_s: float = 0.0
    loop_s: float = 0.0
    ticks: int = 0  # of the loop
    hosts: int = 0

    def sums(self, name: str) -> Sums:
        return self.of.setdefault(name, Sums())

    def add(self, other: Outcome) -> None:
        for name, sums in other.of.items():
            self.sums(name).add(sums)
        self.vif_s += other.vif_s
        self.loop_s += other.loop_s
        self.ticks += other.ticks
        self.hosts += other.hosts


class _World:
    """A pod: its trees, and who is whose equal: VIFs of one tenant on one host."""

    def __init__(self, pod: Pod) -> None:
        count = pod.hosts * VIFS_OF_HOST
        number = np.arange(count)
        self.host, self.tenant = number // VIFS_OF_HOST, number % pod.tenants
        self.group = self.tenant * pod.hosts + self.host
        share = _UPLINK_KBPS * pod.hosts / pod.tenants * _OF_FAIR_PART
        nodes = [TreeNode(-1), *(TreeNode(0, 0, share, name=f"t{t}") for t in range(pod.tenants))]
        inner = len(nodes)
        nodes += [
            TreeNode(1 + int(t), _GUARANTEE_KBPS, _LIMIT_KBPS, 1.0, at + 1, int(h))
            for at, (t, h) in enumerate(zip(self.tenant, self.host, strict=True))
        ]
        inward = [TreeNode(0 if at else -1, name=node.name) for at, node in enumerate(nodes[:inner])]
        inward += [TreeNode(node.parent, leaf_key=node.leaf_key) for node in nodes[inner:]]
        capacity = [_UPLINK_KBPS] * pod.hosts
        self.network = Network(tree_of(nodes), tree_of(inward), np.array(capacity))
        self.uplinks = Uplinks(nodes, capacity)
        self.tenant_limit_kbps = share
        self.demand = Demand(pod.seed, self.tenant, self.host, _MEAN_KBPS, MINUTE_S)
        everything = np.full(count, np.inf)
        self.part = max_min(self.network.egress, everything, self.network.capacity_kbps)

    def first_come(self, wish: FloatArray, limit: FloatArray) -> FloatArray:
        """What static meters let through where the uplink has one queue for all: each loses alike."""
        sent = np.minimum(wish, limit)
        load = np.bincount(self.host, weights=sent)
        passed: FloatArray = sent * np.minimum(1.0, _UPLINK_KBPS / np.maximum(load, 1.0))[self.host]
        return passed


class _Loop:
    """The real loop over the pod, fed with counters."""

    def __init__(self, world: _World) -> None:
        self._world, self._state = world, initial(world.network, Settings())
        count = len(world.host)
        self._value = np.full((count, 20), np.nan)
        self._value[:, [*range(2), *range(8, 16)]] = 0.0  # its meter, its shaper, its leaf at the uplink
        self._now_s = 0.0
        self.seconds = 0.0

    def passes(self, wish: FloatArray, counted_s: float = 0.0) -> FloatArray:
        """Under the rates that earlier ticks set. counted_s: for how long counters count it."""
        rate = np.minimum(_LIMIT_KBPS, self._state.egress.enforced_kbps)
        sent = np.minimum(wish, rate)
        passed = self._world.uplinks.shares(sent)
        self._count(sent, wish > rate, passed, counted_s)
        return passed

    def tick(self) -> None:
        """It looks at what was counted and sets others."""
        time_s = np.where(np.isnan(self._value[:, [0, 2, 8, 12, 16]]), np.nan, self._now_s)
        begun_s = time.perf_counter()
        self._state, _ = advance(self._state, Readings(self._value.copy(), time_s), self._now_s)
        self.seconds += time.perf_counter() - begun_s

    def _count(self, sent: FloatArray, is_held: BoolArray, passed: FloatArray, seconds: float) -> None:
        """Whoever is held keeps a queue standing, as TCP does; what its uplink refuses is dropped there."""
        self._now_s += seconds
        value, kbytes = self._value, 125.0 * seconds
        value[:, 0] += sent * kbytes
        value[:, 8] += sent * kbytes
        value[:, 9] += sent * kbytes / 1250
        value[:, 11] = np.where(is_held, 60_000.0, 0.0)
        value[:, 12] += passed * kbytes
        value[:, 13] += passed * kbytes / 1250
        value[:, 14] += np.maximum(sent - passed, 0.0) * kbytes / 1250
        value[:, 15] = np.where(sent > passed * 1.001, 60_000.0, 0.0)


def simulate(pod: Pod) -> Outcome:
    """One pod's day, all contenders on the same demand."""
    world = _World(pod)
    loop, found = _Loop(world), Outcome(ticks=pod.minutes * len(COMPUTED_S), hosts=pod.hosts)
    limits = {static_name(times): np.minimum(world.part * times, _LIMIT_KBPS) for times in STATIC}
    for _ in range(pod.from_minute):
        world.demand.next()
    for _ in range(pod.minutes):
        wish = world.demand.next()
        best = max_min(world.network.egress, wish, world.network.capacity_kbps)
        judge = _Judge(world, np.minimum(_GUARANTEE_KBPS, wish), best < np.minimum(wish, _LIMIT_KBPS) * 0.9)
        found.vif_s += MINUTE_S * float((wish > 0).sum())
        found.sums(OPTIMUM).add(judge.sums(best, MINUTE_S))
        for name, limit in limits.items():
            found.sums(name).add(judge.sums(world.first_come(wish, limit), MINUTE_S))
        for seconds in COMPUTED_S:
            found.sums(LOOP).add(judge.sums(loop.passes(wish, seconds), seconds))
            loop.tick()
        rest_s = MINUTE_S - sum(COMPUTED_S)
        found.sums(LOOP).add(judge.sums(loop.passes(wish), rest_s))
    found.loop_s = loop.seconds
    return found


@dataclass(frozen=True, slots=True)
class _Judge:
    """Of one minute. promised: the demanded part of each guarantee; is_hungry: who gets less than it wants even of who
    knows the demand, and is compared with its equals."""

    world: _World
    promised: FloatArray
    is_hungry: BoolArray

    def sums(self, passed: FloatArray, seconds: float) -> Sums:
        world, limit = self.world, self.world.tenant_limit_kbps
        of_tenant = np.bincount(world.tenant, weights=passed)
        within = np.minimum(of_tenant, limit)
        group, count = world.group[self.is_hungry], np.bincount(world.group[self.is_hungry])
        total = np.bincount(group, weights=passed[self.is_hungry])
        squares = np.bincount(group, weights=passed[self.is_hungry] ** 2)
        several = (count > 1) & (squares > 0)
        jain = total[several] ** 2 / (count[several] * squares[several])
        return Sums(
            passed_kbit=float(within.sum()) * seconds,
            over_kbit=float((of_tenant - within).sum()) * seconds,
            violation_s=float((passed < self.promised * VIOLATION).sum()) * seconds,
            jain=float(jain.sum()) * seconds,
            groups=int(several.sum()) * seconds,
        )


def static_name(times: float) -> str:
    return f"static meters at {times:g} times the part"


def measure(say: Callable[[str], None], hosts: int = HOSTS) -> Outcome:
    """The whole day of so many hosts: as many processes at a time as the machine has processors."""
    every = [Pod(seed=seed) for seed in range(hosts // Pod().hosts)]
    say(f"a day of {hosts:,} hosts x {VIFS_OF_HOST} VIFs ...")
    found = Outcome()
    with ProcessPoolExecutor() as workers:
        for one in workers.map(simulate, every):
            found.add(one)
    return found
