"""The real controller beside a real Weir DB and a switch with many ports; the agent is played: it sends samples.

They say what queues have counted and, of a hundred VIFs each, what their probes did. One limit of a tenant is the
loop's to keep. There are no traffic classes, and no policy moves anything or has objectives.

Its processor time is what the kernel has counted for the whole process, in which audits and the counters of rules rest.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from controller.api import client
from controller.config import StateDir, System
from controller.dataplane.macs import vif_mac
from controller.intent.numbering import renumber
from controller.measure.counted import Counted
from controller.measure.sketch import sketch_of
from controller.stream.client import StreamClient
from controller.stream.messages import HostSample, PathSample, QueueTable
from controller.stream.queue_table import INGRESS, SHAPER, UPLINK
from controller.system import programs
from lab.children import LabError, wait_until
from lab.private_ovs import Daemon, PrivateOvs, start_ovsdb_server
from ovsdb.rows import Chassis, VifStatus, VirtualInterface
from ovsdb.weir_db import Command, PolicyText, WeirDb
from policies.model import NORMAL
from policies.parser import parse

BRIDGE, CHASSIS, DATAPATH = "br0", "h1", "00000000000000aa"
ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "ovsdb" / "weir.ovsschema"
TENANTS = 10
_UPLINK_PORT, _AT_ONCE = 60_000, 250
_DEADLINE_S = 120.0
_BYTES = 100_000  # that each VIF that is active sends, and receives, between two samples: 800 kbit/s
PROBED = 100  # VIFs a sample, of the probes of which it says something: as many as an agent asks in a second
HELD, HELD_KBPS = "t0", 6_000  # the tenant whose ingress limit the loop keeps as soon as ten of its VIFs are active


class SampledController:
    """VIFs are numbered from 1, and so are their ports."""

    def __init__(self, ovs: PrivateOvs, vifs: int) -> None:
        self._ovs, self._vifs = ovs, vifs
        self.state = StateDir(ovs.rundir / "s")
        self.state.run.mkdir(parents=True)
        self._server = start_ovsdb_server(self.state.run, "weir-db", SCHEMA)
        self._daemon: Daemon | None = None
        self._make_bridge()
        with WeirDb(f"unix:{self.state.weir_db_socket}") as db:
            db.connect()
            self._fill(db)

    def close(self) -> None:
        self.stop()
        self._server.stop()

    def start(self, interval_s: float) -> None:
        """Returns when the switch holds everything."""
        system = System(CHASSIS, namespace=self._ovs.namespace, ovs_rundir=str(self._ovs.rundir))
        system = replace(system, loop_interval_s=interval_s)
        program = next(one for one in programs.of_system(system, self.state) if one.name == programs.CONTROLLER)
        environment = {**program.environment, "WEIR_STATE_DIR": str(self.state.path), "PYTHONPATH": str(ROOT)}
        argv = [*program.argv[:-1], "lab.only_loop"]
        self._daemon = Daemon(argv, self.state.path / "controller.log", env=environment)
        wait_until(self._is_in_force, "everything in the switch", _DEADLINE_S)

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def own_share(self) -> float:
        """What the loop itself says that it takes of a core."""
        return float(client.get(self.state.api_socket, "/v1/status")["loop"]["cpu_share"])

    def by_hand(self) -> None:
        """Has the switch tell by its own tool what the loop reads."""
        for command in ("meter-stats", "dump-ports"):
            self._ovs.ofctl(command, BRIDGE)

    def processor_s(self) -> float:
        """Of the controller, since it was started."""
        assert self._daemon is not None
        self._daemon.check_alive()
        return processor_s(self._daemon.pid)

    def share(self, active: int, seconds: float) -> float:
        """Of a core, while an agent sends a sample each second in which so many VIFs have sent: none, or a hundred or
        more, whom the loop then holds below a limit. Raises LabError when it does not.
        """
        with _Agent(self.state.stream_socket, self._vifs, active) as agent:
            time.sleep(2)  # beginnings are not what is measured
            wait_until(lambda: agent.is_held == (active > 0), "the loop holds whom it should", _DEADLINE_S)
            begun_s, before_s = time.monotonic(), self.processor_s()
            time.sleep(seconds)
            share = (self.processor_s() - before_s) / (time.monotonic() - begun_s)
            if active and not agent.is_held:
                raise LabError(f"{active} VIFs send, and the loop holds nobody below {HELD}'s limit")
            return share

    def _is_in_force(self) -> bool:
        assert self._daemon is not None
        self._daemon.check_alive()
        with WeirDb(f"unix:{self.state.weir_db_socket}") as db:
            db.connect()
            snapshot = db.snapshot()
            row = snapshot.chassis[CHASSIS]
            return row.connected and row.flow_cfg >= snapshot.cfg and not row.flow_error

    def _make_bridge(self) -> None:
        target = programs.openflow_target(
            System(CHASSIS, namespace=self._ovs.namespace, ovs_rundir=str(self._ovs.rundir)), self.state
        )
        self._ovs.vsctl(
            *("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=dummy", "fail_mode=secure"),
            *("protocols=OpenFlow13", f"other-config:datapath-id={DATAPATH}", "other-config:disable-in-band=true"),
            *("--", "set-controller", BRIDGE, target, "--", "set", "controller", BRIDGE, "max_backoff=1000"),
        )
        ports = [*range(1, self._vifs + 1), _UPLINK_PORT]
        for start in range(0, len(ports), _AT_ONCE):
            words: list[str] = []
            for port in ports[start : start + _AT_ONCE]:
                words += ["--", "add-port", BRIDGE, f"p{port}", "--", "set", "interface", f"p{port}", "type=dummy"]
                words.append(f"ofport_request={port}")
            self._ovs.vsctl(*words[1:])

    def _fill(self, db: WeirDb) -> None:
        text = policy_text()
        numbers, _ = renumber(parse({"p.yaml": text}), {}, {})
        vifs = [_vif(number) for number in range(1, self._vifs + 1)]
        policy = PolicyText({"p.yaml": text}, "lab", 0.0)
        cfg = db.execute(Command(create=tuple(vifs), policy=policy, numbers=numbers), db.snapshot(), "lab")
        row = Chassis(CHASSIS, BRIDGE, DATAPATH, uplink_ports={"core": _UPLINK_PORT}, agent_cfg=cfg)
        db.report_chassis(row, {vif.name: VifStatus("ready", ofport=vif.number) for vif in vifs})


class _Agent:
    """Sends samples from a thread, for use in a `with` block."""

    def __init__(self, path: Path, vifs: int, active: int) -> None:
        self._client = StreamClient(path, CHASSIS)
        self._vifs, self._active = vifs, active
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Agent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._client.close()

    @property
    def is_held(self) -> bool:
        """Whether the controller has told it to hold somebody."""
        return bool(self._client.rates(time.monotonic(), math.inf).ingress_kbps)

    def _run(self) -> None:
        keys = np.arange(1, self._vifs + 1, dtype=np.int64)
        value, turn = np.zeros((self._vifs, 4), dtype=np.uint64), 0
        while not self._ends.wait(1.0):
            value[: self._active] = counted(turn)
            table = QueueTable({block: Counted(keys, value.copy()) for block in (SHAPER, UPLINK, INGRESS)})
            now_s = time.monotonic()
            self._client.run(now_s)
            self._client.send(HostSample(CHASSIS, now_s, table, probed(turn, self._vifs)), now_s)
            self._client.run(now_s)
            turn += 1


def counted(turn: int) -> tuple[int, int, int, int]:
    """What each queue of a VIF that is active has counted until this turn."""
    return turn * _BYTES, turn * 100, 0, 0


def probed(turn: int, vifs: int) -> dict[int, dict[str, PathSample]]:
    """What the sample of this turn says of probes: one round of each of the next PROBED VIFs, not all of one time."""
    count = min(PROBED, vifs)
    numbers = [1 + (turn * count + at) % vifs for at in range(count)]
    return {
        number: {NORMAL: PathSample(1, 0, 0.1, sketch_of([0.2 + 0.001 * ((number + turn) % 50)]), every_s=vifs / count)}
        for number in numbers
    }


@contextmanager
def sampled_controller(vifs: int) -> Iterator[SampledController]:
    with PrivateOvs(dummy=True) as ovs:
        site = SampledController(ovs, vifs)
        try:
            yield site
        finally:
            site.close()


def processor_s(pid: int) -> float:
    """Of a process with all its threads, in it and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def policy_text() -> str:
    """Tenants with leaves of a hundred VIFs, each with a limit both ways; one of the tenants with a limit in all."""
    lines = ["weir: 1", "segments: {office: {type: bridged, uplink: core}}"]
    lines += ["links: {core: {capacity: 100 gbit}}", "policies:"]
    for tenant in range(TENANTS):
        lines += [f"  t{tenant}:", "    egress: {guarantee: 2 gbit}"]
        lines += [f"    ingress: {{limit: {HELD_KBPS} kbit}}"] if f"t{tenant}" == HELD else []
        lines += ["    children:", "      web:"]
        lines += ["        egress: {guarantee: 1 mbit, limit: 100 mbit}", "        ingress: {limit: 100 mbit}"]
    return "\n".join(lines) + "\n"


def _vif(number: int) -> VirtualInterface:
    leaf, mac = f"t{number % TENANTS}/web", vif_mac("b0b0b0", number)
    address = f"10.{number >> 8}.{number & 0xFF}.1/8"
    return VirtualInterface(f"v{number}", number, leaf, "office", "port", mac, (address,), CHASSIS)
