"""Why the loop changed a rate, in words: which nodes' limits it keeps itself, and what that came from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.allocation.actuator import Change
from controller.allocation.decision import Decision, Decisions, Move
from controller.world.desired import World
from controller.world.members import member
from ovsdb.rows import VirtualInterface
from policies.model import Direction
from policies.units import rate_text


@dataclass(frozen=True, slots=True)
class Held:
    """An inner node whose limit the loop keeps. passed_kbps: of all VIFs below it."""

    path: str
    limit_kbps: int | None
    passed_kbps: float


class Reasons:
    """For the changes of one tick."""

    def __init__(self, world: World, decisions: Decisions) -> None:
        self._policies, self._decisions = world.policies, decisions
        self._vifs = {vif.number: vif for vifs in world.members.values() for vif in vifs}
        self._ways: dict[str, Mapping[int, Decision]] = {}
        self._held: dict[tuple[str, str], Held] = {}

    def move(self, change: Change) -> Move | None:
        """None: the VIF is not there any more."""
        vif = self._vifs.get(change.vif)
        ways = self._of(change.direction)
        decision = ways.get(change.vif)
        if vif is None or decision is None:
            return None
        held = [self._node(change.direction, path, ways) for path in self._above(change, vif)]
        own = member(vif, self._policies).bandwidth(self._policies, Direction(change.direction))
        inputs = {
            "offered_kbps": decision.offered_kbps,
            "passed_kbps": decision.passed_kbps,
            "dropped_kbps": decision.dropped_kbps,
            "demand_kbps": decision.demand_kbps,
            "allocated_kbps": decision.allocated_kbps,
            "guarantee_kbps": own.guarantee_kbps,
            "own_limit_kbps": own.limit_kbps,
            **{f"limit_kbps of {node.path}": node.limit_kbps for node in held},
            **{f"passed_kbps of {node.path}": node.passed_kbps for node in held},
        }
        known = {name: float(value) for name, value in inputs.items() if value is not None}
        return Move(
            change.vif, change.direction, "rate", change.before_kbps, change.after_kbps,
            _why(change, decision, held), known,
        )  # fmt: skip

    def _of(self, direction: str) -> Mapping[int, Decision]:
        """As a dict, which many are looked up in."""
        if direction not in self._ways:
            self._ways[direction] = dict(self._decisions.egress if direction == "egress" else self._decisions.ingress)
        return self._ways[direction]

    def _above(self, change: Change, vif: VirtualInterface) -> Iterator[str]:
        engaged = self._decisions.engaged.get(change.direction, frozenset())
        path = vif.policy
        while engaged and "/" in path:
            path = path.rpartition("/")[0]
            if path in engaged:
                yield path

    def _node(self, direction: str, path: str, ways: Mapping[int, Decision]) -> Held:
        known = self._held.get((direction, path))
        if known is None:
            below = (
                ways[vif.number].passed_kbps or 0.0
                for vif in self._vifs.values()
                if vif.number in ways and vif.policy.startswith(f"{path}/")
            )
            node = self._policies.nodes.get(path)
            limit = node.bandwidth(Direction(direction)).limit_kbps if node is not None else None
            known = self._held[direction, path] = Held(path, limit, sum(below))
        return known


def _why(change: Change, decision: Decision, held: Sequence[Held]) -> str:
    if not held:
        return "the nodes above it are below their limits again, or hold it no more: its own limit is enough"
    nodes = " and ".join(f"{node.path} ({rate_text(node.limit_kbps or 0)})" for node in held)
    keeps = f"the loop keeps the limit of {nodes}, of traffic that shares no queue"
    if change.after_kbps is None:
        return f"{keeps}; its part of that is more than its own limit"
    if change.before_kbps is None:
        return f"{keeps}; this VIF is held to its guarantee and its part of the rest"
    if change.after_kbps < change.before_kbps:
        return f"{keeps}; others below it want more, or this VIF less: its part of the rest is smaller"
    return f"{keeps}; others below it leave more: its part of the rest is larger"
