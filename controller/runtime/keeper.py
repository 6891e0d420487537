"""Keeps one connected bridge as the Weir DB wants it: again whenever something changed, and now and then to be sure."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import eventlet
from eventlet import tpool
from eventlet.event import Event

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.compiler.meters import least_burst_kbit
from controller.compiler.parts import Memo
from controller.dataplane.entries import Meter, MeterBody, SwitchState
from controller.dataplane.stages import decreases_first
from controller.reconcile.pace import MeterPace
from controller.reconcile.reconciler import Reconciler
from controller.runtime.drift import Drifted
from controller.runtime.follower import FlowStatus
from controller.runtime.rule_cuts import Place, meters_by_place
from controller.runtime.switch import Switch, SwitchGone
from controller.world.desired import World, bridge_of
from ovsdb.rows import Chassis

AUDIT_S = 3.0  # somebody else's edit is found and mended within this time ...
AUDIT_PART = 0.1  # ... but no more than this part of the time is spent on looking where there is none
_LEAST_REST_S = 0.05

log = logging.getLogger("weir.keeper")


@dataclass(frozen=True, slots=True)
class Duty:
    """What keepers are told and tell. enforced_kbps: egress rates that the loop has set, by VIF number."""

    world: Callable[[], World]
    enforced_kbps: Callable[[], Mapping[int, int]]
    report: Callable[[str, FlowStatus], None]
    clock: Callable[[], float]
    repaired: Callable[[str, Drifted], None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the switch should hold, its meters as soon as `MeterPace` lets them.

    cfg: of the snapshot that it was compiled from.
    """

    bridge: Bridge
    state: SwitchState
    cfg: int

    @property
    def shaped(self) -> frozenset[int]:
        return frozenset(vif.number for vif in self.bridge.vifs if vif.is_shaped)


class Keeper:
    """One chassis whose switch is connected. `poke` says that something may have changed."""

    def __init__(
        self,
        chassis: str,
        switch: Switch,
        duty: Duty,
        held: SwitchState | None = None,
        attempted: Sequence[SwitchState] = (),
    ) -> None:
        """held: what this switch was found to hold in an earlier session. attempted: what was written since, unseen."""
        self._chassis, self._switch, self._duty = chassis, switch, duty
        self._reconciler = Reconciler(switch, held, attempted)
        self._earlier = held
        self._last_held = held  # as the switch was last found to be, whatever became of it since
        self._plan: _Plan | None = None
        self._pace = MeterPace()
        self._meters: Mapping[int, Meter] = {}  # in force, if there is no trouble
        self._metered: tuple[SwitchState, Mapping[Place, tuple[int, ...]]] | None = None
        self._is_new = False  # whether the plan has not been tried yet
        self._zones: set[int] = set()  # of connection tracking, which VIFs have that were here: their numbers
        self._memo = Memo()
        self._trouble: str | None = None  # why the switch is not known to be as planned; None: it was found to be
        self._due_s = float("-inf")  # when something is to be done next: a new plan, another try, an audit
        self._audit_s = float("-inf")  # when the whole switch is to be read next
        self._look_s = 0.0  # what the last audit took that found nothing
        self._poked = True
        self._event: Event | None = None

    def poke(self) -> None:
        self._poked = True
        if self._event is not None and not self._event.ready():
            self._event.send()

    @property
    def held(self) -> SwitchState | None:
        """What the switch was found to hold last; None: it was never found to hold what it should."""
        return self._last_held

    @property
    def attempted(self) -> Sequence[SwitchState]:
        """What was written since, without having been seen."""
        return self._reconciler.attempted

    def rule_meters(self) -> Mapping[Place, tuple[int, ...]]:
        """As planned; see rule_cuts."""
        if self._plan is None:
            return {}
        if self._metered is None or self._metered[0].flows is not self._plan.state.flows:
            self._metered = self._plan.state, meters_by_place(self._plan.state)
        return self._metered[1]

    def run(self) -> None:
        """For ever, in a green thread of its own; killed when the switch disconnects."""
        while True:
            self._poked = False
            try:
                self._turn()
            except SwitchGone as fault:
                log.warning("%s: %s", self._chassis, fault)
                self._failed(str(fault))
            except Exception as fault:  # whatever it is: it must show where one looks, and the next turn be taken
                log.exception("%s: reconciling failed", self._chassis)
                self._failed(f"reconciling failed: {type(fault).__name__}: {fault}. See the controller's log.")
            self._rest()

    def _turn(self) -> None:
        world = self._duty.world()
        row = world.snapshot.chassis.get(self._chassis)
        if row is None:
            return
        refusal = self._make_plan(world) or world.fault
        if self._plan is not None and self._duty.clock() >= self._due_s:
            self._reconcile(self._plan)
            self._forget_deleted(world)
        elif self._plan is not None and self._trouble is None and self._duty.clock() >= self._pace.due_s:
            self._write_meters(self._plan)
        self._report(row, refusal)

    def _make_plan(self, world: World) -> str | None:
        """Returns why what is wanted cannot be; what was planned before is kept up meanwhile."""
        if not world.is_known:
            return world.fault
        try:
            bridge = bridge_of(world, self._chassis, self._duty.enforced_kbps())
            if self._is_planned(bridge, world.snapshot.cfg):
                return None
            # in a native thread: ten thousands of entries take a second, in which the loop must tick
            state = tpool.execute(compile_bridge, bridge, self._memo)
        except ValueError as fault:
            return str(fault)
        self._plan, self._is_new = _Plan(bridge, state, world.snapshot.cfg), True
        self._trouble, self._due_s = "it is being brought up to date", float("-inf")
        return None

    def _is_planned(self, bridge: Bridge, cfg: int) -> bool:
        """Whether this bridge is planned already, or has come to be by writing the rates that the loop has changed."""
        plan = self._plan
        if plan is None:
            return False
        if bridge == plan.bridge:
            self._plan = replace(plan, cfg=cfg)
            return True
        changed = changed_rates(plan.bridge, bridge) if self._trouble is None and cfg == plan.cfg else None
        if changed is None:
            return False
        self._set_rates(replace(plan, bridge=bridge), changed)
        return True

    def _set_rates(self, plan: _Plan, changed: Mapping[int, MeterBody]) -> None:
        self._plan = replace(plan, state=SwitchState(plan.state.flows, {**plan.state.meters, **changed}))
        self._write_meters(self._plan)

    def _write_meters(self, plan: _Plan) -> None:
        """Only meters whose turn it is are written, and nothing is read before the next audit."""
        before, held = self._meters, self._held(plan)
        changed = decreases_first(before, held.meters)
        if not changed:
            return
        self._reconciler.attempt(held)
        failures = self._switch.modify_meters(changed)
        if failures:
            self._failed("; ".join(map(str, failures)))
            self._due_s = float("-inf")
        else:
            self._reconciler.assume(held)
            self._last_held = held

    def _held(self, plan: _Plan) -> SwitchState:
        """What is planned, but for meters that have changed too lately: see `MeterPace`."""
        least_kbit = least_burst_kbit(plan.bridge.largest_kbit)
        self._meters = self._pace.hold(plan.state.meters, plan.shaped, least_kbit, self._duty.clock())
        return SwitchState(plan.state.flows, self._meters)

    def _reconcile(self, plan: _Plan) -> None:
        """What is new comes before an audit that has just fallen due."""
        now_s = self._duty.clock()
        is_audit = now_s >= self._audit_s + (AUDIT_S if self._is_new else 0.0)
        self._is_new = False
        held, wanted = self._reconciler.held, self._held(plan)
        outcome = (self._reconciler.reconcile if is_audit else self._reconciler.advance)(wanted, now_s)
        if outcome.changes:
            log.info("%s: %s", self._chassis, outcome.changes)
        if outcome.drift and held is not None:
            self._duty.repaired(self._chassis, Drifted(outcome.drift, held, wanted, held is self._earlier))
        if outcome.in_sync:
            self._trouble = None
            self._last_held = self._reconciler.held
        else:
            self._trouble = "; ".join(map(str, outcome.failures)) or "the switch differs from what was sent"
        ended_s = self._duty.clock()
        if outcome.read_whole:
            if not outcome.changes:
                self._look_s = ended_s - now_s
            self._audit_s = ended_s + max(AUDIT_S, self._look_s / AUDIT_PART)
        self._due_s = self._audit_s if outcome.retry_at_s is None else outcome.retry_at_s

    def _forget_deleted(self, world: World) -> None:
        """Connections of VIFs that are no more, once no entry looks at them. Of one that has only lost its port they
        stay: it may come back.
        """
        if self._plan is None or self._trouble is not None:
            return
        gone = self._zones - {vif.number for vif in world.snapshot.interfaces.values()}
        if gone:
            self._switch.forget_connections(sorted(gone))
        self._zones = (self._zones - gone) | {vif.number for vif in self._plan.bridge.vifs}

    def _report(self, row: Chassis, refusal: str | None) -> None:
        """What was refused has been tried: whoever waits for it need wait no longer."""
        done = refusal is not None or (self._plan is not None and self._trouble is None)
        fault = refusal or (self._trouble if self._plan is not None else None)
        self._duty.report(self._chassis, FlowStatus(row.agent_cfg if done else None, fault, connected=True))

    def _failed(self, trouble: str) -> None:
        self._trouble, self._due_s = trouble, self._duty.clock() + AUDIT_S
        self._duty.report(self._chassis, FlowStatus(None, trouble, connected=True))

    def _rest(self) -> None:
        """Until poked, or until the switch is due, or for as long as an audit may be away."""
        if self._poked:
            return
        self._event = Event()
        with eventlet.Timeout(min(AUDIT_S, max(_LEAST_REST_S, self._next_s() - self._duty.clock())), False):
            self._event.wait()
        self._event = None

    def _next_s(self) -> float:
        return min(self._due_s, self._pace.due_s if self._trouble is None else math.inf)


def changed_rates(before: Bridge, after: Bridge) -> dict[int, MeterBody] | None:
    """The meters that differ when nothing but rates does; None when anything else does."""
    if _without_rates(before) != _without_rates(after):
        return None
    return {
        new.number: new.egress_meter
        for old, new in zip(before.vifs, after.vifs, strict=True)
        if old.egress_meter is not None and new.egress_meter is not None and old.egress_meter != new.egress_meter
    }


def _without_rates(bridge: Bridge) -> Bridge:
    """The bridge with the same rate at every meter that there is."""
    return replace(
        bridge, vifs=tuple(replace(vif, egress_meter=vif.egress_meter and MeterBody(1, 1)) for vif in bridge.vifs)
    )
