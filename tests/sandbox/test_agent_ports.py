"""Ports that somebody else made, and agents beside each other."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from controller.host import namespace
from controller.host.agent import teardown
from tests.support.agent_host import Host, vif
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

OTHER = "add-br", "other", "--", "set", "bridge", "other", "datapath_type=netdev", "--", "add-port", "other"


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
    wait_until(lambda: "htb" not in host.qdisc("tap1"), "its ingress tree gone with it")
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


def test_a_vifs_port_on_another_bridge_is_that_vifs_fault_alone(host: Host) -> None:
    host.start()
    host.request(vif("web7", 7))
    host.await_state("web7", "ready")
    host.ovs.vsctl("del-port", "wv7", "--", *OTHER, "wv7")
    assert "ovs-vsctl del-port other wv7" in host.await_error("web7", "port wv7 is on bridge other already")
    done = host.await_tried(host.request(vif("web8", 8)))
    assert host.await_state("web8", "ready").ofport and done.agent_error is None
    wait_until(lambda: "htb" not in host.qdisc("wv7"), "no tree of ours on what is another bridge's")
    host.ovs.vsctl("del-port", "other", "wv7")
    assert host.await_state("web7", "ready").ofport
    wait_until(lambda: "htb" in host.qdisc("wv7"), "its ingress tree")


def test_an_uplink_on_another_bridge_is_refused_as_a_whole(host: Host) -> None:
    host.ovs.vsctl(*OTHER, "up0")
    host.start()
    host.request(vif("web7", 7))
    fault = wait_until(lambda: host.chassis().agent_error, "the refusal")
    assert "port up0 is on bridge other already" in fault
    assert "br-weir" not in host.ovs.vsctl("list-br").split()
