"""Runs the closed loop: every interval what was counted goes in, and the rates that changed go out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import eventlet

from controller.allocation.actuator import Change
from controller.allocation.decision import Decision, Decisions
from controller.allocation.loop import LoopState, initial, step, with_network
from controller.allocation.settings import Settings
from controller.runtime.bandwidth import network_of
from controller.runtime.poll import Poll
from controller.runtime.sampling import vif_counters
from controller.runtime.switch import Switch
from controller.stream.messages import HostSample, Rates
from controller.world.desired import World

_PATIENCE = 0.5  # the part of a tick that switches have for their answer

log = logging.getLogger("weir.loop")


class Hosts(Protocol):
    """Where rates go, and who is asked, by chassis. Nothing here waits."""

    @property
    def switches(self) -> Mapping[str, Switch]: ...

    def send_rates(self, chassis: str, rates: Rates) -> None:
        """To the agent, if they differ from the last."""

    def egress_rates_changed(self, chassis: str) -> None:
        """`Ticker.enforced_egress_kbps` has others for the meters of this chassis."""


class Ticker:
    """world: what there is now. What a tick came to: `decisions`, and `enforced_egress_kbps` by VIF number."""

    def __init__(
        self, world: Callable[[], World], hosts: Hosts, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self._world, self._hosts, self._settings, self._clock = world, hosts, settings, clock
        self._poll = Poll()
        self._samples: dict[str, HostSample] = {}
        self._state: LoopState | None = None
        self._divided: World | None = None
        self._fault: str | None = None
        self.ticks = 0  # that succeeded
        self.decisions: Decisions | None = None
        self.enforced_egress_kbps: Mapping[int, int] = {}

    @property
    def interval_s(self) -> float:
        return self._settings.interval_s

    def host_sample(self, sample: HostSample) -> None:
        self._samples[sample.chassis] = sample

    def run(self) -> None:
        """For ever, in a green thread of its own. After a tick that fails rates stay as they are, for the next one."""
        due_s = self._clock()
        while True:
            due_s = max(due_s + self._settings.interval_s, self._clock())
            eventlet.sleep(max(0.0, due_s - self._clock()))
            try:
                self.tick()
            except Exception:
                log.exception("a tick failed; the next one begins anew")
                self._state, self.decisions = None, None  # what made it fail may be in there

    def tick(self) -> None:
        switches = self._poll.samples(self._hosts.switches, self._settings.interval_s * _PATIENCE)
        world = self._world()  # after the wait: what has gone meanwhile is not in it
        counters = {
            vif.number: vif_counters(vif, switches.get(chassis), self._samples.get(chassis))
            for chassis, vifs in world.members.items()
            for vif in vifs
        }
        self._state, self.decisions = step(self._state_for(world), counters, self._clock())
        if self.decisions.fault != self._fault:
            self._fault = self.decisions.fault
            log.warning("allocation: %s", self._fault or "every guarantee can be met again")
        _note(self.decisions.changes)
        self._enforce(world, self.decisions)
        self.ticks += 1

    def _state_for(self, world: World) -> LoopState:
        if self._state is None:
            self._state = initial(network_of(world), self._settings)
        elif world is not self._divided:
            self._state = with_network(self._state, network_of(world))
        self._divided = world
        return self._state

    def _enforce(self, world: World, decisions: Decisions) -> None:
        before, egress = self.enforced_egress_kbps, _enforced(decisions.egress)
        ingress = _enforced(decisions.ingress)
        self.enforced_egress_kbps = egress
        for chassis in world.snapshot.chassis:
            here = [vif.number for vif in world.members.get(chassis, ())]
            self._hosts.send_rates(chassis, Rates(_only(egress, here), _only(ingress, here)))
            if _only(before, here) != _only(egress, here):
                self._hosts.egress_rates_changed(chassis)


def _enforced(decisions: Mapping[int, Decision]) -> dict[int, int]:
    return {number: d.enforced_kbps for number, d in decisions.items() if d.enforced_kbps is not None}


def _only(rates: Mapping[int, int], numbers: Iterable[int]) -> dict[int, int]:
    return {number: rates[number] for number in numbers if number in rates}


def _note(changes: tuple[Change, ...]) -> None:
    if changes:
        log.info("%d rates changed", len(changes))
    for change in changes:
        log.debug("%s of VIF %d: %s -> %s kbit/s", change.direction, change.vif, change.before_kbps, change.after_kbps)
