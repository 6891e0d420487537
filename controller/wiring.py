"""Builds the controller: the one place where the rooms meet."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from eventlet.greenthread import GreenThread

from controller.allocation.settings import Settings
from controller.api import server as api
from controller.clock import monotonic_s, wall_s
from controller.config import ConfigError, StateDir, state_dir
from controller.connected_switch import ConnectedSwitch
from controller.openflow.packets import describe
from controller.openflow.punts import Punt
from controller.openflow.session import SwitchSession
from controller.runtime import metrics
from controller.runtime.autoscaling import Autoscaling
from controller.runtime.clocks import Clocks
from controller.runtime.copies import Copies, Reading
from controller.runtime.drift import Drifted, repairs
from controller.runtime.events import Events
from controller.runtime.figures import vif_documents
from controller.runtime.follower import Follower
from controller.runtime.history import Unknown
from controller.runtime.keeper import Duty
from controller.runtime.objectives import GivingWay
from controller.runtime.paths import Paths
from controller.runtime.queue_figures import QueueFigures
from controller.runtime.records import RECORDS, Records
from controller.runtime.roster import Roster
from controller.runtime.rule_counters import RuleCounters
from controller.runtime.seen import Seen
from controller.runtime.services import Services
from controller.runtime.switch import Switch
from controller.runtime.ticker import Around, Ticker
from controller.runtime.vital import Vital
from controller.services.questions import is_question
from controller.services.rejects import answer_to
from controller.stream.messages import HostSample, Rates
from controller.stream.server import StreamServer
from ovsdb.weir_db import WeirDb

LOOP_INTERVAL = "WEIR_LOOP_INTERVAL_S"

log = logging.getLogger("weir.controller")


class Controller:
    """Everything that runs in the controller process. Its green threads share one world, read from the Weir DB."""

    def __init__(self, directory: StateDir, settings: Settings) -> None:
        self._directory = directory
        self._vital = Vital(_give_up)
        database = WeirDb(f"unix:{directory.weir_db_socket}")
        self._follower = Follower(database, self._world_changed, wall_s)
        clocks = Clocks(monotonic_s, wall_s)
        self._seen = Seen(settings.interval_s, lambda: self._follower.world.snapshot.interfaces)
        self._paths = Paths(lambda: self._follower.world)
        self._queues = QueueFigures(monotonic_s, lambda: self._ticker.interval_s)
        autoscaling = Autoscaling(self._follower.report_scaled, settings)
        self._objectives = GivingWay(self._queues.classes)
        around = Around(
            self._paths.figures, [autoscaling], self._objectives, self._seen.remember, lambda: self._stream.cpu_s
        )
        self._ticker = Ticker(lambda: self._follower.world, self, settings, clocks, around)
        self._events = Events(lambda: self._follower.world, wall_s)
        self._stream = StreamServer(directory.stream_socket, self._sampled, self._events.take)
        duty = Duty(
            world=lambda: self._follower.world,
            enforced_kbps=lambda: self._ticker.enforced_egress_kbps,
            report=self._follower.report,
            clock=monotonic_s,
            repaired=self._repaired,
        )
        self._roster = Roster(duty, self._vital)
        self._rules = RuleCounters(
            lambda: self.switches, lambda: self._follower.world, wall_s, self._roster.rule_meters
        )
        self._records = Records(directory.log / RECORDS)
        self._copies = Copies(lambda: self._follower.world, Reading(describe, answer_to), self._records.write, wall_s)
        self._services = Services(
            lambda: self._follower.world,
            lambda: self.switches,
            self._follower.report_learned,
            clocks,
        )
        self._threads: list[GreenThread] = []

    def start(self) -> None:
        documents = api.Api(
            {
                "/v1/vifs": self._vifs,
                "/v1/status": self._status,
                "/v1/objectives": self._objectives.document,
                "/v1/rules": self._rule_counters,
                "/v1/events": self._events.document,
                "/v1/log": lambda: {"records": list(self._copies.records)},
            },
            questions={"/v1/loop/history": _of_vif(self._seen.history), "/v1/loop/series": _of_vif(self._seen.series)},
            texts={"/metrics": self._metrics},
        )
        self._threads = [
            self._vital.spawn("session with the Weir DB", self._follower.run),
            self._vital.spawn("stream to the agents", self._stream.serve),
            self._vital.spawn("API", api.serve, self._directory.api_socket, documents),
            self._vital.spawn("loop", self._ticker.run),
            self._vital.spawn("counters of rules", self._rules.run),
            self._vital.spawn("services", self._services.run),
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
                take = self._services.take if is_question(punt.cookie) else self._copies.take
                take(punt, chassis, switch)

    @property
    def switches(self) -> Mapping[str, Switch]:
        return self._roster.switches

    def send_rates(self, chassis: str, rates: Rates) -> None:
        self._stream.set_rates(chassis, rates)

    def egress_rates_changed(self, chassis: str) -> None:
        self._roster.poke(chassis)

    def _world_changed(self) -> None:
        snapshot = self._follower.world.snapshot
        chassis = snapshot.chassis.keys()
        self._queues.keep(chassis, {vif.number for vif in snapshot.interfaces.values()})
        self._stream.keep(chassis)
        self._roster.changed()

    def _sampled(self, sample: HostSample) -> None:
        self._ticker.host_sample(sample)
        self._paths.take(sample, monotonic_s())
        self._queues.take(sample)

    def _repaired(self, chassis: str, found: Drifted) -> None:
        self._events.add(chassis, repairs(found, self._follower.world, wall_s()))

    def _rule_counters(self) -> Mapping[str, Any]:
        self._rules.refresh()
        return self._rules.document()

    def _vifs(self) -> Mapping[str, Any]:
        last = self._seen.last
        paths = last.paths if last else {}
        found = vif_documents(self._follower.world.snapshot, self._ticker.decisions, paths)
        return self._queues.shown_in(self._objectives.shown_in(found), last)

    def _metrics(self) -> str:
        around = metrics.Around(
            drift=self._events.summary()["counts"],
            connected=sorted(self._roster.switches),
            interval_s=self._ticker.interval_s,
            cpu_share=self._ticker.cpu_share,
            classes=self._queues.classes,
            objectives=self._objectives.totals(),
            is_told=self._queues.is_told,
        )
        return self._seen.metrics(around)

    def _status(self) -> Mapping[str, Any]:
        decisions = self._ticker.decisions
        engaged = decisions.engaged.items() if decisions else ()
        return {
            "switches": self._roster.connected,
            # of whom the Weir DB says no more what an earlier controller had said
            "chassis": sorted(self._roster.switches.keys() - self._follower.unwritten),
            "fault": self._follower.world.fault or self._ticker.fault,
            "copies": {"passed_over": self._copies.passed_over, "records_lost": self._records.lost},
            "services": dict(self._services.counts),
            "drift": self._events.summary(),
            "objectives": list(self._objectives.lines),
            "loop": {
                "interval_s": self._ticker.interval_s,
                "cpu_share": self._ticker.cpu_share,
                "ticks": self._ticker.ticks,
                "engaged": {direction: sorted(names) for direction, names in engaged},
            },
        }


def _of_vif(answer: Callable[[str | None, float | None], Mapping[str, Any]]) -> api.Question:
    """A question about one VIF, or all, and the last `since` seconds."""

    def asked(parameters: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return answer(parameters.get("vif"), api.seconds(parameters, "since"))
        except Unknown as fault:
            raise api.NotThere(str(fault)) from fault

    return api.Question(frozenset({"vif", "since"}), asked)


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
