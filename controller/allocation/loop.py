"""The closed loop: sample, estimate, allocate, actuate. One pure step a tick; the clock is an argument.

It always says what each VIF offers, gets and may have. It changes a rate only where what is shared has no queue of its
own (see `engagement`); everywhere else the datapath keeps guarantee, weight and limit at packet time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isinf, isnan

import numpy as np

from controller.allocation import counters as counting
from controller.allocation import estimator
from controller.allocation.actuator import Direction, Setting, Target, Wanted, actuate
from controller.allocation.allocator import admitted, max_min
from controller.allocation.decision import Decision, Decisions
from controller.allocation.engagement import Load, engaged
from controller.allocation.estimator import Bounds, Estimate
from controller.allocation.network import Network
from controller.allocation.paths import max_min_by_path
from controller.allocation.samples import VifCounters, readings
from controller.allocation.settings import Settings
from controller.allocation.tree import FloatArray, IntArray, Tree, leaves_below


@dataclass(frozen=True, slots=True)
class DirectionState:
    """What the loop remembers of one direction. engaged: see `engagement.engaged`."""

    memory: estimator.Memory
    engaged: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LoopState:
    """Everything from one tick to the next. Lost (a restart), two ticks bring it back."""

    network: Network
    settings: Settings
    counters: counting.CounterState
    egress: DirectionState
    ingress: DirectionState
    enforced: Mapping[Target, Setting]

    def of(self, direction: Direction) -> DirectionState:
        return self.egress if direction == "egress" else self.ingress


def initial(network: Network, settings: Settings | None = None) -> LoopState:
    """Nothing seen, nothing enforced."""
    keys = network.keys
    nothing = DirectionState(estimator.no_memory(keys), {})
    return LoopState(network, settings or Settings(), counting.nothing_seen(keys), nothing, nothing, {})


def with_network(state: LoopState, network: Network) -> LoopState:
    """The same state under other trees or capacities: VIFs and nodes that stay keep what is known of them."""
    keys = network.keys
    present = set(keys.tolist())
    return replace(
        state,
        network=network,
        enforced={target: setting for target, setting in state.enforced.items() if target[1] in present},
        counters=counting.carried(state.counters, keys),
        egress=replace(state.egress, memory=estimator.carried(state.egress.memory, keys)),
        ingress=replace(state.ingress, memory=estimator.carried(state.ingress.memory, keys)),
    )


def step(state: LoopState, samples: Mapping[int, VifCounters], now_s: float) -> tuple[LoopState, Decisions]:
    """One tick. samples: by VIF number, those that arrived; now_s: our monotonic clock."""
    read = readings(state.counters.keys, samples)
    state = replace(state, counters=counting.update(state.counters, read, now_s, state.settings))
    egress, ingress = _divide(state, "egress", now_s), _divide(state, "ingress", now_s)
    wanted = {**_wanted(state, "egress", egress), **_wanted(state, "ingress", ingress)}
    enforced, changes = actuate(state.enforced, wanted, now_s, state.settings)
    decisions = Decisions(
        egress=_decisions("egress", egress, enforced),
        ingress=_decisions("ingress", ingress, enforced),
        changes=changes,
        engaged={"egress": frozenset(egress.state.engaged), "ingress": frozenset(ingress.state.engaged)},
        fault=egress.fault or ingress.fault,
    )
    return replace(state, egress=egress.state, ingress=ingress.state, enforced=enforced), decisions


@dataclass(frozen=True, slots=True)
class _Division:
    """One direction of one tick; arrays in the order of its tree's leaves."""

    tree: Tree
    state: DirectionState
    estimate: Estimate
    share_kbps: FloatArray
    rate_kbps: FloatArray  # what to hold it to, inf: to its own limit only
    fault: str | None


def _divide(state: LoopState, direction: Direction, now_s: float) -> _Division:
    network, settings, before = state.network, state.settings, state.of(direction)
    tree, fault = admitted(network.tree(direction), network.capacity_kbps)
    order = np.searchsorted(state.counters.keys, np.array(tree.leaf_keys, dtype=np.int64))
    bounds = _bounds(state, direction, order)
    memory, seen = _ESTIMATE[direction](state.counters, bounds, before.memory, now_s, settings)
    seen = seen.of(order)
    local, link = max_min_by_path(tree, seen.local_demand_kbps, seen.link_demand_kbps, network.capacity_kbps)
    unknown = np.isnan(seen.passed_kbps)
    through_link = np.where(unknown, link, seen.passed_kbps - seen.local_kbps)
    # A link may give more than our picture of it says. Under a node's limit what does pass counts, not the picture.
    crossing = np.minimum(seen.link_demand_kbps, np.maximum(link, through_link * settings.headroom))
    unlinked = replace(tree, link=np.full_like(tree.link, -1))
    claim = seen.local_demand_kbps + crossing
    below_nodes = max_min(unlinked, claim, network.capacity_kbps)
    load = Load(below_nodes, np.where(unknown, local, seen.local_kbps), through_link)
    nodes = engaged(tree, load, before.engaged, settings)
    rate = _rates(unlinked, claim, below_nodes, nodes)
    return _Division(tree, DirectionState(memory, nodes), seen, local + link, rate, fault)


def _rates(tree: Tree, claim_kbps: FloatArray, share_kbps: FloatArray, nodes: Mapping[str, int]) -> FloatArray:
    """What to hold each leaf to: inf where no engaged node is above it.

    Below one a VIF may have its share, and never less than it would get if it and all others there woke up: so a
    sleeper finds its guarantee and its part waiting, and if all wake at once they pass at most twice the limit for one
    tick.
    """
    held = leaves_below(tree, np.array([name in nodes for name in tree.names], dtype=np.bool_))
    if not held.any():
        return np.full(len(held), np.inf)
    awake = max_min(tree, np.where(held, np.inf, claim_kbps), np.empty(0))
    return np.where(held, np.maximum(share_kbps, awake), np.inf)


_ESTIMATE = {"egress": estimator.estimate_egress, "ingress": estimator.estimate_ingress}


def _bounds(state: LoopState, direction: Direction, order: IntArray) -> Bounds:
    """In the order of the counters' keys. order: the position there of each leaf of the tree."""
    tree = state.network.tree(direction)
    guarantee, rate = np.zeros(len(order)), np.zeros(len(order))
    linked = np.zeros(len(order), dtype=np.bool_)
    guarantee[order] = tree.guarantee_kbps[tree.leaves]
    rate[order] = tree.limit_kbps[tree.leaves]
    linked[order] = tree.link[tree.leaves] >= 0
    held = {key: own.rate_kbps for (way, key), own in state.enforced.items() if way == direction and own.rate_kbps}
    positions = np.searchsorted(state.counters.keys, np.array(list(held), dtype=np.int64))
    rate[positions] = np.minimum(rate[positions], np.array(list(held.values()), dtype=np.float64))
    return Bounds(guarantee, rate, linked)


def _wanted(state: LoopState, direction: Direction, division: _Division) -> dict[Target, Wanted]:
    """What each VIF of this direction should be held to, of those that are or were held."""
    tree, intervals = division.tree, state.network.least_interval_s
    guarantee, limit = tree.guarantee_kbps[tree.leaves], tree.limit_kbps[tree.leaves]
    columns = zip(tree.leaf_keys, division.rate_kbps.tolist(), guarantee.tolist(), limit.tolist(), strict=True)
    return {
        (direction, key): Wanted(
            None if isinf(rate) else rate, own_guarantee, own_limit, intervals.get((direction, key), 0.0)
        )
        for key, rate, own_guarantee, own_limit in columns
        if not isinf(rate) or (direction, key) in state.enforced
    }


def _decisions(direction: Direction, division: _Division, enforced: Mapping[Target, Setting]) -> dict[int, Decision]:
    seen = division.estimate
    measured = (
        [None if isnan(figure) else figure for figure in figures.tolist()]
        for figures in (seen.offered_kbps, seen.passed_kbps, seen.dropped_kbps, seen.local_kbps)
    )
    keys = division.tree.leaf_keys
    settings = [enforced.get((direction, key)) for key in keys]
    rates = [None if setting is None else setting.rate_kbps for setting in settings]
    columns = (*measured, seen.limited.tolist(), seen.demand_kbps.tolist(), division.share_kbps.tolist(), rates)
    return {key: Decision(*row) for key, row in zip(keys, zip(*columns, strict=True), strict=True)}
