"""Runs the closed loop: every interval what was counted goes in, and the rates that changed go out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import eventlet

from controller.allocation.actuator import Change
from controller.allocation.decision import Decisions, Move
from controller.allocation.loop import LoopState, advance, afresh, initial, with_network
from controller.allocation.samples import CountersByVif
from controller.allocation.settings import Settings
from controller.measure.path import VifPaths
from controller.runtime.bandwidth import network_of
from controller.runtime.clocks import Clocks
from controller.runtime.cost import Cost
from controller.runtime.failures import Failures
from controller.runtime.poll import Poll
from controller.runtime.resting import Resting
from controller.runtime.sampling import places_of, readings_of
from controller.runtime.switch import Switch
from controller.runtime.tick import Tick
from controller.stream.messages import HostSample, Rates
from controller.world.desired import World

_PATIENCE = 0.5  # the part of a tick that switches have for their answer
_TICK = "a tick"

log = logging.getLogger("weir.loop")

T = TypeVar("T")


class Hosts(Protocol):
    """Where rates go, and who is asked, by chassis. Nothing here waits."""

    @property
    def switches(self) -> Mapping[str, Switch]: ...

    def send_rates(self, chassis: str, rates: Rates) -> None:
        """To the agent, if they differ from the last."""

    def egress_rates_changed(self, chassis: str) -> None:
        """`Ticker.enforced_egress_kbps` has others for the meters of this chassis."""


class Actor(Protocol):
    """Does something more about what a tick saw."""

    def act(self, tick: Tick) -> Sequence[Move]:
        """Once a tick; it must not wait. Returns what it changed."""


class ClassCaps(Actor, Protocol):
    """An actor that bounds classes of VIFs."""

    @property
    def class_kbps(self) -> Mapping[int, Mapping[str, int]]:
        """As of the last tick, by VIF number and class; see stream.messages.Rates."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the loop is made of beside dividing. paths: what probes say now, by VIF number, at this monotonic time.

    remember: is told of every tick and of what changed in it. spent_s: processor time that reading what agents say has
    taken up to now.
    """

    paths: Callable[[float], Mapping[int, VifPaths]] = lambda _: {}
    actors: Sequence[Actor] = ()
    caps: ClassCaps | None = None
    remember: Callable[[Tick, Sequence[Move]], None] = lambda *_: None
    spent_s: Callable[[], float] = lambda: 0.0


class Ticker:
    """world: what there is now. What a tick came to: `decisions`, and `enforced_egress_kbps` by VIF number."""

    def __init__(
        self,
        world: Callable[[], World],
        hosts: Hosts,
        settings: Settings,
        clocks: Clocks,
        around: Around | None = None,
    ) -> None:
        self._world, self._hosts, self._settings, self._clocks = world, hosts, settings, clocks
        self._around = around or Around()
        self._poll, self._resting = Poll(), Resting()
        self._cost, self._elsewhere_s = Cost(settings.interval_s), 0.0  # and processor time of others by the last tick
        self._samples: dict[str, HostSample] = {}
        self._state: LoopState | None = None
        self._divided: World | None = None
        self._places = places_of(World())  # of the same
        self._fault: str | None = None
        self._failures = Failures(clocks.monotonic)
        self.ticks = 0  # that succeeded
        self.decisions: Decisions | None = None
        self.enforced_egress_kbps: Mapping[int, int] = {}

    @property
    def interval_s(self) -> float:
        """As it is now: longer than what was asked for where a tick costs more than it may."""
        return self._cost.interval_s

    @property
    def cpu_share(self) -> float | None:
        """What it takes of a core, over the last ticks, with reading what switches and agents say."""
        return self._cost.share

    @property
    def fault(self) -> str | None:
        """What of the loop fails, else which guarantee cannot be met."""
        return self._failures.last or (self.decisions.fault if self.decisions else None)

    def host_sample(self, sample: HostSample) -> None:
        self._samples[sample.chassis] = sample
        self._resting.heard(sample, self._clocks.monotonic())

    def run(self) -> None:
        """For ever, in a green thread of its own. After a tick that fails rates stay as they are, for the next one."""
        clock = self._clocks.monotonic
        due_s = clock()
        while True:
            due_s = max(due_s + self.interval_s, clock())
            eventlet.sleep(max(0.0, due_s - clock()))
            try:
                self.tick()
                self._failures.fine(_TICK)
            except Exception as fault:
                self._failures.failed(_TICK, fault)
                # what made it fail may be in what was measured
                self._state, self.decisions = self._state and afresh(self._state), None

    def tick(self) -> None:
        connected, asked_s = self._hosts.switches, self._clocks.monotonic()
        awake = self._resting.awake(connected, asked_s, self.interval_s)
        answers = self._poll.samples(awake, self._settings.interval_s * _PATIENCE)
        begun_s = time.thread_time()  # from here on nothing waits
        self._resting.answered(answers)
        world = self._world()  # after the wait: what has gone meanwhile is not in it
        state = self._state_for(world)
        read = readings_of(self._places, answers, self._samples)
        counters = CountersByVif(self._places.keys, read)
        now_s = self._clocks.monotonic()
        self._state, self.decisions = advance(state, read, now_s)
        if self.decisions.fault != self._fault:
            self._fault = self.decisions.fault
            log.warning("allocation: %s", self._fault or "every guarantee can be met again")
        _note(self.decisions.changes)
        self.ticks += 1
        self._enforce(world, self.decisions)
        tick = Tick(
            number=self.ticks,
            at_s=now_s,
            wall_s=self._clocks.wall(),
            world=world,
            counters=counters,
            decisions=self.decisions,
            paths=self._tried("what probes say", self._around.paths, now_s) or {},
            counted=self._state.counters,
            interval_s=self.interval_s,
        )
        self._tried("remembering", self._around.remember, tick, self._act(tick))
        self._account(time.thread_time() - begun_s + sum(answer.cpu_s for answer in answers.values()), now_s)

    def _act(self, tick: Tick) -> list[Move]:
        """Each actor by itself: nobody's rates wait for one that fails."""
        caps = self._around.caps
        before = caps.class_kbps if caps else {}
        moves = list[Move]()
        for actor in (*self._around.actors, *([caps] if caps else ())):
            moves += self._tried(type(actor).__name__, actor.act, tick) or ()
        if caps and caps.class_kbps != before:
            self._send(tick.world, tick.decisions)
        return moves

    def _tried(self, part: str, function: Callable[..., T], *args: object) -> T | None:
        """None: it failed, and that is kept."""
        try:
            found = function(*args)
        except Exception as fault:
            self._failures.failed(part, fault)
            return None
        self._failures.fine(part)
        return found

    def _account(self, cpu_s: float, now_s: float) -> None:
        before_s, was_spent, elsewhere_s = self.interval_s, self._cost.is_spent, self._around.spent_s()
        is_other = self._cost.tick(cpu_s, elsewhere_s - self._elsewhere_s, now_s)
        self._elsewhere_s = elsewhere_s
        share = f"at most {self._cost.most_share:.0%} of a core"
        if self._cost.is_spent and not was_spent:
            log.warning("reading what agents say takes more than the loop may (%s); its pace stays as it is", share)
        if is_other and self._state is not None:
            self._state = replace(self._state, settings=self._paced)
            level = logging.WARNING if self.interval_s > before_s else logging.INFO
            log.log(level, "a tick every %g s from now on, so that the loop takes %s", self.interval_s, share)

    @property
    def _paced(self) -> Settings:
        """As they are at the pace that there is now."""
        return replace(self._settings, interval_s=self.interval_s)

    def _state_for(self, world: World) -> LoopState:
        if self._state is None:
            self._state = initial(network_of(world), self._paced)
        elif world is not self._divided:
            self._state = with_network(self._state, network_of(world))
        if world is not self._divided:
            self._places = places_of(world)
            self._resting.changed(world)
            self._samples = {name: one for name, one in self._samples.items() if name in world.snapshot.chassis}
        self._divided = world
        return self._state

    def _enforce(self, world: World, decisions: Decisions) -> None:
        before, egress = self.enforced_egress_kbps, decisions.enforced["egress"]
        self.enforced_egress_kbps = egress
        self._send(world, decisions)
        for chassis in world.snapshot.chassis:
            here = _numbers(world, chassis)
            if _only(before, here) != _only(egress, here):
                self._hosts.egress_rates_changed(chassis)

    def _send(self, world: World, decisions: Decisions) -> None:
        egress, ingress = decisions.enforced["egress"], decisions.enforced["ingress"]
        caps = self._around.caps.class_kbps if self._around.caps else {}
        for chassis in world.snapshot.chassis:
            here = _numbers(world, chassis)
            self._hosts.send_rates(chassis, Rates(_only(egress, here), _only(ingress, here), _only(caps, here)))


def _numbers(world: World, chassis: str) -> list[int]:
    return [vif.number for vif in world.members.get(chassis, ())]


def _only(rates: Mapping[int, T], numbers: Iterable[int]) -> dict[int, T]:
    return {number: rates[number] for number in numbers if number in rates} if rates else {}


def _note(changes: tuple[Change, ...]) -> None:
    if changes:
        log.info("%d rates changed", len(changes))
    for change in changes:
        log.debug("%s of VIF %d: %s -> %s kbit/s", change.direction, change.vif, change.before_kbps, change.after_kbps)
