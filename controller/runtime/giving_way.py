"""Who may give way on the uplinks for the objectives of others, from what a tick saw. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from controller.allocation.allocator import admitted, max_min
from controller.allocation.class_figures import ClassFigures
from controller.allocation.decision import Decision
from controller.allocation.network import Network
from controller.allocation.objectives import Objective, Targets
from controller.allocation.reserve import promised
from controller.allocation.settings import Settings
from controller.allocation.tree import Tree
from controller.allocation.yielding import Yielder
from controller.runtime.bandwidth import network_of
from controller.world.desired import World
from controller.world.members import member
from ovsdb.rows import VirtualInterface
from policies.buffers import LEAST_SHARE
from policies.classes import uses_classes
from policies.hierarchy import capacity_kbps
from policies.model import NORMAL, Objectives

Link = tuple[str, str]  # chassis, uplink
ByClass = Mapping[int, Mapping[str, ClassFigures]]  # of egress: by VIF number and class
_UNKNOWN: ByClass = {}
STANDING_BYTES = Settings().standing_bytes
FLOORS_PART = 0.05  # of an uplink's capacity is kept for all together that have no guarantee ...
LEAST_FLOOR_KBPS = 32.0  # ... and so much for each at least
OWN_SLACK, OWN_FULL = 1.05, 0.9  # of its part: a VIF beyond it, or one that is held back there, waits for itself


@dataclass(frozen=True, slots=True)
class Watched:
    """A VIF that has objectives. link None: what it sends crosses no uplink whose capacity the policy names."""

    number: int
    name: str
    targets: Targets
    link: Link | None


@dataclass(frozen=True)
class Scene:
    """What stays the same until the world changes. classes: best first. divided: VIFs whose traffic has classes."""

    world: World
    classes: tuple[str, ...]
    watched: Mapping[int, Watched]
    members: Mapping[Link, tuple[int, ...]]  # of the links on which somebody has objectives
    capacity_kbps: Mapping[Link, int]
    divided: Mapping[int, VirtualInterface]
    names: Mapping[int, str]

    @cached_property
    def _tree(self) -> Tree:
        """Of egress, with guarantees that can be kept."""
        return admitted(self._network.egress, self._network.capacity_kbps)[0]

    @cached_property
    def _network(self) -> Network:
        return network_of(self.world)

    @cached_property
    def _parts_kbps(self) -> Mapping[int, float]:
        everything = np.full(len(self._tree.leaf_keys), np.inf)
        shares = max_min(self._tree, everything, self._network.capacity_kbps)
        return dict(zip(self._tree.leaf_keys, shares.tolist(), strict=True))

    def part_kbps(self, number: int) -> float:
        """Of its uplink, while everybody sends: its guarantee and its weighted part of the rest."""
        return self._parts_kbps[number]

    def is_its_own_doing(self, one: Watched, seen: Decision | None) -> bool:
        """Whether it sends more than its part, or waits there in its own queue: then nobody gives way for it."""
        if seen is None or seen.offered_kbps is None or one.link is None:
            return False
        offered, part = seen.offered_kbps - (seen.local_kbps or 0.0), self.part_kbps(one.number)
        return offered > OWN_SLACK * part or (seen.limited and offered > OWN_FULL * part)

    def promised_kbps(self, link: Link, seen: Mapping[int, Decision]) -> Mapping[int, float]:
        """Below what nobody on the link is held, by VIF number."""
        keys, here = self._tree.leaf_keys, set(self.members[link])
        demand = np.array([seen[key].demand_kbps if key in here and key in seen else 0.0 for key in keys])
        on_link = np.array([key in here for key in keys], dtype=np.bool_)
        return dict(zip(keys, promised(self._tree, demand, on_link).tolist(), strict=True))


def scene_of(world: World) -> Scene:
    policies = world.policies
    names = {vif.number: vif.name for vifs in world.members.values() for vif in vifs}
    if all(node.slo is None for node in policies.nodes.values()):
        return Scene(world, tuple(policies.classes), {}, {}, {}, {}, names)
    members = {vif.number: member(vif, policies) for vifs in world.members.values() for vif in vifs}
    capacities: dict[Link, int] = {}
    users: dict[Link, list[int]] = {}
    watched = {}
    for number, one in members.items():
        link = None
        if one.uplink is not None and one.chassis is not None:
            known = capacity_kbps(policies, one.uplink, one.chassis)
            if known is not None:
                link = one.chassis, one.uplink
                capacities[link] = known
                users.setdefault(link, []).append(number)
        objectives = policies.nodes[one.policy].slo
        if objectives is not None:
            watched[number] = Watched(number, one.name, targets_of(objectives), link)
    wanted = {one.link for one in watched.values()}
    dividing = (
        {path: uses_classes(policies, path) for path in {one.policy for one in members.values()}} if wanted else {}
    )
    return Scene(
        world=world,
        classes=tuple(policies.classes),
        watched=watched,
        members={link: tuple(sorted(numbers)) for link, numbers in users.items() if link in wanted},
        capacity_kbps=capacities,
        divided={vif.number: vif for vifs in world.members.values() for vif in vifs if dividing.get(vif.policy)},
        names=names,
    )


def targets_in(world: World) -> dict[int, Targets]:
    """Of every VIF that has objectives, by number; also of those that have no port, as while they are moved."""
    nodes, found = world.policies.nodes, dict[int, Targets]()
    for vif in world.snapshot.interfaces.values():
        node = nodes.get(vif.policy)
        if node is not None and node.is_leaf and node.slo is not None:
            found[vif.number] = targets_of(node.slo)
    return found


def targets_of(objectives: Objectives) -> Targets:
    found: dict[Objective, float] = {}
    if objectives.latency_s is not None:
        found["latency"] = objectives.latency_s * 1000
    if objectives.jitter_s is not None:
        found["jitter"] = objectives.jitter_s * 1000
    if objectives.loss is not None:
        found["loss"] = objectives.loss
    return found


def yielders(
    scene: Scene, link: Link, seen: Mapping[int, Decision], spared: Collection[int], by_class: ByClass = _UNKNOWN
) -> list[Yielder]:
    """All that may give way on the link, and what each keeps. by_class: what is known of the classes, by VIF number.

    Who has objectives gives way with what is in later classes than its best alone, unless it sends more than its part
    of the link: then with what goes beyond that. Everybody keeps what is promised, in whatever class it is sent, but
    for the later classes of those for whose objectives the others give way (spared): they keep their share of it.
    """
    found = list[Yielder]()
    for own in _owns(scene, link, seen):
        watched = scene.watched.get(own.number)
        takes_more = watched is not None and scene.is_its_own_doing(watched, own.seen)
        if own.number in scene.divided:
            found += _classes_of(own, scene, own.number in spared, takes_more, by_class.get(own.number, {}))
        elif watched is None or takes_more:
            kept_kbps = own.promised_kbps if watched is None else own.part_kbps
            rank, floor_kbps = scene.classes.index(NORMAL), max(kept_kbps, own.least_kbps)
            place = own.number, NORMAL
            found.append(Yielder(place, rank, floor_kbps, own.part_kbps, own.passed_kbps, own.demand_kbps))
    return found


def own_yielders(
    scene: Scene, link: Link, seen: Mapping[int, Decision], number: int, by_class: ByClass = _UNKNOWN
) -> list[Yielder]:
    """What of a VIF itself may give way for its objectives: all but its best class."""
    own = next(own for own in _owns(scene, link, seen) if own.number == number)
    return list(_classes_of(own, scene, True, False, by_class.get(number, {})))


def _owns(scene: Scene, link: Link, seen: Mapping[int, Decision]) -> Iterator[_Own]:
    numbers, promises = scene.members[link], scene.promised_kbps(link, seen)
    least_kbps = max(LEAST_FLOOR_KBPS, FLOORS_PART * scene.capacity_kbps[link] / len(numbers))
    for number in numbers:
        yield _Own(number, seen.get(number), promises[number], least_kbps, scene.part_kbps(number))


@dataclass(frozen=True, slots=True)
class _Own:
    """A VIF on its uplink."""

    number: int
    seen: Decision | None
    promised_kbps: float
    least_kbps: float
    part_kbps: float

    @property
    def passed_kbps(self) -> float:
        if self.seen is None or self.seen.passed_kbps is None:
            return 0.0
        return max(0.0, self.seen.passed_kbps - (self.seen.local_kbps or 0.0))

    @property
    def demand_kbps(self) -> float:
        return math.inf if self.seen is None else self.seen.demand_kbps


def _classes_of(
    own: _Own, scene: Scene, is_spared: bool, takes_more: bool, known: Mapping[str, ClassFigures]
) -> Iterator[Yielder]:
    """Another's class keeps its share of what is promised to the VIF, and what of that no other class takes."""
    shares = {name: max(LEAST_SHARE, scene.world.policies.classes[name].share) for name in scene.classes}
    has_objectives = own.number in scene.watched
    giving = scene.classes[1:] if has_objectives and not takes_more else scene.classes
    whole = sum(shares[name] for name in giving)
    for rank, name in enumerate(scene.classes):
        if name not in giving:
            continue
        part = shares[name] / whole
        kept_kbps = own.promised_kbps * shares[name]
        if not is_spared:
            others_kbps = sum(one.passed_kbps or 0.0 for other, one in known.items() if other != name)
            kept_kbps = max(kept_kbps, own.promised_kbps - others_kbps)
        passed_kbps, demand_kbps = own.passed_kbps * part, own.demand_kbps
        if (figures := known.get(name)) is not None and figures.passed_kbps is not None:
            passed_kbps = figures.passed_kbps
            stands = (figures.backlog_bytes or 0) >= STANDING_BYTES
            demand_kbps = math.inf if stands else (figures.offered_kbps or 0.0) * 1.1
        if rank == 0 and has_objectives:
            kept_kbps = max(kept_kbps, own.part_kbps)
        yield Yielder(
            place=(own.number, name),
            rank=rank,
            floor_kbps=max(kept_kbps, own.least_kbps * part),
            weight=own.part_kbps * part,
            passed_kbps=passed_kbps,
            demand_kbps=demand_kbps,
        )
