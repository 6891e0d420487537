"""A Weir DB in memory, whose host does at once what is asked of it; and somebody else, who comes in between."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from ovsdb.rows import Snapshot
from ovsdb.weir_db import Command, WeirDb


class PlayedDb(WeirDb):
    """failing: names of VIFs that their host cannot make so long as they have the binding that it cannot find.

    meanwhile: called once each, the first after the first command is written, and so on, before it is in force.
    """

    def __init__(self, snapshot: Snapshot, failing: Collection[str] = ()) -> None:
        self._now = snapshot
        self._failing = failing
        self.meanwhile: list[Callable[[], None]] = []

    @property
    def connected(self) -> bool:
        return True

    def run(self) -> bool:
        return True

    def wait(self, timeout_s: float) -> None:
        raise AssertionError(f"nothing more happens: {self._now}")

    def snapshot(self) -> Snapshot:
        return self._now

    def execute(self, command: Command, base: Snapshot, comment: str) -> int:
        if command.is_empty:
            return base.cfg
        self.write(command)
        cfg = self._now.cfg
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self._host_acts()
        return cfg

    def write(self, command: Command) -> None:
        now = self._now
        cfg, vifs = now.cfg + 1, dict(now.interfaces)
        vifs.update({vif.name: replace(vif, cfg=cfg) for vif in (*command.create, *command.change)})
        vifs = {name: vif for name, vif in vifs.items() if name not in command.delete}
        self._now = replace(now, cfg=cfg, interfaces=vifs)
        if command.policy is not None:
            files, version = dict(command.policy.files), now.policy_version + 1
            self._now = replace(self._now, files=files, policy_version=version, numbers=command.numbers or {})

    def _host_acts(self) -> None:
        now, vifs = self._now, {}
        for name, vif in now.interfaces.items():
            fails = name in self._failing and "netns" in vif.binding
            state, error = ("error", "there is no such namespace.") if fails else ("ready", None)
            vifs[name] = replace(vif, state=state, error=error)
        hosts = {
            name: replace(host, connected=True, agent_cfg=now.cfg, flow_cfg=now.cfg)
            for name, host in now.chassis.items()
        }
        self._now = replace(now, interfaces=vifs, chassis=hosts)
