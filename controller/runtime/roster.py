"""Which chassis has which connected switch, and a keeper for each."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import eventlet
from eventlet.greenthread import GreenThread

from controller.dataplane.entries import SwitchState
from controller.runtime.follower import FlowStatus
from controller.runtime.keeper import Duty, Keeper
from controller.runtime.rule_cuts import Place
from controller.runtime.switch import Switch
from controller.runtime.vital import Vital

ABSENT = "its switch is not connected to the controller"
# A controller that starts anew hears of the switches one after the other. Whose was connected to the last one is not
# said to be gone before it had time to come: other hosts would take over what it does for all, and give it back.
PATIENCE_S = 10.0

log = logging.getLogger("weir.controller")


@dataclass(frozen=True, slots=True)
class _Kept:
    switch: Switch
    keeper: Keeper
    thread: GreenThread


class Roster:
    """Switches come and go, and so do rows of chassis, in any order. No call waits before the books are right."""

    def __init__(self, duty: Duty, vital: Vital) -> None:
        self._duty, self._vital = duty, vital
        self._connected: dict[str, Switch] = {}  # by datapath id
        self._kept: dict[str, _Kept] = {}  # by chassis
        self._seen: set[str] = set()  # chassis that have had a keeper
        self._patient_until_s = duty.clock() + PATIENCE_S
        self._second_look: GreenThread | None = None
        # by chassis and datapath id, of those that have gone: what they held, and what was written since
        self._held: dict[tuple[str, str], tuple[SwitchState, Sequence[SwitchState]]] = {}

    @property
    def connected(self) -> list[str]:
        """Datapath ids."""
        return sorted(self._connected)

    @property
    def switches(self) -> Mapping[str, Switch]:
        """By chassis."""
        return {name: kept.switch for name, kept in self._kept.items()}

    def rule_meters(self, chassis: str) -> Mapping[Place, tuple[int, ...]]:
        """Of its rules, see rule_cuts."""
        kept = self._kept.get(chassis)
        return {} if kept is None else kept.keeper.rule_meters()

    def switch_up(self, switch: Switch) -> None:
        log.info("switch %s: connected", switch.datapath_id)
        self._connected[switch.datapath_id] = switch
        self.changed()

    def switch_down(self, datapath_id: str) -> None:
        log.info("switch %s: disconnected", datapath_id)
        self._connected.pop(datapath_id, None)
        self.changed()

    def poke(self, chassis: str) -> None:
        """Its loop rates have changed."""
        if chassis in self._kept:
            self._kept[chassis].keeper.poke()

    def changed(self) -> None:
        """A keeper for each chassis that has a switch of its own; all look again whether there is something to do."""
        owners, rows = self._owners(), self._duty.world().snapshot.chassis
        wanted = {names[0]: self._connected[switch] for switch, names in owners.items() if len(names) == 1}
        leaving = [name for name, kept in self._kept.items() if wanted.get(name) is not kept.switch]
        threads = [self._leave(name) for name in leaving]
        for name, switch in wanted.items():
            if name not in self._kept:
                keeper = Keeper(name, switch, self._duty, *self._held.pop((name, switch.datapath_id), (None, ())))
                self._kept[name] = _Kept(switch, keeper, self._vital.spawn(f"keeper of {name}", keeper.run))
                self._seen.add(name)
            self._kept[name].keeper.poke()
        for name, row in rows.items():
            rivalry = _rivalry(row.datapath_id, owners)
            why = rivalry or ABSENT
            if row.connected and rivalry is None and self._may_still_come(name):
                continue
            if name not in self._kept and (row.connected, row.flow_error) != (False, why):
                self._duty.report(name, FlowStatus(None, why, connected=False))
        for thread in threads:  # last: it lets others run
            thread.kill()

    def _may_still_come(self, chassis: str) -> bool:
        """Or it is here."""
        if chassis in self._seen or self._duty.clock() >= self._patient_until_s:
            return chassis in self._kept
        if self._second_look is None:
            self._second_look = eventlet.spawn_after(PATIENCE_S, self.changed)
        return True

    def _leave(self, chassis: str) -> GreenThread:
        """What its switch held is remembered: when it is back, what is missing is drift."""
        kept = self._kept.pop(chassis)
        if kept.keeper.held is not None:
            self._held[chassis, kept.switch.datapath_id] = kept.keeper.held, kept.keeper.attempted
        return kept.thread

    def stop(self) -> None:
        if self._second_look is not None:
            self._second_look.cancel()
        for name in list(self._kept):
            self._kept.pop(name).thread.kill()

    def _owners(self) -> dict[str, list[str]]:
        """The chassis that name each connected switch as theirs."""
        owners: dict[str, list[str]] = defaultdict(list)
        for name, row in self._duty.world().snapshot.chassis.items():
            if row.datapath_id in self._connected:
                owners[row.datapath_id].append(name)
        return owners


def _rivalry(datapath_id: str, owners: Mapping[str, list[str]]) -> str | None:
    """Two keepers of one switch would undo each other's work for ever."""
    names = owners.get(datapath_id, [])
    if len(names) < 2:
        return None
    return (
        f"switch {datapath_id} belongs to hosts {' and '.join(sorted(names))} at once, so nobody changes it. Give the "
        "bridges different other_config:datapath-id, or delete from table Chassis the row of the host that is no more."
    )
