"""The host agent as a real process beside a real Open vSwitch and Weir DB: rows in, interfaces and queues out."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from controller.config import StateDir
from controller.host import namespace
from controller.host.agent import AgentConfig, teardown
from controller.stream.messages import Hello, HostSample, Message, Rates, decode, encode
from ovsdb.rows import Chassis, VirtualInterface
from ovsdb.weir_db import Command, PolicyText, WeirDb
from tests.support.ovs_sandbox import Daemon, PrivateOvs, WeirDbServer, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

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

    def start(self, config: AgentConfig | None = None) -> Daemon:
        config = config or self.config
        given = {name: getattr(config, name) for name in ("chassis", "bridge", "system", "interval_s")}
        given |= {"state": str(config.state.path), "ovs_rundir": str(self.ovs.rundir), "uplinks": dict(config.uplinks)}
        argv = [sys.executable, "-c", AGENT, json.dumps(given)]
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


@pytest.fixture
def host() -> Iterator[Host]:
    with PrivateOvs() as ovs:
        state = StateDir(ovs.rundir / "s")
        state.run.mkdir(parents=True)
        ovs.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "outside")
        ovs.run("ip", "link", "set", "outside", "up")
        config = AgentConfig("h1", "br-weir", state, ovs.rundir, ovs.namespace, {"up0": "up0"}, interval_s=0.2)
        with WeirDbServer(state.run) as server, WeirDb(server.remote) as db:
            db.connect()
            with Host(ovs, config, db, ovs.rundir / "agent.log") as host:
                host.request(policy=POLICY)
                yield host


@pytest.fixture
def instance(host: Host) -> Iterator[str]:
    name = f"{host.ovs.namespace}.i"
    inside(None, "ip", "netns", "add", name)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def inside(name: str | None, *argv: str) -> str:
    enter = [] if name is None else ["ip", "netns", "exec", name]
    return subprocess.run([*enter, *argv], check=True, capture_output=True, text=True).stdout


def vif(name: str, number: int, **changes: Any) -> VirtualInterface:
    fields: dict[str, Any] = {
        "policy": "acme/web", "segment": "office", "kind": "veth", "mac": f"02:00:00:00:00:{number:02x}",
        "addresses": (f"10.9.0.{number}/24", f"fd00:9::{number:x}/64"), "chassis": "h1",
    }  # fmt: skip
    return VirtualInterface(name=name, number=number, **{**fields, **changes})


def test_a_bridge_an_interface_queues_and_away_again(host: Host) -> None:
    host.start()
    cfg = host.request(vif("web1", 7), vif("web2", 8, policy="acme/free"))
    row = host.await_tried(cfg)
    made = host.await_state("web1", "ready")
    host.await_state("web2", "ready")
    assert row.agent_error is None and row.bridge == "br-weir" and re.fullmatch("[0-9a-f]{16}", row.datapath_id)
    assert row.uplink_ports == {"up0": int(host.ovs.vsctl("get", "interface", "up0", "ofport"))}
    assert made.port_name == "wv7" and made.ofport == int(host.ovs.vsctl("get", "interface", "wv7", "ofport"))
    assert host.ovs.vsctl("get", "interface", "wv7", "external_ids:iface-id").strip() == "web1"
    assert "classify" in host.ovs.vsctl("list", "flow_table")

    name = f"{host.ovs.namespace}-web1"
    shown = inside(name, "ip", "addr", "show", "dev", "eth0")
    assert "10.9.0.7/24" in shown and "fd00:9::7/64" in shown and "02:00:00:00:00:07" in shown and "LOWER_UP" in shown
    assert "tx-checksumming: off" in inside(name, "ethtool", "-k", "eth0")
    assert "tbf" in inside(name, "tc", "qdisc", "show", "dev", "eth0")
    assert "tbf" not in inside(f"{host.ovs.namespace}-web2", "tc", "qdisc", "show", "dev", "eth0")
    assert "htb" in host.qdisc("wv7") and "htb" not in host.qdisc("wv8")
    classes = host.ovs.run("tc", "class", "show", "dev", "up0")
    assert "7fff:" in classes and "rate 10Mbit" in classes and "ceil 20Mbit" in classes

    host.await_tried(host.request(delete=("web1",)))
    assert host.links() == ["wv8"] and not namespace.named(name).exists()
    assert "wv7" not in host.ovs.vsctl("list-ports", "br-weir")
    wait_until(lambda: "rate 10Mbit" not in host.ovs.run("tc", "class", "show", "dev", "up0"), "its class gone")


def test_traffic_passes_between_two_instances(host: Host) -> None:
    host.start()
    host.request(vif("a", 7, segment="lab"), vif("b", 8, segment="lab"))
    host.await_state("a", "ready")
    host.await_state("b", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    name = f"{host.ovs.namespace}-a"
    for address in ("10.9.0.8", "fd00:9::8"):
        inside(name, "ping", "-c", "3", "-i", "0.2", "-w", "10", address)


def test_kill_and_start_again_changes_nothing(host: Host, instance: str) -> None:
    agent = host.start()
    host.request(vif("web1", 7), vif("web2", 8, binding={"netns": instance}))
    before = host.await_state("web1", "ready"), host.await_state("web2", "ready")
    found = indexes(host), handles(host.qdisc("wv7")), handles(host.qdisc("up0"))
    agent.stop(kill=True)
    host.start()
    host.await_tried(host.request(vif("web3", 9)))
    host.await_state("web3", "ready")
    host.await_tried(host.request(delete=("web3",)))
    assert (host.vif("web1"), host.vif("web2")) == before
    assert (indexes(host), handles(host.qdisc("wv7")), handles(host.qdisc("up0"))) == found


def indexes(host: Host) -> list[int]:
    return [link["ifindex"] for link in json.loads(host.ovs.run("ip", "-j", "link"))]


def handles(shown: str) -> list[str]:
    """What kinds of qdisc with which handles: without limits, which depend on how many share a buffer."""
    return sorted(re.findall(r"qdisc (\w+ [0-9a-f]+:)", shown))


def test_what_is_deleted_while_no_agent_runs_is_swept(host: Host) -> None:
    agent = host.start()
    host.request(vif("web1", 7), vif("web2", 8))
    host.await_state("web1", "ready")
    host.await_state("web2", "ready")
    agent.stop(kill=True)
    cfg = host.request(delete=("web1", "web2"))
    host.start()
    host.await_tried(cfg)
    assert host.links() == [] and namespace.names(f"{host.ovs.namespace}-") == []
    assert host.ovs.vsctl("list-ports", "br-weir").split() == ["up0"]


def test_by_name_and_by_pid(host: Host, instance: str) -> None:
    host.start()
    other = f"{host.ovs.namespace}.p"
    inside(None, "ip", "netns", "add", other)
    try:
        process = Daemon(["sleep", "1000"], host.ovs.rundir / "sleep.log", other)
        path = Path(f"/proc/{process.pid}/ns/net")
        wait_until(lambda: namespace.identity(path) == namespace.identity(namespace.named(other)), "in its namespace")
        host.request(vif("n", 7, binding={"netns": instance}), vif("p", 8, binding={"pid": str(process.pid)}))
        host.await_state("n", "ready")
        host.await_state("p", "ready")
        assert "10.9.0.7/24" in inside(instance, "ip", "addr")
        assert "10.9.0.8/24" in inside(other, "ip", "addr")
        process.stop(kill=True)
        host.await_error("p", "process .* does not exist any more")
        assert host.links() == ["wv7"]
    finally:
        inside(None, "ip", "netns", "delete", other)


def test_wrong_things_are_errors_with_remedies_and_others_go_on(host: Host, instance: str) -> None:
    host.start()
    inside(instance, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "foreign0")
    cfg = host.request(
        vif("taken", 7, binding={"netns": instance}),
        vif("nowhere", 8, binding={"netns": "no-such-namespace"}),
        vif("lawless", 9, policy="acme/none"),
        vif("good", 10),
    )
    host.await_tried(cfg)
    host.await_state("good", "ready")
    assert "--ifname" in host.await_error("taken", "has an interface eth0 already")
    assert "ip netns add" in host.await_error("nowhere", "does not exist")
    host.await_error("lawless", "policy acme/none is no leaf")
    assert "wv7" not in host.links() and "wv8" not in host.links()


def test_a_namespace_that_vanishes_and_returns(host: Host, instance: str) -> None:
    host.start()
    host.request(vif("web1", 7, binding={"netns": instance}))
    host.await_state("web1", "ready")
    inside(None, "ip", "netns", "delete", instance)
    host.await_error("web1", "does not exist")
    wait_until(lambda: host.links() == [], "the host end gone")
    inside(None, "ip", "netns", "add", instance)
    host.await_state("web1", "ready")
    assert "10.9.0.7/24" in inside(instance, "ip", "addr")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    host.ovs.run("ip", "addr", "add", "10.9.0.200/24", "dev", "outside")
    host.ovs.run("ethtool", "-K", "outside", "tx", "off")
    inside(instance, "ping", "-c", "3", "-i", "0.2", "-w", "10", "10.9.0.200")


def test_what_somebody_breaks_is_mended(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    name = f"{host.ovs.namespace}-web1"
    inside(name, "ip", "addr", "flush", "dev", "eth0")
    inside(name, "tc", "qdisc", "del", "dev", "eth0", "root")
    host.ovs.run("tc", "qdisc", "del", "dev", "wv7", "root")
    host.ovs.vsctl("del-port", "wv7")
    wait_until(lambda: "10.9.0.7/24" in inside(name, "ip", "addr"), "addresses back")
    wait_until(lambda: "tbf" in inside(name, "tc", "qdisc"), "shaper back")
    wait_until(lambda: "wv7" in host.ovs.vsctl("list-ports", "br-weir"), "port back")
    wait_until(lambda: "htb" in host.qdisc("wv7"), "ingress tree back")
    host.ovs.run("ip", "link", "del", "wv7")
    wait_until(lambda: "wv7" in host.links() and "10.9.0.7/24" in inside(name, "ip", "addr"), "interface back")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    host.ovs.run("ip", "addr", "add", "10.9.0.200/24", "dev", "outside")
    wait_until(lambda: "10.9.0.200" in host.ovs.run("ip", "addr"), "address")
    inside(name, "ping", "-c", "3", "-i", "0.2", "-w", "10", "10.9.0.200")


def test_a_port_is_adopted_when_it_comes_and_let_go_when_it_goes(host: Host) -> None:
    host.start()
    cfg = host.request(vif("vm1", 7, kind="port", chassis=None), vif("vm2", 8, kind="port", chassis=None))
    host.await_tried(cfg)
    host.await_error("vm1", "waiting for a port with external_ids:iface-id=vm1 on bridge br-weir")
    assert (host.vif("vm1") or vif("", 0)).state == "pending"
    host.ovs.run("ip", "link", "add", "tap1", "type", "veth", "peer", "name", "guest1")
    host.ovs.run("ip", "link", "set", "tap1", "up")
    mark = ("--", "set", "interface", "tap1", "external_ids:iface-id=vm1")
    host.ovs.vsctl("add-port", "br-weir", "tap1", *mark)
    found = host.await_state("vm1", "ready")
    assert found.chassis == "h1" and found.port_name == "tap1" and found.error is None
    assert found.ofport == int(host.ovs.vsctl("get", "interface", "tap1", "ofport"))
    wait_until(lambda: "htb" in host.qdisc("tap1"), "its ingress tree")
    mark = ("--", "set", "interface", "int1", "type=internal", "external_ids:iface-id=vm2")
    host.ovs.vsctl("add-port", "br-weir", "int1", *mark)
    assert "no queue" in host.await_error("vm2", "ingress limit")
    host.ovs.vsctl("del-port", "tap1")
    host.await_error("vm1", "waiting for a port")
    gone = host.await_state("vm1", "pending")
    assert gone.ofport is None and gone.chassis is None
    host.await_tried(host.request(delete=("vm1", "vm2")))
    assert "int1" in host.ovs.vsctl("list-ports", "br-weir")


def test_two_agents_beside_one_switch_each_keep_to_their_bridge(host: Host) -> None:
    other = replace(host.config, chassis="h2", bridge="br2", uplinks={})
    host.start()
    host.start(other)
    host.request(vif("one", 7), vif("two", 8, chassis="h2"), vif("vm", 9, kind="port", chassis=None))
    assert host.await_state("one", "ready").chassis == "h1" and host.await_state("two", "ready").chassis == "h2"
    host.await_error("vm", "on bridge br-weir or br2")
    host.ovs.run("ip", "link", "add", "tap1", "type", "veth", "peer", "name", "guest1")
    mark = ("--", "set", "interface", "tap1", "external_ids:iface-id=vm")
    host.ovs.vsctl("add-port", "br2", "tap1", *mark)
    assert host.await_state("vm", "ready").chassis == "h2"
    host.ovs.vsctl("del-port", "tap1", "--", "add-port", "br-weir", "tap1", *mark)
    wait_until(lambda: (host.vif("vm") or vif("", 0)).chassis == "h1", "claimed by the other")
    host.await_state("vm", "ready")
    with namespace.entered(namespace.named(host.ovs.namespace)):
        host.agents[1].stop()
        teardown(other)
    assert host.links() == ["wv7"] and host.ovs.vsctl("list-br").split() == ["br-weir"]
    assert namespace.names(f"{host.ovs.namespace}-") == [f"{host.ovs.namespace}-one"]


def test_a_deleted_port_vif_leaves_the_port_as_it_was(host: Host) -> None:
    host.start()
    host.ovs.run("ip", "link", "add", "tap1", "type", "veth", "peer", "name", "guest1")
    host.request(vif("vm1", 7, kind="port", chassis=None))
    host.await_tried(1)
    wait_until(lambda: host.ovs.vsctl("list-br"), "the bridge")
    host.ovs.vsctl("add-port", "br-weir", "tap1", "--", "set", "interface", "tap1", "external_ids:iface-id=vm1")
    host.await_state("vm1", "ready")
    wait_until(lambda: "htb" in host.qdisc("tap1"), "its ingress tree")
    host.await_tried(host.request(delete=("vm1",)))
    wait_until(lambda: "htb" not in host.qdisc("tap1"), "its ingress tree gone")
    assert host.ovs.vsctl("get", "port", "tap1", "qos").strip() == "[]"


def test_a_policy_change_reaches_the_queues(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    host.await_tried(host.request(policy=POLICY.replace("limit: 20 mbit", "limit: 15 mbit")))
    name = f"{host.ovs.namespace}-web1"
    assert "rate 15Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0")
    assert "ceil 15Mbit" in host.ovs.run("tc", "class", "show", "dev", "up0")
    host.await_tried(host.request(policy=POLICY.replace("links:\n  up0: {capacity: 100 mbit}\n", "")))
    assert "htb" not in host.qdisc("up0")


def test_samples_go_up_and_rates_come_down(host: Host) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(host.config.state.stream_socket))
        listener.listen()
        listener.settimeout(20)
        host.start()
        host.request(vif("web1", 7))
        host.await_state("web1", "ready")
        name = f"{host.ovs.namespace}-web1"
        subprocess.run(
            ["ip", "netns", "exec", name, "ping", "-c", "2", "-i", "0.2", "-w", "1", "10.9.0.99"], check=False
        )
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.settimeout(20)
            assert decode(lines.readline()) == Hello("h1")
            sample = wait_until(lambda: sampled(decode(lines.readline())), "samples of all three queues")
            assert 7 in sample.vifs
            connection.sendall(encode(Rates({7: 5000}, {7: 6000})))
            wait_until(lambda: "rate 5Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "shaper lowered")
            wait_until(lambda: "ceil 6Mbit" in host.ovs.run("tc", "class", "show", "dev", "wv7"), "ingress lowered")
            connection.sendall(encode(Rates()))
            wait_until(lambda: "rate 20Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "shaper restored")
            connection.sendall(encode(Rates({7: 5000}, {})))
            wait_until(lambda: "rate 5Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "shaper lowered")
    wait_until(
        lambda: "rate 20Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0"), "policy limit without controller"
    )


def sampled(message: Message) -> HostSample | None:
    if not isinstance(message, HostSample) or 7 not in message.vifs:
        return None
    queues = message.vifs[7]
    complete = queues.shaper and queues.uplink and queues.ingress
    return message if complete and queues.shaper and queues.shaper.sent_packets > 0 else None


def test_an_uplink_without_device_is_the_chassis_error(host: Host) -> None:
    host.config = replace(host.config, uplinks={"up0": "up0", "up1": "nosuch0"})
    host.start()
    cfg = host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    row = host.await_tried(cfg)
    assert row.agent_error is not None and "no device nosuch0" in row.agent_error
    host.ovs.run("ip", "link", "add", "nosuch0", "type", "veth", "peer", "name", "nosuch1")
    wait_until(lambda: host.chassis().agent_error is None, "the error gone")
    assert host.chassis().uplink_ports.keys() == {"up0", "up1"}


def test_a_vswitchd_restart_keeps_port_numbers_and_queues(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7), vif("web2", 8))
    before = host.await_state("web1", "ready"), host.await_state("web2", "ready")
    host.ovs.restart_vswitchd(kill=True)
    host.await_tried(host.request(vif("web3", 9)))
    host.await_state("web3", "ready")
    assert (host.await_state("web1", "ready").ofport, host.await_state("web2", "ready").ofport) == (
        before[0].ofport,
        before[1].ofport,
    )
    wait_until(lambda: "htb" in host.qdisc("wv7"), "ingress tree")
    assert "htb" in host.qdisc("up0")


def test_databases_may_go_and_come(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    host.ovs.stop_server()
    wait_until(lambda: "does not answer" in (host.chassis().agent_error or ""), "its loss reported")
    host.ovs.start_server()
    host.await_tried(host.request(vif("web2", 8)))
    host.await_state("web2", "ready")
    wait_until(lambda: host.chassis().agent_error is None, "the error gone")


def test_sigterm_leaves_everything_and_teardown_takes_it(host: Host, instance: str) -> None:
    agent = host.start()
    host.request(vif("web1", 7), vif("web2", 8, binding={"netns": instance}))
    host.await_state("web1", "ready")
    host.await_state("web2", "ready")
    agent.process.terminate()
    assert agent.process.wait(timeout=5) == 0
    assert host.links() == ["wv7", "wv8"]
    with namespace.entered(namespace.named(host.ovs.namespace)):
        teardown(host.config)
    assert host.links() == [] and namespace.names(f"{host.ovs.namespace}-") == []
    assert host.ovs.vsctl("list-br") == "" and "htb" not in host.qdisc("up0")
    assert "eth0" not in inside(instance, "ip", "link")
    assert namespace.named(instance).exists()
