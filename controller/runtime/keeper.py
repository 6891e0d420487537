"""Keeps one connected bridge as the Weir DB wants it: again whenever something changed, and now and then to be sure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import eventlet
from eventlet.event import Event

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.dataplane.entries import SwitchState
from controller.reconcile.reconciler import Reconciler
from controller.reconcile.target import Target
from controller.runtime.desired import World, bridge_of
from controller.runtime.follower import FlowStatus
from ovsdb.rows import Chassis

AUDIT_S = 5.0  # somebody else's edit is found and mended within this time

log = logging.getLogger("weir.keeper")


@dataclass(slots=True)
class Keeper:
    """One chassis whose switch is connected. `poke` says that something may have changed."""

    chassis: str
    target: Target
    world: Callable[[], World]
    enforced_kbps: Callable[[], Mapping[int, int]]
    report: Callable[[str, FlowStatus], None]
    clock: Callable[[], float]
    bridge: Bridge | None = None
    _event: Event | None = None
    _poked: bool = True
    _state: SwitchState | None = None
    _in_sync_s: float | None = None  # when the switch was last read and held what it should

    def poke(self) -> None:
        self._poked = True
        if self._event is not None and not self._event.ready():
            self._event.send()

    def run(self) -> None:
        """For ever, in a green thread of its own; killed when the switch disconnects."""
        reconciler = Reconciler(self.target)
        while True:
            retry_at_s: float | None = self.clock() + AUDIT_S
            self._poked = False
            world = self.world()
            row = world.snapshot.chassis.get(self.chassis)
            if row is not None:
                try:
                    retry_at_s = self._keep(reconciler, world, row)
                except (
                    Exception
                ) as fault:  # whatever it is, it must be seen where one looks, and the next turn be taken
                    log.exception("%s: reconciling failed", self.chassis)
                    self._in_sync_s = None
                    self.report(self.chassis, FlowStatus(row.flow_cfg, f"reconciling failed: {fault}", connected=True))
            self._rest(retry_at_s)

    def _keep(self, reconciler: Reconciler, world: World, row: Chassis) -> float | None:
        """One turn. A bridge that is as compiled and was found in sync lately need not be read again."""
        bridge = bridge_of(world, self.chassis, self.enforced_kbps())
        now_s, fault, retry_at_s = self.clock(), world.fault, None
        if bridge != self.bridge or self._in_sync_s is None or now_s - self._in_sync_s >= AUDIT_S:
            outcome = reconciler.reconcile(self._compiled(bridge), now_s)
            self._in_sync_s = now_s if outcome.in_sync else None
            retry_at_s = outcome.retry_at_s
            if outcome.changes:
                log.info("%s: %s", self.chassis, outcome.changes)
            if not outcome.in_sync:
                fault = fault or "; ".join(map(str, outcome.failures)) or "the switch differs from what was sent"
        flow_cfg = row.flow_cfg if self._in_sync_s is None else row.agent_cfg
        self.report(self.chassis, FlowStatus(flow_cfg, fault, connected=True))
        return retry_at_s

    def _compiled(self, bridge: Bridge) -> SwitchState:
        if bridge != self.bridge or self._state is None:
            self._state = compile_bridge(bridge)
            self.bridge = bridge
        return self._state

    def _rest(self, retry_at_s: float | None) -> None:
        wait_s = AUDIT_S if retry_at_s is None else max(0.05, min(AUDIT_S, retry_at_s - self.clock()))
        if self._poked:
            return
        self._event = Event()
        with eventlet.Timeout(wait_s, False):
            self._event.wait()
        self._event = None
