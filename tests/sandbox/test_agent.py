"""From rows to interfaces and queues, and away again, by a real agent."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from controller.host import namespace
from controller.host.agent import teardown
from controller.host.errors import HostError
from ovsdb.rows import DATAPATH, DPDK, NO, USERSPACE, VIRTUAL_FUNCTIONS
from tests.support.agent_host import POLICY, Host, inside, vif
from tests.support.ovs_sandbox import Daemon, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_bridge_an_interface_queues_and_away_again(host: Host) -> None:
    host.start()
    cfg = host.request(vif("web1", 7), vif("web2", 8, policy="acme/free"))
    row = host.await_tried(cfg)
    made = host.await_state("web1", "ready")
    host.await_state("web2", "ready")
    assert row.agent_error is None and row.bridge == "br-weir" and re.fullmatch("[0-9a-f]{16}", row.datapath_id)
    assert row.capabilities.items() >= {DATAPATH: USERSPACE, DPDK: NO, VIRTUAL_FUNCTIONS: NO}.items()
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
    assert "7fff:" in classes and "rate 10Mbit" in classes and "ceil 20400Kbit" in classes  # 2 % above the shaper

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


def test_a_policy_change_reaches_the_queues(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    host.await_tried(host.request(policy=POLICY.replace("limit: 20 mbit", "limit: 15 mbit")))
    name = f"{host.ovs.namespace}-web1"
    assert "rate 15Mbit" in inside(name, "tc", "qdisc", "show", "dev", "eth0")
    assert "ceil 15300Kbit" in host.ovs.run("tc", "class", "show", "dev", "up0")
    host.await_tried(host.request(policy=POLICY.replace("links:\n  up0: {capacity: 100 mbit}\n", "")))
    assert "htb" not in host.qdisc("up0")


def test_sigterm_leaves_everything_and_teardown_takes_it(host: Host, instance: str) -> None:
    agent = host.start()
    host.request(vif("web1", 7), vif("web2", 8, binding={"netns": instance}))
    host.await_state("web1", "ready")
    host.await_state("web2", "ready")
    with namespace.entered(namespace.named(host.ovs.namespace)), pytest.raises(HostError, match="another agent of h1"):
        teardown(host.config)
    second = host.start()
    assert second.process.wait(timeout=10) != 0 and "another agent of h1 is at work" in host.log.read_text()
    agent.process.terminate()
    assert agent.process.wait(timeout=5) == 0
    assert host.links() == ["wv7", "wv8"]
    with namespace.entered(namespace.named(host.ovs.namespace)):
        teardown(host.config)
    assert host.links() == [] and namespace.names(f"{host.ovs.namespace}-") == []
    assert host.ovs.vsctl("list-br") == "" and "htb" not in host.qdisc("up0")
    assert "eth0" not in inside(instance, "ip", "link")
    assert namespace.named(instance).exists()


def test_the_end_of_an_instance_is_noticed_at_once(host: Host, instance: str) -> None:
    """Also where its namespace goes on, so that no link tells of it, and long before the next pass is due."""
    processes = [Daemon(["sleep", "1000"], host.ovs.rundir / f"s{number}.log", instance) for number in range(2)]
    numbers = range(7, 7 + len(processes))
    host.start(PASS_S=1000.0)
    for number, process in zip(numbers, processes, strict=True):
        name = Path(f"/proc/{process.pid}/comm")
        wait_until(lambda name=name: name.read_text() == "sleep\n", "it runs in its namespace")  # type: ignore[misc]
        host.request(vif(f"web{number}", number, binding={"pid": str(process.pid)}, ifname=f"eth{number}"))
        host.await_state(f"web{number}", "ready")
    for number, process in zip(numbers, processes, strict=True):
        process.stop(kill=True)
        host.await_error(f"web{number}", f"process {process.pid} does not exist any more")
    assert host.links() == []
