"""Uplinks whose device is missing, comes, goes, or is another one under the same name."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from tests.support.agent_host import Host, vif
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_an_uplink_without_device_is_the_chassis_error(host: Host) -> None:
    host.config = replace(host.config, uplinks={"up0": "up0", "up1": "nosuch0"})
    host.start()
    cfg = host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    row = host.await_tried(cfg)
    assert row.agent_error is not None and "no device nosuch0" in row.agent_error
    host.ovs.run("ip", "link", "add", "nosuch0", "type", "veth", "peer", "name", "nosuch1")
    wait_until(lambda: host.chassis().agent_error is None, "the error gone")
    wait_until(lambda: host.chassis().uplink_ports.keys() == {"up0", "up1"}, "its port numbered")


def outside(host: Host, name: str) -> None:
    """A new up0, with the other end of it in the outside world."""
    host.ovs.run("ip", "link", "add", "up0", "type", "veth", "peer", "name", name)
    host.ovs.run("ethtool", "-K", name, "tx", "off")
    host.ovs.run("ip", "addr", "add", "10.9.0.200/24", "dev", name)
    host.ovs.run("ip", "link", "set", name, "up")


def await_answer(host: Host) -> None:
    """From the outside world to instance web1."""
    ping = ["ip", "netns", "exec", f"{host.ovs.namespace}-web1", "ping", "-c", "1", "-W", "1", "10.9.0.200"]
    wait_until(lambda: subprocess.run(ping, capture_output=True).returncode == 0, "an answer from outside")


def test_a_device_replaced_under_its_name_is_heard_and_keeps_its_number_and_queues(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    before = host.chassis().uplink_ports
    host.ovs.run("ip", "link", "delete", "up0")
    outside(host, "outside2")
    await_answer(host)
    wait_until(lambda: host.chassis().uplink_ports == before, "the same number")
    wait_until(lambda: "htb" in host.qdisc("up0"), "its queues")
    wait_until(lambda: host.chassis().agent_error is None, "no error")


def test_a_device_replaced_while_no_agent_runs_is_heard(host: Host) -> None:
    agent = host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    agent.stop(kill=True)
    host.ovs.run("ip", "link", "delete", "up0")
    outside(host, "outside2")
    host.start()
    await_answer(host)


def test_a_port_goes_and_comes_with_its_device(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    before = host.chassis().uplink_ports
    host.ovs.run("ip", "link", "delete", "up0")
    wait_until(lambda: "no device up0" in (host.chassis().agent_error or ""), "its loss reported")
    wait_until(lambda: "up0" not in host.ovs.vsctl("list-ports", "br-weir"), "its port gone")
    outside(host, "outside2")
    wait_until(lambda: host.chassis().uplink_ports == before, "the same number")


def test_an_uplink_of_two_devices_has_two_ports_and_a_tree_for_each(host: Host) -> None:
    host.ovs.run("ip", "link", "add", "up1", "type", "veth", "peer", "name", "outside1")
    host.config = replace(host.config, uplinks={"up0": "up0", "up0#2": "up1"})
    host.start()
    row = host.await_tried(host.request(vif("web1", 7)))
    host.await_state("web1", "ready")
    ports = {
        key: int(host.ovs.vsctl("get", "interface", device, "ofport")) for key, device in host.config.uplinks.items()
    }
    assert row.uplink_ports == ports and len(set(ports.values())) == 2
    for device in ("up0", "up1"):
        classes = host.ovs.run("tc", "class", "show", "dev", device)
        assert "7fff:" in classes and "rate 10Mbit" in classes and "rate 100Mbit" in classes
    host.ovs.run("ip", "link", "delete", "up1")
    wait_until(lambda: "no device up1" in (host.chassis().agent_error or ""), "its loss reported")
    wait_until(lambda: host.chassis().uplink_ports == {"up0": ports["up0"]}, "its port gone")
