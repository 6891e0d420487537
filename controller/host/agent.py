"""The host agent: one process a bridge, one thread, one wait for everything.

Killed at any moment it leaves a host that the next one takes over as it is; only `teardown` takes things away.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from dataclasses import replace
from types import FrameType

from controller.host import privilege
from controller.host.converge import Convergence, Report
from controller.host.errors import HostError
from controller.host.latency.prober import Prober
from controller.host.latency.wire import Wire
from controller.host.link_table import LinkTable
from controller.host.making import Making
from controller.host.settings import AgentConfig
from controller.host.sole_agent import alone
from controller.host.trees import Trees
from controller.stream.client import StreamClient
from controller.stream.messages import HostSample, Repair
from ovsdb.open_vswitch import OpenVSwitch
from ovsdb.poller import POLLIN, POLLOUT, Poller
from ovsdb.rows import Chassis, Snapshot
from ovsdb.session import DatabaseError
from ovsdb.weir_db import WeirDb

__all__ = ["AgentConfig", "run", "teardown"]

PASS_S = 1.0  # a pass at least this often: it looks whether links and namespaces are still there
LINK_PAUSE_S = 0.2  # a pass so long after the kernel told of a change of a link: one for all that come together
RATES_OUTLIVE_CONTROLLER_S = 5.0  # then the policy's own limits hold again
_CONNECT_S = 5.0

log = logging.getLogger("weir.agent")


def run(config: AgentConfig) -> int:
    """Serves until SIGTERM or SIGINT, then returns 0 and leaves everything in place. Raises HostError, at the start."""
    prober = Prober(Wire(sees_all=not config.plain_frames))  # nothing later may open such a socket
    privilege.give_up()
    log.setLevel(logging.INFO)
    stop = _StopSignal()
    log.info("agent of %s on bridge %s", config.chassis, config.bridge)
    with alone(config), WeirDb(f"unix:{config.state.weir_db_socket}") as db:
        agent = Agent(config, db, OpenVSwitch(_ovs_remote(config)), prober)
        while not stop.came:
            agent.step(time.monotonic())
            agent.wait(stop.descriptor)
    log.info("agent of %s ends; everything stays in place", config.chassis)
    return 0


def teardown(config: AgentConfig) -> None:
    """Removes what agents of this chassis made: OVSDB rows, queues, links, namespaces.

    No agent may be running. An Open vSwitch that is gone has nothing left to remove. Raises HostError, DatabaseError.
    """
    devices = set(config.uplinks.values())
    switch = OpenVSwitch(_ovs_remote(config))
    with alone(config), LinkTable() as links, Trees(links) as trees:
        try:
            switch.connect(_CONNECT_S)
            devices |= switch.ports(config.bridge).keys()
            trees.remove_own(devices)
            switch.await_applied(switch.remove(config.bridge, config.owner), _CONNECT_S)
        except DatabaseError as fault:
            log.warning("rows of Open vSwitch are left as they are: %s", fault)
            trees.remove_own(devices)
        finally:
            switch.close()
        Making(config, links).remove_all()


class Agent:
    """What one step does, and until when there is nothing to do. Times are of the monotonic clock."""

    def __init__(self, config: AgentConfig, db: WeirDb, switch: OpenVSwitch, prober: Prober) -> None:
        self._config, self._db, self._switch, self._prober = config, db, switch, prober
        self._stream = StreamClient(config.state.stream_socket, config.chassis)
        self._links = LinkTable()
        self._convergence = Convergence(config, switch, self._links, self._repaired)
        self._pass_due_s = self._sample_due_s = 0.0
        self._reported: tuple[Report, int] | None = None  # and what the Weir DB's generation was after it
        self._told, self._noted = "", False

    def step(self, now_s: float) -> None:
        changed = self._db.run()
        changed |= self._switch.run()
        rates = self._stream.rates(now_s, RATES_OUTLIVE_CONTROLLER_S)
        self._stream.run(now_s)
        changed |= rates != self._stream.rates(now_s, RATES_OUTLIVE_CONTROLLER_S)
        if self._links.changed():
            self._pass_due_s = min(self._pass_due_s, now_s + LINK_PAUSE_S)
        if self._convergence.queues.touched():
            self._pass_due_s = min(self._pass_due_s, now_s + LINK_PAUSE_S)
        changed |= self._convergence.instances.ended()
        if changed or now_s >= self._pass_due_s:
            self._pass_due_s = now_s + PASS_S
            self._pass(now_s)
        self._prober.hear(now_s)
        self._prober.step(now_s)
        if now_s >= self._sample_due_s:
            self._sample_due_s = max(self._sample_due_s, now_s - self._config.interval_s) + self._config.interval_s
            self._sample()

    def wait(self, stop: int) -> None:
        """Until something arrives, is due, or `stop` is readable."""
        poller = Poller()
        poller.fd_wait(stop, POLLIN)
        self._db.register(poller)
        self._switch.register(poller)
        told = self._links.descriptor, self._convergence.queues.descriptor
        for descriptor in (*told, *self._convergence.instances.descriptors):
            poller.fd_wait(descriptor, POLLIN)
        if self._stream.descriptor is not None:
            poller.fd_wait(self._stream.descriptor, POLLIN | POLLOUT if self._stream.has_unsent else POLLIN)
        for due_s in (self._pass_due_s, self._sample_due_s, self._prober.due_s, self._stream.due_s):
            if due_s is not None:
                poller.timer_wait_until(due_s * 1000)
        poller.block()

    def _pass(self, now_s: float) -> None:
        """Nothing is touched before both databases were read whole: what is not known is not unwanted."""
        if not self._db.has_data or not self._switch.has_data:
            self._tell("waiting for the Weir DB" if not self._db.has_data else "waiting for Open vSwitch's database")
            return
        report = self._outcome(self._db.snapshot(), now_s)
        self._tell(report.chassis.agent_error or "in order")
        self._note(report.chassis.agent_note)
        if self._db.connected and self._reported != (report, self._db.generation):
            try:
                self._db.report_chassis(report.chassis, report.vifs)
                self._reported = report, self._db.generation
            except DatabaseError as fault:
                self._tell(f"not reported: {fault}")

    def _outcome(self, snapshot: Snapshot, now_s: float) -> Report:
        before = snapshot.chassis.get(self._config.chassis, Chassis(self._config.chassis, self._config.bridge))
        if not self._switch.connected:
            error = f"{self._switch.remote} does not answer. See whether Open vSwitch's ovsdb-server runs."
            return Report(replace(before, agent_error=error), {})
        try:
            rates = self._stream.rates(now_s, RATES_OUTLIVE_CONTROLLER_S)
            report = self._convergence.converge(snapshot, rates, now_s)
            self._prober.aim(self._convergence.probed(snapshot), now_s)
            return report
        except HostError as fault:
            error = str(fault)
        except Exception as fault:  # the host keeps working as it is, and the next pass may succeed
            error = f"{type(fault).__name__}: {fault}. This is a fault of Weir; see the agent's log."
            if error != self._told:
                log.exception("a pass failed")
        return Report(replace(before, agent_error=error), {})

    def _sample(self) -> None:
        if self._stream.descriptor is None:
            self._prober.samples(time.monotonic())  # of no use later
        if self._stream.descriptor is not None and not self._stream.has_unsent:
            vifs = self._convergence.sample(time.monotonic())
            now_s = time.monotonic()
            probes, still = self._prober.samples(now_s), self._convergence.queues.still
            self._stream.send(HostSample(self._config.chassis, now_s, vifs, probes, still=still), now_s)

    def _repaired(self, repair: Repair) -> None:
        log.warning("%s: %s: %s: %s", self._config.chassis, repair.what, repair.differed, repair.done)
        self._stream.repaired(repair)

    def _tell(self, text: str) -> None:
        """Logs what differs from the last time."""
        if text != self._told:
            log.info("%s: %s", self._config.chassis, text)
            self._told = text

    def _note(self, note: str | None) -> None:
        """Logged once, though its figures change with every VIF."""
        if note is not None and not self._noted:
            log.warning("%s: %s", self._config.chassis, note)
        self._noted = note is not None


class _StopSignal:
    """SIGTERM and SIGINT as a descriptor to wait for: nothing is interrupted half-way."""

    def __init__(self) -> None:
        self.came = False
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    @property
    def descriptor(self) -> int:
        return self._reader.fileno()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True


def _ovs_remote(config: AgentConfig) -> str:
    return f"unix:{config.ovs_rundir / 'db.sock'}"
