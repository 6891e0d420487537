"""The real controller beside a real Weir DB and a private Open vSwitch; the test plays the host agent.

with controlled() as site:
    site.start()
    site.apply(POLICY, ...)
    site.report(vif statuses)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from controller.api import client
from controller.config import StateDir, System
from controller.system import programs
from ovsdb.rows import Chassis, Snapshot, VifStatus, VirtualInterface
from ovsdb.weir_db import Command, PolicyText, WeirDb
from policies.parser import parse
from policies.resolve import resolve
from tests.support.ovs_sandbox import Daemon, PrivateOvs, WeirDbServer, wait_until

BRIDGE, CHASSIS, DATAPATH = "br0", "h1", "00000000000000aa"
_DURATION = re.compile(r"duration=([\d.]+)s, ")
_STATISTICS = re.compile(r"n_packets=\d+, n_bytes=\d+, |(idle|hard)_age=\d+, |reset_counts ")


@dataclass
class Site:
    """A namespace with a bridge, a Weir DB and at times a controller."""

    ovs: PrivateOvs
    state: StateDir
    server: WeirDbServer
    db: WeirDb
    controllers: list[Daemon] = field(default_factory=list)

    @property
    def system(self) -> System:
        return System(CHASSIS, namespace=self.ovs.namespace, ovs_rundir=str(self.ovs.rundir))

    def start(self, interval_s: float = 1.0) -> Daemon:
        """As `weir up` starts it."""
        system = replace(self.system, loop_interval_s=interval_s)
        program = next(one for one in programs.of_system(system, self.state) if one.name == programs.CONTROLLER)
        environment = {**program.environment, "WEIR_STATE_DIR": str(self.state.path)}
        daemon = Daemon(list(program.argv), self.state.path / "controller.log", env=environment)
        self.controllers.append(daemon)
        return daemon

    def log(self) -> str:
        path = self.state.path / "controller.log"
        return path.read_text() if path.exists() else ""

    def add_bridge(self) -> None:
        target = programs.openflow_target(self.system, self.state)
        settings = ["fail_mode=secure", "protocols=OpenFlow13", f"other-config:datapath-id={DATAPATH}"]
        self.ovs.vsctl(
            *("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=dummy", *settings),
            *("other-config:disable-in-band=true", "--", "set-controller", BRIDGE, target),
            *("--", "set", "controller", BRIDGE, "max_backoff=1000"),
        )

    def request(self, *create: VirtualInterface, delete: tuple[str, ...] = (), policy: str | None = None) -> int:
        """Writes desired state as a command does; what a policy names is numbered from 1."""
        self.db.run()
        if policy is None:
            command = Command(create=create, delete=delete)
        else:
            text = PolicyText({"p.yaml": policy}, "test", 0.0)
            command = Command(create=create, delete=delete, policy=text, numbers=numbers_of(policy))
        return self.db.execute(command, self.db.snapshot(), "test")

    def report(self, vifs: Iterable[VirtualInterface] = (), uplinks: Mapping[str, int] | None = None) -> int:
        """Says what an agent would: these VIFs are ready (their number is their port), and all is done up to now."""
        self.db.run()
        cfg = self.db.snapshot().cfg
        row = Chassis(CHASSIS, BRIDGE, DATAPATH, uplink_ports=uplinks or {}, agent_cfg=cfg)
        self.db.report_chassis(row, {vif.name: VifStatus("ready", ofport=vif.number) for vif in vifs})
        return cfg

    def look(self) -> Snapshot:
        self.db.run()
        return self.db.snapshot()

    def chassis(self) -> Chassis:
        return self.look().chassis.get(CHASSIS, Chassis(CHASSIS, ""))

    def await_flows(self, cfg: int, deadline_s: float = 20.0) -> Chassis:
        """Returns when the controller says that change `cfg` is in the switch."""
        try:
            return wait_until(
                lambda: (row := self.chassis()).connected and row.flow_cfg >= cfg and not row.flow_error and row,
                f"flow_cfg {cfg}",
                deadline_s,
            )
        except AssertionError as fault:
            raise AssertionError(f"{fault}; chassis: {self.chassis()}\n{self.log()[-5000:]}") from fault

    def await_error(self, pattern: str) -> str:
        def said() -> str | None:
            error = self.chassis().flow_error or ""
            return error if re.search(pattern, error) else None

        return wait_until(said, f"flow_error {pattern}")

    def flows(self) -> dict[str, float]:
        """Flow entries as `ovs-ofctl` prints them without statistics -> their age in seconds."""
        found = {}
        for line in self.ovs.ofctl("dump-flows", BRIDGE).splitlines():
            age = _DURATION.search(line)
            if age:
                found[_STATISTICS.sub("", _DURATION.sub("", line)).strip()] = float(age[1])
        return found

    def meters(self) -> str:
        """Sorted: the switch's own order says nothing."""
        _, *meters = self.ovs.ofctl("dump-meters", BRIDGE).split("meter=")
        return "".join(sorted(f"meter={meter.rstrip()}\n" for meter in meters))

    def status(self) -> Mapping[str, object]:
        return client.get(self.state.api_socket, "/v1/status")


@contextmanager
def controlled() -> Iterator[Site]:
    with PrivateOvs(dummy=True) as ovs:
        state = StateDir(ovs.rundir / "s")
        state.run.mkdir(parents=True)
        with WeirDbServer(state.run) as server, WeirDb(server.remote) as db:
            db.connect()
            site = Site(ovs, state, server, db)
            try:
                yield site
            except BaseException:
                print(site.log()[-20000:])
                raise
            finally:
                for daemon in site.controllers:
                    daemon.stop(kill=True)


def numbers_of(policy: str) -> dict[tuple[str, str], int]:
    policies = parse({"p.yaml": policy})
    rules = {rule.identity: None for path in policies.nodes for rule in resolve(policies, path).rules}
    named = {"segment": policies.segments, "node": policies.nodes, "rule": rules}
    return {(kind, key): number for kind, keys in named.items() for number, key in enumerate(keys, start=1)}


def capabilities(pid: int) -> dict[str, int]:
    """CapEff and so on -> bits."""
    with open(f"/proc/{pid}/status") as lines:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in lines if line.startswith("Cap"))
    return {name: int(bits, 16) for name, bits in fields.items()}


def mode(path: str | os.PathLike[str]) -> int:
    return os.stat(path).st_mode & 0o777
