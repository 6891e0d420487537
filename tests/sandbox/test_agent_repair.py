"""What is killed, breaks, vanishes or is changed by hand: the agent makes it right again."""

from __future__ import annotations

import json
import os
import re

import pytest

from controller.host import namespace
from tests.support.agent_host import Host, inside, vif
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


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
