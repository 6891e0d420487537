"""Runs the closed loop: every interval what was counted goes in, and the rates that changed go out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Protocol

import eventlet

from controller.allocation.actuator import Change
from controller.allocation.decision import Decision, Decisions
from controller.allocation.loop import LoopState, initial, step, with_network
from controller.allocation.network import Network
from controller.allocation.settings import Settings
from controller.compiler.bridge import Bridge
from controller.dataplane.entries import MeterBody
from controller.runtime.bandwidth import network_of
from controller.runtime.desired import World, members_on
from controller.runtime.sampling import SwitchSample, vif_counters
from controller.stream.messages import HostSample, Rates

log = logging.getLogger("weir.loop")


class Switch(Protocol):
    """One connected switch, as the loop sees it. Each call may raise SwitchGone."""

    def sample(self) -> SwitchSample: ...

    def modify_meters(self, meters: Mapping[int, MeterBody]) -> None: ...


class SwitchGone(RuntimeError):
    """The switch did not answer; whoever watches connections deals with it."""


class Ticker:
    """world, bridge and switches give what there is now, by chassis; send_rates hands rates to a chassis's agent."""

    def __init__(
        self,
        world: Callable[[], World],
        bridge: Callable[[str], Bridge | None],
        switches: Mapping[str, Switch],
        send_rates: Callable[[str, Rates], None],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._world, self._bridge, self._switches = world, bridge, switches
        self._send_rates, self._settings, self._clock = send_rates, settings, clock
        self._hosts: dict[str, HostSample] = {}
        self._state: LoopState | None = None
        self._divided: World | None = None
        self.decisions: Decisions | None = None
        self.enforced_egress_kbps: Mapping[int, int] = {}

    @property
    def interval_s(self) -> float:
        return self._settings.interval_s

    def host_sample(self, sample: HostSample) -> None:
        self._hosts[sample.chassis] = sample

    def run(self) -> None:
        """For ever, in a green thread of its own. A tick that fails is logged, and the next one is taken."""
        due_s = self._clock()
        while True:
            due_s = max(due_s + self._settings.interval_s, self._clock())
            eventlet.sleep(due_s - self._clock())
            try:
                self.tick()
            except Exception:
                log.exception("a tick failed; rates stay as they are")

    def tick(self) -> None:
        world = self._world()
        samples = self._switch_samples()
        counters = {
            vif.number: vif_counters(vif, samples.get(chassis), self._hosts.get(chassis))
            for chassis in world.snapshot.chassis
            for vif in members_on(world, chassis)
        }
        self._state, self.decisions = step(self._state_for(world), counters, self._clock())
        if self.decisions.fault:
            log.warning("allocation: %s", self.decisions.fault)
        self._enforce(world, self.decisions)

    def _state_for(self, world: World) -> LoopState:
        if self._state is None:
            self._state = initial(self._network(world), self._settings)
        elif world is not self._divided:
            self._state = with_network(self._state, self._network(world))
        self._divided = world
        return self._state

    def _network(self, world: World) -> Network:
        bridges = {name: self._bridge(name) for name in world.snapshot.chassis}
        return network_of(world, {name: bridge.vifs for name, bridge in bridges.items() if bridge is not None})

    def _switch_samples(self) -> dict[str, SwitchSample]:
        """All switches are asked at once; one that does not answer has no sample this time."""
        asked = {name: eventlet.spawn(_sample, switch) for name, switch in self._switches.items()}
        answers = {name: thread.wait() for name, thread in asked.items()}
        return {name: sample for name, sample in answers.items() if sample is not None}

    def _enforce(self, world: World, decisions: Decisions) -> None:
        self.enforced_egress_kbps = _enforced(decisions.egress)
        ingress = _enforced(decisions.ingress)
        changed: dict[str, list[Change]] = defaultdict(list)
        chassis_of = {vif.number: vif.chassis for vif in world.snapshot.interfaces.values()}
        for change in decisions.changes:
            log.info(
                "%s of VIF %d: %s -> %s kbit/s", change.direction, change.vif, change.before_kbps, change.after_kbps
            )
            changed[chassis_of.get(change.vif) or ""].append(change)
        for name in world.snapshot.chassis:
            here = {number for number, chassis in chassis_of.items() if chassis == name}
            self._send_rates(name, Rates(_only(self.enforced_egress_kbps, here), _only(ingress, here)))
            self._modify_meters(name, [change.vif for change in changed[name] if change.direction == "egress"])

    def _modify_meters(self, chassis: str, numbers: list[int]) -> None:
        """In the order given: decreases come first, so that what is shared is never exceeded in between."""
        switch, bridge = self._switches.get(chassis), self._bridge(chassis)
        if not numbers or switch is None or bridge is None:
            return
        meters = {vif.number: vif.egress_meter for vif in bridge.vifs if vif.egress_meter is not None}
        try:
            switch.modify_meters({number: meters[number] for number in numbers if number in meters})
        except SwitchGone as fault:
            log.warning("%s: meters not changed: %s", chassis, fault)


def _sample(switch: Switch) -> SwitchSample | None:
    try:
        return switch.sample()
    except SwitchGone as fault:
        log.warning("no statistics this time: %s", fault)
        return None


def _enforced(decisions: Mapping[int, Decision]) -> dict[int, int]:
    return {number: d.enforced_kbps for number, d in decisions.items() if d.enforced_kbps is not None}


def _only(rates: Mapping[int, int], numbers: set[int]) -> dict[int, int]:
    return {number: rate for number, rate in rates.items() if number in numbers}
