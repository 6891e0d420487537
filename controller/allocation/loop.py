"""The closed loop: sample, estimate, allocate, actuate. One pure step a tick; the clock is an argument.

It always says what each VIF offers, gets and may have. It changes a rate only where what is shared has no queue of its
own (see `engagement`); everywhere else the datapath keeps guarantee, weight and limit at packet time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from controller.allocation import actuator, estimator
from controller.allocation import counters as counting
from controller.allocation.actuator import Direction, Wanted
from controller.allocation.allocator import max_min
from controller.allocation.decision import Decisions, DecisionsByVif, Figures
from controller.allocation.engagement import Load, engaged
from controller.allocation.estimator import Bounds, Estimate
from controller.allocation.holding import claims_of, rates
from controller.allocation.network import Network
from controller.allocation.paths import max_min_by_path
from controller.allocation.plan import Plan, plan_of
from controller.allocation.samples import Readings, VifCounters, readings
from controller.allocation.settings import Settings
from controller.allocation.tree import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class DirectionState:
    """What the loop knows and remembers of one direction. engaged: see `engagement.engaged`.

    enforced_kbps: float64[n] in the order of the VIF numbers, whole kbit/s; inf: held to its own limit only.
    """

    plan: Plan
    memory: estimator.Memory
    engaged: Mapping[str, int]
    enforced_kbps: FloatArray


@dataclass(frozen=True, slots=True)
class LoopState:
    """Everything from one tick to the next. Lost (a restart), two ticks bring it back."""

    network: Network
    settings: Settings
    counters: counting.CounterState
    egress: DirectionState
    ingress: DirectionState

    def of(self, direction: Direction) -> DirectionState:
        return self.egress if direction == "egress" else self.ingress


def initial(network: Network, settings: Settings | None = None) -> LoopState:
    """Nothing seen, nothing enforced."""
    keys = network.keys
    egress, ingress = (
        DirectionState(plan_of(network, direction, keys), estimator.no_memory(keys), {}, np.full(len(keys), np.inf))
        for direction in ("egress", "ingress")
    )
    return LoopState(network, settings or Settings(), counting.nothing_seen(keys), egress, ingress)


def with_network(state: LoopState, network: Network) -> LoopState:
    """The same state under other trees or capacities: VIFs and nodes that stay keep what is known of them."""
    old, keys = state.counters.keys, network.keys

    def moved(direction: Direction) -> DirectionState:
        before = state.of(direction)
        return DirectionState(
            plan_of(network, direction, keys),
            estimator.carried(before.memory, keys),
            before.engaged,
            counting.aligned(old, keys, before.enforced_kbps, np.full(len(keys), np.inf)),
        )

    counters = counting.carried(state.counters, keys)
    return LoopState(network, state.settings, counters, moved("egress"), moved("ingress"))


def afresh(state: LoopState) -> LoopState:
    """What was measured is forgotten; what VIFs are held to, and where, is not: nobody is let loose meanwhile."""
    new = initial(state.network, state.settings)
    return replace(
        new,
        egress=replace(new.egress, engaged=state.egress.engaged, enforced_kbps=state.egress.enforced_kbps),
        ingress=replace(new.ingress, engaged=state.ingress.engaged, enforced_kbps=state.ingress.enforced_kbps),
    )


def step(state: LoopState, samples: Mapping[int, VifCounters], now_s: float) -> tuple[LoopState, Decisions]:
    """One tick. samples: by VIF number, those that arrived; now_s: our monotonic clock."""
    return advance(state, readings(state.counters.keys, samples), now_s)


def advance(state: LoopState, read: Readings, now_s: float) -> tuple[LoopState, Decisions]:
    """One tick of the same VIFs, their samples as arrays in the order of `state.counters.keys`."""
    counters = counting.update(state.counters, read, now_s, state.settings)
    state = replace(state, counters=counters)
    egress, ingress = _divide(state, "egress", now_s), _divide(state, "ingress", now_s)
    before = {"egress": state.egress.enforced_kbps, "ingress": state.ingress.enforced_kbps}
    after = {"egress": egress.state.enforced_kbps, "ingress": ingress.state.enforced_kbps}
    keys = counters.keys
    decisions = Decisions(
        egress=DecisionsByVif(_figures(keys, egress)),
        ingress=DecisionsByVif(_figures(keys, ingress)),
        changes=actuator.changes(
            keys,
            {"egress": state.egress.plan.limit_kbps, "ingress": state.ingress.plan.limit_kbps},
            {"egress": (before["egress"], after["egress"]), "ingress": (before["ingress"], after["ingress"])},
        ),
        engaged={"egress": frozenset(egress.state.engaged), "ingress": frozenset(ingress.state.engaged)},
        fault=state.egress.plan.fault or state.ingress.plan.fault,
        enforced={way: actuator.in_force(keys, rate_kbps) for way, rate_kbps in _ways(egress, ingress)},
    )
    return replace(state, egress=egress.state, ingress=ingress.state), decisions


@dataclass(frozen=True, slots=True)
class _Division:
    """One direction of one tick; arrays in the order of the VIF numbers."""

    state: DirectionState
    estimate: Estimate
    share_kbps: FloatArray


_ESTIMATE = {"egress": estimator.estimate_egress, "ingress": estimator.estimate_ingress}


def _divide(state: LoopState, direction: Direction, now_s: float) -> _Division:
    settings, before = state.settings, state.of(direction)
    plan = before.plan
    bounds = Bounds(plan.guarantee_kbps, np.minimum(plan.limit_kbps, before.enforced_kbps), plan.linked)
    memory, seen = _ESTIMATE[direction](state.counters, bounds, before.memory, now_s, settings)
    of_leaf = seen.of(plan.order)
    local, link = _shares(plan, of_leaf, state.network.capacity_kbps)
    nodes: dict[str, int] = {}
    rate = np.full(len(plan.order), np.inf)
    if plan.bounded:
        silent = np.isnan(of_leaf.passed_kbps)
        through_link = np.where(silent, link, of_leaf.passed_kbps - of_leaf.local_kbps)
        claims = claims_of(of_leaf, link, through_link, settings)
        below_nodes = max_min(plan.unlinked, claims.roomy_kbps, state.network.capacity_kbps)
        loose = np.where(silent, plan.limit_kbps[plan.order], 0.0)
        load = Load(below_nodes, np.where(silent, local, of_leaf.local_kbps), through_link, loose)
        nodes = engaged(plan.tree, load, before.engaged, settings)
        if nodes:
            rate = rates(plan, nodes, claims, silent, settings)
    wanted = Wanted(plan.by_number(rate), plan.guarantee_kbps, plan.limit_kbps)
    enforced = actuator.actuate(before.enforced_kbps, wanted, settings)
    return _Division(DirectionState(plan, memory, nodes, enforced), seen, plan.by_number(local + link))


def _shares(plan: Plan, seen: Estimate, capacity_kbps: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of each leaf, by the policy's law: what it may have to neighbours, and across its link."""
    if plan.is_shared:
        return max_min_by_path(plan.tree, seen.local_demand_kbps, seen.link_demand_kbps, capacity_kbps)
    share = np.minimum(seen.local_demand_kbps, plan.limit_kbps[plan.order])
    return share, np.zeros_like(share)


def _ways(egress: _Division, ingress: _Division) -> tuple[tuple[Direction, FloatArray], ...]:
    return (("egress", egress.state.enforced_kbps), ("ingress", ingress.state.enforced_kbps))


def _figures(keys: IntArray, division: _Division) -> Figures:
    seen = division.estimate
    return Figures(
        keys,
        seen.offered_kbps,
        seen.passed_kbps,
        seen.dropped_kbps,
        seen.local_kbps,
        seen.limited,
        seen.demand_kbps,
        division.share_kbps,
        division.state.enforced_kbps,
    )
