"""Host agent and controller of one chassis, played by a thread: they report on a real Weir DB what a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ovsdb.rows import Chassis, Snapshot, VifStatus, VirtualInterface
from ovsdb.weir_db import WeirDb
from tests.support.ovs_sandbox import wait_until

READY = VifStatus("ready", ofport=1)
Judge = Callable[[VirtualInterface], VifStatus]


class Host:
    """Agent and controller of one chassis: says of each VIF what `judge` says, and that all is in force."""

    def __init__(self, remote: str, name: str = "h1", judge: Judge = lambda vif: READY, flows: bool = True) -> None:
        self.judge, self.flows = judge, flows
        self.error: Callable[[Snapshot], str | None] = lambda seen: None
        self.uplinks: dict[str, int] = {}
        self._remote, self._name = remote, name
        self._stopped = threading.Event()

    def run(self) -> None:
        with WeirDb(self._remote) as db:
            db.connect(20)
            while not self._stopped.is_set():
                self._act(db, db.snapshot())
                db.wait(0.05)
                db.run()

    def stop(self) -> None:
        self._stopped.set()

    def _act(self, db: WeirDb, seen: Snapshot) -> None:
        mine = [vif for vif in seen.interfaces.values() if vif.chassis in (self._name, None)]
        statuses = {vif.name: replace(self.judge(vif), chassis=self._name) for vif in mine}
        row = Chassis(
            self._name, "br-weir", uplink_ports=self.uplinks, agent_cfg=seen.cfg, agent_error=self.error(seen)
        )
        db.report_chassis(row, statuses)
        if self.flows:
            db.report_flows(self._name, seen.cfg, None, True)


@contextmanager
def running(host: Host, db: WeirDb) -> Iterator[Host]:
    thread = threading.Thread(target=host.run)
    thread.start()
    try:
        wait_until(lambda: (db.wait(0.1), db.run(), host._name in db.snapshot().chassis)[2], "the host's first report")
        yield host
    finally:
        host.stop()
        thread.join(30)
