"""The controller's one session with the Weir DB: follows desired state, writes what others report."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

import eventlet
from eventlet import tpool

from controller.world.desired import World, read_world
from controller.world.identities import next_expiry_s
from ovsdb.poller import Poller
from ovsdb.session import DatabaseError
from ovsdb.weir_db import WeirDb

RETRY_S = 1.0
REST_S = 5.0  # looks at least so often

log = logging.getLogger("weir.database")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """How far the flows of a chassis are: the columns of ovsdb.rows.Chassis that the controller writes."""

    flow_cfg: int | None  # None: as it was
    flow_error: str | None
    connected: bool


class Follower:
    """A session belongs to one thread: others leave what they report here, and `run` writes it.

    on_change: called when `world` is a new one, and again if it raises. wall_clock: seconds since 1970, by which users'
    bindings expire.
    """

    def __init__(self, db: WeirDb, on_change: Callable[[], None], wall_clock: Callable[[], float]) -> None:
        self._db, self._on_change, self._wall_clock = db, on_change, wall_clock
        self._reports: dict[str, FlowStatus] = {}
        self._learned: dict[str, tuple[str, ...]] = {}
        self._scaled: dict[str, Mapping[str, int]] = {}
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):  # a pipe would not do: eventlet waits before it writes to one
            end.setblocking(False)
        self.world = World()
        self._expiry_s: float | None = None  # when the world changes by itself
        self._told: World | None = None  # the last world that on_change has taken in

    def report(self, chassis: str, status: FlowStatus) -> None:
        self._reports[chassis] = status
        self._wake()

    @property
    def unwritten(self) -> Collection[str]:
        """The chassis of which something was reported that is not in the Weir DB yet."""
        return self._reports.keys()

    def report_learned(self, learned: Mapping[str, tuple[str, ...]]) -> None:
        """By VIF name, the addresses with prefix length that it has from outside."""
        self._learned.update(learned)
        self._wake()

    def report_scaled(self, scaled: Mapping[str, Mapping[str, int]]) -> None:
        """By VIF name, the whole of what the loop has moved."""
        self._scaled.update(scaled)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it will wake anyway
            self._wake_write.send(b".")

    def run(self) -> None:
        """For ever, in a green thread of its own; the replica reconnects by itself, and nothing reported is lost."""
        while True:
            try:
                self._turn()
            except DatabaseError as fault:
                log.warning("%s", fault)
                eventlet.sleep(RETRY_S)
            except Exception:
                log.exception("the Weir DB cannot be followed")
                eventlet.sleep(RETRY_S)

    def _turn(self) -> None:
        self._db.run()
        if self._db.has_data:
            self._follow()
        self._write_reports()
        poller = Poller()
        self._db.register(poller)
        poller.fd_wait(self._wake_read)
        # eventlet's select switches to its green thread once for each descriptor that is ready, so one of its own
        if self._wake_read.fileno() in eventlet.spawn(poller.block, self._rest_s()).wait():
            self._wake_read.recv(4096)

    def _rest_s(self) -> float:
        return REST_S if self._expiry_s is None else min(REST_S, max(0.0, self._expiry_s - self._wall_clock()))

    def _follow(self) -> None:
        snapshot = self._db.snapshot()  # the same object while nothing changes
        now_s = self._wall_clock()
        if snapshot is not self.world.snapshot or (self._expiry_s is not None and now_s >= self._expiry_s):
            # in a native thread: to read ten thousand rules takes a second, in which the loop must tick
            self.world = tpool.execute(read_world, snapshot, self.world, now_s)
            self._expiry_s = next_expiry_s(snapshot.bindings, now_s)
        if self.world is not self._told:
            world = self.world
            self._on_change()
            self._told = world

    def _write_reports(self) -> None:
        self._write_all(self._learned, self._db.report_learned)
        self._write_all(self._scaled, self._db.report_scaled)
        while self._db.connected and self._reports:
            chassis = next(iter(self._reports))
            status = self._reports[chassis]
            try:
                self._write(chassis, status)
            except BaseException:
                self._reports[chassis] = self._reports.pop(chassis)  # behind the others
                raise
            if self._reports[chassis] is status:  # else a later one of the same chassis came meanwhile
                del self._reports[chassis]

    def _write_all(self, left: dict[str, T], write: Callable[[Mapping[str, T]], object]) -> None:
        """What cannot be written stays, but for what is newer by then."""
        if not (self._db.connected and left):
            return
        now = dict(left)
        left.clear()
        try:
            write(now)
        except BaseException:
            left.update({**now, **left})
            raise

    def _write(self, chassis: str, status: FlowStatus) -> None:
        flow_cfg = status.flow_cfg
        if flow_cfg is None:
            row = self._db.snapshot().chassis.get(chassis)
            flow_cfg = row.flow_cfg if row is not None else 0
        self._db.report_flows(chassis, flow_cfg, status.flow_error, status.connected)
