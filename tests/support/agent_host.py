"""The host agent as a real process beside a real Open vSwitch and Weir DB, for tests: rows in, interfaces out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from controller.host import namespace
from controller.host.agent import AgentConfig
from ovsdb.rows import Chassis, VirtualInterface
from ovsdb.weir_db import Command, PolicyText, WeirDb
from tests.support.ovs_sandbox import Daemon, PrivateOvs, wait_until

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0, subnets: [10.9.0.0/24, 'fd00:9::/64']}
  lab: {type: internal, subnets: [10.30.0.0/24]}
links:
  up0: {capacity: 100 mbit}
policies:
  acme:
    egress: {guarantee: 40 mbit}
    children:
      web: {egress: {guarantee: 10 mbit, limit: 20 mbit, weight: 3}, ingress: {limit: 30 mbit}}
      free: {unmatched: allow}
"""
AGENT = """
import json, logging, sys
from pathlib import Path
from controller.config import StateDir
from controller.host.agent import AgentConfig, run
logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
given = json.loads(sys.argv[1])
for name, value in given.pop("constants").items():
    module, _, constant = name.rpartition(".")
    setattr(sys.modules[module], constant, value)
paths = {"state": StateDir(Path(given.pop("state"))), "ovs_rundir": Path(given.pop("ovs_rundir"))}
sys.exit(run(AgentConfig(**given, **paths)))
"""


@dataclass
class Host:
    """A namespace with OVS and an agent, the Weir DB that drives it, and a session with that."""

    ovs: PrivateOvs
    config: AgentConfig
    db: WeirDb
    log: Path
    agents: list[Daemon] = field(default_factory=list)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for agent in self.agents:
            agent.stop()
        if kind is not None and self.log.exists():
            print(self.log.read_text())
        for name in namespace.names(f"{self.ovs.namespace}-"):
            namespace.remove(name)

    def start(
        self,
        config: AgentConfig | None = None,
        without: str | None = None,
        has_audits: bool = True,
        **constants: float,
    ) -> Daemon:
        """without: a capability, as in cap_chown. has_audits: of queues, else only what is told of them is looked at.
        constants: of controller.host.agent, in place of what they are."""
        config = config or self.config
        given = {name: getattr(config, name) for name in ("chassis", "bridge", "system", "interval_s")}
        given |= {"state": str(config.state.path), "ovs_rundir": str(self.ovs.rundir), "uplinks": dict(config.uplinks)}
        given["constants"] = {f"controller.host.agent.{name}": value for name, value in constants.items()}
        if not has_audits:
            given["constants"]["controller.host.trees.AUDIT_S"] = 1e6
        drop = ["setpriv", f"--bounding-set=-{without.removeprefix('cap_')}"] if without is not None else []
        argv = [*drop, sys.executable, "-c", AGENT, json.dumps(given)]
        self.agents.append(Daemon(argv, self.log, self.ovs.namespace))
        return self.agents[-1]

    def request(self, *create: VirtualInterface, delete: tuple[str, ...] = (), policy: str | None = None) -> int:
        """Writes desired state as a command does."""
        self.db.run()
        text = None if policy is None else PolicyText({"p.yaml": policy}, "test", 0.0)
        numbers = {("node", "acme"): 1, ("node", "acme/web"): 2, ("node", "acme/free"): 3}
        command = Command(create=create, delete=delete, policy=text, numbers=numbers)
        return self.db.execute(command, self.db.snapshot(), "test")

    def vif(self, name: str) -> VirtualInterface | None:
        self.db.run()
        return self.db.snapshot().interfaces.get(name)

    def chassis(self) -> Chassis:
        self.db.run()
        return self.db.snapshot().chassis.get("h1", Chassis("h1", ""))

    def await_state(self, name: str, state: str) -> VirtualInterface:
        def reached() -> VirtualInterface | None:
            vif = self.vif(name)
            return vif if vif is not None and vif.state == state else None

        try:
            return wait_until(reached, f"{name} {state}")
        except AssertionError as fault:
            raise AssertionError(f"{fault}; it is {self.vif(name)}; chassis: {self.chassis()}") from fault

    def await_tried(self, cfg: int) -> Chassis:
        return wait_until(lambda: (row := self.chassis()).agent_cfg >= cfg and row, f"agent_cfg {cfg}")

    def await_error(self, name: str, pattern: str) -> str:
        def reached() -> str | None:
            error = (self.vif(name) or vif(name, 0)).error or ""
            return error if re.search(pattern, error) else None

        return wait_until(reached, f"{name}: error {pattern}")

    def links(self) -> list[str]:
        return [link["ifname"] for link in json.loads(self.ovs.run("ip", "-j", "link")) if link["ifname"][:2] == "wv"]

    def qdisc(self, device: str) -> str:
        return self.ovs.run("tc", "qdisc", "show", "dev", device)


def inside(name: str | None, *argv: str) -> str:
    enter = [] if name is None else ["ip", "netns", "exec", name]
    return subprocess.run([*enter, *argv], check=True, capture_output=True, text=True).stdout


def vif(name: str, number: int, **changes: Any) -> VirtualInterface:
    fields: dict[str, Any] = {
        "policy": "acme/web", "segment": "office", "kind": "veth", "mac": f"02:00:00:00:00:{number:02x}",
        "addresses": (f"10.9.0.{number}/24", f"fd00:9::{number:x}/64"), "chassis": "h1",
    }  # fmt: skip
    return VirtualInterface(name=name, number=number, **{**fields, **changes})
