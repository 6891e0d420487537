"""Builds the controller: the one place where the rooms meet."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import eventlet
from eventlet.greenthread import GreenThread

from controller.allocation import samples as counted
from controller.allocation.settings import Settings
from controller.api import server as api
from controller.clock import monotonic_s
from controller.compiler.bridge import Bridge
from controller.config import StateDir, state_dir
from controller.dataplane.entries import MeterBody
from controller.openflow.errors import SessionError
from controller.openflow.session import SwitchSession
from controller.openflow.stats import read_counters
from controller.openflow.target import SwitchTarget
from controller.runtime.figures import vif_documents
from controller.runtime.follower import FlowStatus, Follower
from controller.runtime.keeper import Keeper
from controller.runtime.sampling import SwitchSample
from controller.runtime.ticker import SwitchGone, Ticker
from controller.stream.server import StreamServer
from ovsdb.weir_db import WeirDb

log = logging.getLogger("weir.controller")

_ABSENT = "its switch is not connected to the controller"


class LoopSwitch:
    """A session as the loop sees it."""

    def __init__(self, session: SwitchSession) -> None:
        self._session = session

    def sample(self) -> SwitchSample:
        time_s = monotonic_s()
        try:
            counters = read_counters(self._session)
        except SessionError as fault:
            raise SwitchGone(str(fault)) from fault
        return SwitchSample(
            time_s,
            {
                number: counted.MeterCounters(meter.bytes_in, meter.bytes_dropped)
                for number, meter in counters.meters.items()
            },
            {number: counted.PortCounters(port.rx_bytes, port.tx_bytes) for number, port in counters.ports.items()},
        )

    def modify_meters(self, meters: Mapping[int, MeterBody]) -> None:
        try:
            failures = SwitchTarget(self._session).modify_meters(meters)
        except SessionError as fault:
            raise SwitchGone(str(fault)) from fault
        for failure in failures:
            log.warning("meter not changed: %s", failure)


class Controller:
    """Everything that runs in the controller process. Its green threads share one world, read from the Weir DB."""

    def __init__(self, directory: StateDir, settings: Settings) -> None:
        self._directory = directory
        self._follower = Follower(WeirDb(f"unix:{directory.weir_db_socket}"), self._changed)
        self._sessions: dict[str, SwitchSession] = {}  # by datapath id
        self._keepers: dict[str, tuple[SwitchSession, Keeper, GreenThread]] = {}  # by chassis
        self._switches: dict[str, LoopSwitch] = {}  # by chassis
        self._stream = StreamServer(directory.stream_socket, lambda sample: self._ticker.host_sample(sample))
        self._ticker = Ticker(
            world=lambda: self._follower.world,
            bridge=self._bridge,
            switches=self._switches,
            send_rates=self._stream.set_rates,
            settings=settings,
            clock=monotonic_s,
        )
        self._threads: list[GreenThread] = []

    def start(self) -> None:
        documents = {"/v1/vifs": self._vifs, "/v1/status": self._status}
        self._threads = [
            eventlet.spawn(self._follower.run),
            eventlet.spawn(self._stream.serve),
            eventlet.spawn(api.serve, self._directory.api_socket, api.Api(documents)),
            eventlet.spawn(self._ticker.run),
        ]

    def stop(self) -> None:
        for thread in [*self._threads, *(thread for _, _, thread in self._keepers.values())]:
            thread.kill()

    def switch_up(self, session: SwitchSession) -> None:
        log.info("switch %s: connected", session.datapath_id)
        self._sessions[session.datapath_id] = session
        self._match_keepers()

    def switch_down(self, datapath_id: str) -> None:
        log.info("switch %s: disconnected", datapath_id)
        self._sessions.pop(datapath_id, None)
        self._changed()

    def _changed(self) -> None:
        self._match_keepers()
        for _, keeper, _ in self._keepers.values():
            keeper.poke()
        for name, row in self._follower.world.snapshot.chassis.items():
            if row.connected and name not in self._keepers:
                self._follower.report(name, FlowStatus(row.flow_cfg, _ABSENT, connected=False))

    def _match_keepers(self) -> None:
        """A keeper for each chassis whose switch is connected, and no other."""
        wanted = {
            name: self._sessions[row.datapath_id]
            for name, row in self._follower.world.snapshot.chassis.items()
            if row.datapath_id in self._sessions
        }
        for name, (session, _, thread) in list(self._keepers.items()):
            if wanted.get(name) is not session:
                thread.kill()
                del self._keepers[name], self._switches[name]
        for name, session in wanted.items():
            if name not in self._keepers:
                keeper = Keeper(
                    chassis=name,
                    target=SwitchTarget(session),
                    world=lambda: self._follower.world,
                    enforced_kbps=lambda: self._ticker.enforced_egress_kbps,
                    report=self._follower.report,
                    clock=monotonic_s,
                )
                self._keepers[name] = (session, keeper, eventlet.spawn(keeper.run))
                self._switches[name] = LoopSwitch(session)

    def _bridge(self, chassis: str) -> Bridge | None:
        entry = self._keepers.get(chassis)
        return entry[1].bridge if entry else None

    def _vifs(self) -> Mapping[str, Any]:
        return vif_documents(self._follower.world.snapshot, self._ticker.decisions)

    def _status(self) -> Mapping[str, Any]:
        decisions = self._ticker.decisions
        return {
            "switches": sorted(self._sessions),
            "chassis": sorted(self._keepers),
            "fault": self._follower.world.fault or (decisions.fault if decisions else None),
            "loop": {
                "interval_s": self._ticker.interval_s,
                "engaged": {direction: sorted(names) for direction, names in decisions.engaged.items()}
                if decisions
                else {},
            },
        }


def build(environ: Mapping[str, str]) -> Controller:
    """A controller for the state directory that WEIR_STATE_DIR names; WEIR_LOOP_INTERVAL_S is its pace (default 1)."""
    interval_s = float(environ.get("WEIR_LOOP_INTERVAL_S", "1"))
    return Controller(state_dir(environ.get("WEIR_STATE_DIR")), Settings(interval_s=interval_s))
