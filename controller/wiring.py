"""Builds the controller: the one place where the rooms meet."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eventlet.greenthread import GreenThread

from controller.allocation import samples as counted
from controller.allocation.settings import Settings
from controller.api import server as api
from controller.clock import monotonic_s, wall_s
from controller.config import ConfigError, StateDir, state_dir
from controller.dataplane.entries import NOTHING, MeterBody, SwitchState
from controller.dataplane.meter_ids import RULE_METERS
from controller.dataplane.stages import Failure, Stages
from controller.openflow.errors import SessionError
from controller.openflow.packets import describe
from controller.openflow.punts import Punt
from controller.openflow.replies import answer_to
from controller.openflow.session import SwitchSession
from controller.openflow.stats import read_counters, read_meters, read_rule_counters
from controller.openflow.target import SwitchTarget
from controller.runtime.copies import Copies, Reading
from controller.runtime.figures import vif_documents
from controller.runtime.follower import Follower
from controller.runtime.keeper import Duty
from controller.runtime.records import RECORDS, Records
from controller.runtime.roster import Roster
from controller.runtime.rule_counters import RuleCounters
from controller.runtime.sampling import SwitchSample
from controller.runtime.switch import Hits, Switch, SwitchGone
from controller.runtime.ticker import Ticker
from controller.runtime.vital import Vital
from controller.stream.messages import Rates
from controller.stream.server import StreamServer
from ovsdb.weir_db import WeirDb

LOOP_INTERVAL = "WEIR_LOOP_INTERVAL_S"

log = logging.getLogger("weir.controller")


class ConnectedSwitch:
    """A session as keeper and loop see it: a runtime Switch."""

    def __init__(self, session: SwitchSession) -> None:
        self._session, self._target = session, SwitchTarget(session)

    @property
    def datapath_id(self) -> str:
        return self._session.datapath_id

    def read(self, wanted: SwitchState = NOTHING) -> SwitchState:
        with _answered():
            return self._target.read(wanted)

    def look(self, stages: Stages) -> SwitchState:
        with _answered():
            return self._target.look(stages)

    def apply(self, stages: Stages) -> Sequence[Failure]:
        with _answered():
            return self._target.apply(stages)

    def modify_meters(self, meters: Mapping[int, MeterBody]) -> Sequence[Failure]:
        with _answered():
            return self._target.modify_meters(meters)

    def rule_hits(self) -> Mapping[tuple[int, int], Hits]:
        with _answered():
            counters = read_rule_counters(self._session)
        return {key: Hits(hits.packets, hits.bytes) for key, hits in counters.items()}

    def rule_cuts(self) -> Mapping[int, int]:
        with _answered():
            meters = read_meters(self._session, RULE_METERS)
        return {number: meter.bytes_dropped for number, meter in meters.items()}

    def packet_out(self, port: int, frame: bytes) -> None:
        with _answered():
            self._session.packet_out(port, frame)

    def sample(self) -> SwitchSample:
        time_s = monotonic_s()
        with _answered():
            counters = read_counters(self._session)
        meters = {
            number: counted.MeterCounters(meter.bytes_in, meter.bytes_dropped)
            for number, meter in counters.meters.items()
        }
        ports = {number: counted.PortCounters(port.rx_bytes, port.tx_bytes) for number, port in counters.ports.items()}
        return SwitchSample(time_s, meters, ports)


@contextmanager
def _answered() -> Iterator[None]:
    try:
        yield
    except SessionError as fault:
        raise SwitchGone(str(fault)) from fault


class Controller:
    """Everything that runs in the controller process. Its green threads share one world, read from the Weir DB."""

    def __init__(self, directory: StateDir, settings: Settings) -> None:
        self._directory = directory
        self._vital = Vital(_give_up)
        database = WeirDb(f"unix:{directory.weir_db_socket}")
        self._follower = Follower(database, lambda: self._roster.changed(), wall_s)
        self._ticker = Ticker(lambda: self._follower.world, self, settings, monotonic_s)
        self._stream = StreamServer(directory.stream_socket, self._ticker.host_sample)
        duty = Duty(
            world=lambda: self._follower.world,
            enforced_kbps=lambda: self._ticker.enforced_egress_kbps,
            report=self._follower.report,
            clock=monotonic_s,
        )
        self._roster = Roster(duty, self._vital)
        self._rules = RuleCounters(
            lambda: self.switches, lambda: self._follower.world, wall_s, self._roster.rule_meters
        )
        self._records = Records(directory.log / RECORDS)
        self._copies = Copies(lambda: self._follower.world, Reading(describe, answer_to), self._records.write, wall_s)
        self._threads: list[GreenThread] = []

    def start(self) -> None:
        documents = api.Api(
            {
                "/v1/vifs": self._vifs,
                "/v1/status": self._status,
                "/v1/rules": self._rule_counters,
                "/v1/log": lambda: {"records": list(self._copies.records)},
            }
        )
        self._threads = [
            self._vital.spawn("session with the Weir DB", self._follower.run),
            self._vital.spawn("stream to the agents", self._stream.serve),
            self._vital.spawn("API", api.serve, self._directory.api_socket, documents),
            self._vital.spawn("loop", self._ticker.run),
            self._vital.spawn("counters of rules", self._rules.run),
        ]

    def stop(self) -> None:
        for thread in self._threads:
            thread.kill()
        self._roster.stop()

    def switch_up(self, session: SwitchSession) -> None:
        self._roster.switch_up(ConnectedSwitch(session))

    def switch_down(self, datapath_id: str) -> None:
        self._roster.switch_down(datapath_id)

    def punted(self, punt: Punt) -> None:
        for chassis, switch in self.switches.items():
            if switch.datapath_id == punt.datapath_id:
                self._copies.take(punt, chassis, switch)

    @property
    def switches(self) -> Mapping[str, Switch]:
        return self._roster.switches

    def send_rates(self, chassis: str, rates: Rates) -> None:
        self._stream.set_rates(chassis, rates)

    def egress_rates_changed(self, chassis: str) -> None:
        self._roster.poke(chassis)

    def _rule_counters(self) -> Mapping[str, Any]:
        self._rules.refresh()
        return self._rules.document()

    def _vifs(self) -> Mapping[str, Any]:
        return vif_documents(self._follower.world.snapshot, self._ticker.decisions)

    def _status(self) -> Mapping[str, Any]:
        decisions = self._ticker.decisions
        engaged = decisions.engaged.items() if decisions else ()
        return {
            "switches": self._roster.connected,
            "chassis": sorted(self._roster.switches),
            "fault": self._follower.world.fault or (decisions.fault if decisions else None),
            "copies": {"passed_over": self._copies.passed_over, "records_lost": self._records.lost},
            "loop": {
                "interval_s": self._ticker.interval_s,
                "ticks": self._ticker.ticks,
                "engaged": {direction: sorted(names) for direction, names in engaged},
            },
        }


def build(environ: Mapping[str, str]) -> Controller:
    """A controller for the state directory that WEIR_STATE_DIR names; WEIR_LOOP_INTERVAL_S is its pace (default 1).

    Raises ConfigError.
    """
    return Controller(state_dir(environ.get("WEIR_STATE_DIR")), Settings(interval_s=_interval_s(environ)))


def _interval_s(environ: Mapping[str, str]) -> float:
    text = environ.get(LOOP_INTERVAL, "1")
    try:
        interval_s = float(text)
    except ValueError:
        interval_s = math.nan
    if not 0.05 <= interval_s <= 3600:
        raise ConfigError(f"{LOOP_INTERVAL}={text!r} is no pace for the loop. Give seconds, from 0.05 to 3600.")
    return interval_s


def _give_up(reason: str) -> None:
    """At once, as everything here may die at any time; whoever started the process starts it again."""
    log.critical("the controller ends, as it cannot do its work: %s", reason)
    logging.shutdown()
    os._exit(1)
