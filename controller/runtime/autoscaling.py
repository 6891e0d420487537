"""Moves guarantees, buffers and shares of processor time within what policies and admission allow.

What was moved stands in the Weir DB, so that controllers and agents may die; for how long a demand has stood does not:
with a new controller that time begins anew.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.allocation.autoscaler import DEAD_BAND, Scale, Target, Watch, What, Wish, step
from controller.allocation.decision import Decision, Move
from controller.allocation.settings import Settings
from controller.runtime import scales
from controller.runtime.move_words import given_back, kept_within, moved_no_more, shown, wished
from controller.runtime.packet_rates import packet_rates
from controller.runtime.scales import Ranges
from controller.runtime.tick import Tick
from controller.world.desired import World
from controller.world.members import member
from ovsdb.rows import VirtualInterface
from policies.hierarchy import Member
from policies.model import Direction, PolicySet
from policies.scaling import UNSCALED, Scaled, columns_of, scaled_of
from policies.surplus import fitted

_GUARANTEES: Mapping[What, Direction] = {"egress": Direction.EGRESS, "ingress": Direction.INGRESS}

_Held = Mapping[int, tuple[int | None, int | None]]  # by VIF number, the guarantees that were moved

log = logging.getLogger("weir.loop")


@dataclass(frozen=True, slots=True)
class _Subject:
    """A VIF of which something may move, or has moved. had: what stands in the Weir DB, or will as soon as it is
    written. has: what of it holds."""

    vif: VirtualInterface
    ranges: Ranges
    had: Scaled
    has: Scaled
    delay_s: float

    def value(self, what: What) -> int:
        return self.ranges[what].at(scales.of_what(self.has, what))


class Autoscaling:
    """An actor of the loop. report: takes what is to stand in the Weir DB, by VIF name, the whole of it."""

    def __init__(self, report: Callable[[Mapping[str, Mapping[str, int]]], None], settings: Settings) -> None:
        self._report, self._headroom = report, settings.headroom
        self._world: World | None = None
        self._subjects: dict[int, _Subject] = {}
        self._scales: dict[Target, Scale] = {}
        self._members: list[Member] = []  # but for what was moved
        self._fit: tuple[PolicySet, list[Member], _Held] | None = None  # that was found to have room
        self._unseen: dict[int, Scaled] = {}  # reported, and not seen in the Weir DB yet
        self._memory: dict[Target, Watch] = {}
        self._moved_s = -math.inf

    def act(self, tick: Tick) -> Sequence[Move]:
        world = tick.world
        is_new = world is not self._world
        if is_new:
            self._look(world)
        if not self._subjects or not world.is_known:
            self._memory = {}
            return ()
        since_s = tick.at_s - self._moved_s
        self._memory, wishes = step(self._memory, self._scales, self._measured(tick), tick.at_s, since_s)
        if not is_new and not wishes:
            return ()
        if wishes:
            self._moved_s = tick.at_s
        after = self._wanted(wishes)
        if any(what in _GUARANTEES for _, what in wishes) or (is_new and not self._is_fitted(world.policies, after)):
            after = self._fitted(world.policies, after, wishes)
        return self._move(world.policies, after, wishes)

    def _look(self, world: World) -> None:
        vifs = {vif.number: vif for vif in world.snapshot.interfaces.values()}
        self._unseen = {
            number: scaled
            for number, scaled in self._unseen.items()
            if number in vifs and scaled_of(vifs[number].scaled) != scaled
        }
        nodes = world.policies.nodes
        leaves = {path for path, node in nodes.items() if node.is_leaf and scales.moves_anything(node)}
        self._subjects = {
            number: self._subject(vif, world.policies)
            for number, vif in vifs.items()
            if vif.scaled or number in self._unseen or vif.policy in leaves
        }
        placed = [vif for vif in vifs.values() if (node := nodes.get(vif.policy)) is not None and node.is_leaf]
        members = [member(vif, world.policies) for vif in placed] if self._subjects else []
        self._members = [one if one.scaled is UNSCALED else replace(one, scaled=UNSCALED) for one in members]
        self._scales = {}
        for one in self._subjects.values():
            self._scale(one, world.policies)
        self._world = world

    def _subject(self, vif: VirtualInterface, policies: PolicySet) -> _Subject:
        had = self._unseen.get(vif.number, scaled_of(vif.scaled))
        ranges = scales.ranges_of(vif, policies)
        delay_s = scales.delay_s(policies.nodes[vif.policy]) if ranges else 0.0
        return _Subject(vif, ranges, had, scales.within(had, ranges), delay_s)

    def _scale(self, one: _Subject, policies: PolicySet) -> None:
        """Anew, as what is in force has changed."""
        for what, bounds in one.ranges.items():
            leaf = policies.nodes[one.vif.policy]
            self._scales[one.vif.number, what] = scales.scale(what, bounds, one.value(what), leaf)

    def _measured(self, tick: Tick) -> dict[Target, float | None]:
        both = {"egress": tick.decisions.egress, "ingress": tick.decisions.ingress}
        decisions = {way: _at_hand(own, len(self._subjects)) for way, own in both.items()}
        hosts, found = tick.world.snapshot.chassis, dict[Target, float | None]()
        packets_pps = packet_rates(tick.counted) if any(what == "cpu" for _, what in self._scales) else {}
        for number, what in self._scales:
            one = self._subjects[number]
            if what in _GUARANTEES:
                found[number, what] = scales.demand_kbps(decisions[what].get(number), self._headroom)
            elif what == "buffer":
                found[number, what] = scales.buffer_bytes([own.get(number) for own in decisions.values()], one.delay_s)
            elif (host := hosts.get(one.vif.chassis or "")) is not None:
                found[number, what] = scales.cpu_permille(host.capabilities, packets_pps.get(number))
        return found

    def _wanted(self, wishes: Mapping[Target, Wish]) -> dict[int, Scaled]:
        found = {number: one.has for number, one in self._subjects.items()}
        for (number, what), wish in wishes.items():
            found[number] = self._with(number, found[number], what, scales.whole(wish.after))
        return found

    def _with(self, number: int, scaled: Scaled, what: What, value: int) -> Scaled:
        bounds = self._subjects[number].ranges[what]
        value = bounds.at(value)
        return scales.with_what(scaled, what, None if value == bounds.begin else value)

    def _is_fitted(self, policies: PolicySet, held: Mapping[int, Scaled]) -> bool:
        """Whether nothing that concerns guarantees has changed since: mostly, what comes is what this has written."""
        if self._fit is None or self._fit[0] is not policies:
            return False
        return self._fit[1:] == (self._members, _held(held))

    def _fitted(
        self,
        policies: PolicySet,
        wanted: dict[int, Scaled],
        wishes: Mapping[Target, Wish],
    ) -> dict[int, Scaled]:
        """With what is free. Who would get next to nothing of what it wants to grow by stays: nobody moves for that."""
        known = self._scales
        growing = [one for one, wish in wishes.items() if one[1] in _GUARANTEES and wish.is_up(known[one])]
        while True:
            members = [replace(one, scaled=wanted.get(one.number, UNSCALED)) for one in self._members]
            found = {one.number: one for one in fitted(policies, members) if one.number in wanted}
            vain = []
            for number, what in growing:
                value, asked = known[number, what].value, scales.of_what(wanted[number], what)
                granted = self._subjects[number].ranges[what].at(scales.of_what(found[number].scaled, what))
                if granted < value * (1 + DEAD_BAND) and scales.of_what(found[number].scaled, what) != asked:
                    vain.append((number, what))
            if not vain:
                after = {**wanted, **{number: self._begun(number, one.scaled) for number, one in found.items()}}
                self._fit = policies, self._members, _held(after)
                return after
            for number, what in vain:
                wanted[number] = self._with(number, wanted[number], what, int(known[number, what].value))
            growing = [target for target in growing if target not in vain]

    def _begun(self, number: int, scaled: Scaled) -> Scaled:
        return scales.within(scaled, self._subjects[number].ranges)

    def _move(self, policies: PolicySet, after: Mapping[int, Scaled], wishes: Mapping[Target, Wish]) -> list[Move]:
        moves: list[Move] = []
        changed: dict[str, dict[str, int]] = {}
        for number, scaled in after.items():
            subject = self._subjects[number]
            if scaled == subject.had:
                continue
            changed[subject.vif.name] = columns_of(scaled)
            for what in scales.differing(subject.had, scaled):
                moves += _moved(subject, what, scaled, wishes.get((number, what)))
            self._unseen[number] = scaled
            self._subjects[number] = replace(subject, had=scaled, has=scaled)
            self._scale(self._subjects[number], policies)
        if changed:
            self._report(changed)
        for move in moves:
            name = self._subjects[move.vif].vif.name
            log.info("VIF %s: %s %s: %s", name, move.direction, shown(move), move.why)
        return moves


def _held(scaled: Mapping[int, Scaled]) -> _Held:
    return {number: (one.egress_kbps, one.ingress_kbps) for number, one in scaled.items()}


def _at_hand(decisions: Mapping[int, Decision], asked: int) -> Mapping[int, Decision]:
    """Made all at once where many are asked for: one by one each costs some ten times as much."""
    return dict(decisions) if asked * 10 > len(decisions) else decisions


def _moved(subject: _Subject, what: What, scaled: Scaled, wish: Wish | None) -> list[Move]:
    """None where the number in force is what it was."""
    bounds = subject.ranges.get(what)
    if bounds is None:
        return [moved_no_more(subject.vif.number, what, scales.of_what(subject.had, what))]
    had, has = scales.of_what(subject.had, what), subject.value(what)
    before, after = bounds.begin if had is None else had, bounds.at(scales.of_what(scaled, what))
    if before == after:
        return []
    if wish is not None and (after > has) == (wish.after > has) and after != has:
        return [wished(subject.vif.number, what, has, after, wish)]
    if after != has:
        return [given_back(subject.vif.number, what, has, after)]
    return [kept_within(subject.vif.number, what, before, after, bounds)]
