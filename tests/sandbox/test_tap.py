"""Kind tap on a real kernel: the device and its port stay, whatever becomes of the VM, the agent and the link."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import pytest

from controller.host import namespace
from controller.host.agent import teardown
from ovsdb.rows import VirtualInterface
from tests.support.agent_host import Host, vif
from tests.support.ovs_sandbox import wait_until
from tests.support.tap_user import TapUser, attaches_as

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NOBODY, SOMEBODY = 65534, 64055
FRAME = bytes.fromhex("ffffffffffff0200000000070800") + bytes(range(64))


def tap(name: str, number: int, **changes: Any) -> VirtualInterface:
    return vif(name, number, kind="tap", **changes)


def shown(host: Host, name: str) -> dict[str, Any] | None:
    """As ip -d shows it; None: there is no such link."""
    links = json.loads(host.ovs.run("ip", "-d", "-json", "link"))
    return next((link for link in links if link["ifname"] == name), None)


def index(host: Host, name: str) -> int | None:
    link = shown(host, name)
    return link and link["ifindex"]


def await_passage(one: TapUser, other: TapUser) -> None:
    """The kernel opens a device's queue a moment after somebody has attached to it."""

    def passes() -> bool:
        one.send(FRAME)
        return other.receives(FRAME, 0.2)

    wait_until(passes, "a frame goes from one to the other")


def test_the_device_is_made_for_a_vm_to_come(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7))
    made = host.await_state("vm", "ready")
    link = shown(host, "wt7")
    assert link is not None and "UP" in link["flags"] and link["mtu"] == 1500
    assert link["ifalias"] == f"weir:{host.ovs.namespace}:h1:vm"
    device = link["linkinfo"]["info_data"]
    assert (device["type"], device["persist"], device["user"]) == ("tap", True, "root")
    assert not device["multi_queue"] and not device["vnet_hdr"] and not device["pi"]
    assert made.details == {"device": "wt7", "queues": "1", "place": f"/run/netns/{host.ovs.namespace}"}
    assert made.port_name == "wt7" and made.ofport == int(host.ovs.vsctl("get", "interface", "wt7", "ofport"))
    assert host.ovs.vsctl("get", "interface", "wt7", "external_ids:iface-id").strip() == "vm"
    assert "htb" in host.qdisc("wt7")
    assert not host.ovs.run("ip", "address", "show", "dev", "wt7").count("inet")


def test_the_vm_comes_goes_and_comes_again(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7), tap("other", 8))
    place = namespace.named(host.ovs.namespace)
    host.await_state("vm", "ready")
    host.await_state("other", "ready")
    before = index(host, "wt7")
    host.ovs.ofctl("add-flow", "br-weir", "in_port=wt7,actions=output:wt8")
    for _ in range(3):
        with TapUser(place, "wt7") as one, TapUser(place, "wt8") as other:
            await_passage(one, other)
        wait_until(lambda: "LOWER_UP" not in (shown(host, "wt7") or {})["flags"], "the carrier is gone")
    assert index(host, "wt7") == before
    host.await_state("vm", "ready")


def test_as_many_queues_as_were_asked_for(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7, options={"queues": "4"}))
    assert host.await_state("vm", "ready").details["queues"] == "4"
    with TapUser(namespace.named(host.ovs.namespace), "wt7", queues=4):
        link = shown(host, "wt7")
        assert link is not None and link["linkinfo"]["info_data"]["numqueues"] == 4
    assert "htb" in host.qdisc("wt7")


def test_nobody_but_its_owner_attaches(host: Host) -> None:
    host.start()
    host.request(tap("owned", 7, options={"owner": str(SOMEBODY)}), tap("roots", 8))
    host.await_state("owned", "ready")
    host.await_state("roots", "ready")
    place = namespace.named(host.ovs.namespace)
    assert attaches_as(SOMEBODY, place, "wt7") and not attaches_as(NOBODY, place, "wt7")
    assert not attaches_as(SOMEBODY, place, "wt8")


def test_one_that_is_in_use_is_deleted(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7))
    host.await_state("vm", "ready")
    with TapUser(namespace.named(host.ovs.namespace), "wt7"):
        host.await_tried(host.request(delete=("vm",)))
        assert shown(host, "wt7") is None and "wt7" not in host.ovs.vsctl("list-ports", "br-weir")
    assert shown(host, "wt7") is None
    host.request(tap("vm2", 7))  # the name is free again
    host.await_state("vm2", "ready")


def test_a_killed_agent_leaves_the_vm_its_device(host: Host) -> None:
    agent = host.start()
    host.request(tap("vm", 7))
    before = host.await_state("vm", "ready"), index(host, "wt7")
    with TapUser(namespace.named(host.ovs.namespace), "wt7"):
        agent.stop(kill=True)
        host.start()
        host.await_tried(host.request(tap("vm2", 8)))
        host.await_state("vm2", "ready")
        assert (host.vif("vm"), index(host, "wt7")) == before
        assert "LOWER_UP" in (shown(host, "wt7") or {})["flags"]


def test_what_is_deleted_while_no_agent_runs_is_swept(host: Host) -> None:
    agent = host.start()
    host.request(tap("vm", 7))
    host.await_state("vm", "ready")
    agent.stop(kill=True)
    cfg = host.request(delete=("vm",))
    host.start()
    host.await_tried(cfg)
    assert shown(host, "wt7") is None and host.ovs.vsctl("list-ports", "br-weir").split() == ["up0"]


def test_one_removed_by_hand_is_made_anew(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7), tap("other", 8))
    host.await_state("vm", "ready")
    host.await_state("other", "ready")
    before = index(host, "wt7")
    host.ovs.run("ip", "link", "delete", "wt7")
    wait_until(lambda: index(host, "wt7") not in (None, before), "it is made anew")
    ofport = ("--if-exists", "get", "interface", "wt7", "ofport")
    wait_until(lambda: host.ovs.vsctl(*ofport).strip().isdigit(), "its port is back")
    host.await_state("vm", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "in_port=wt7,actions=output:wt8")
    place = namespace.named(host.ovs.namespace)
    with TapUser(place, "wt7") as one, TapUser(place, "wt8") as other:  # the switch reads from the new one
        await_passage(one, other)


def test_one_changed_by_hand_is_put_right(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7))
    host.await_state("vm", "ready")
    before = index(host, "wt7")
    host.ovs.run("ip", "link", "set", "wt7", "down", "mtu", "900")
    wait_until(lambda: "UP" in (shown(host, "wt7") or {})["flags"], "it is up again")
    wait_until(lambda: (shown(host, "wt7") or {})["mtu"] == 1500, "it has its MTU again")
    assert index(host, "wt7") == before


def test_a_device_of_somebody_else_is_left_alone(host: Host) -> None:
    host.ovs.run("ip", "tuntap", "add", "wt7", "mode", "tap")
    before = index(host, "wt7")
    host.start()
    host.request(tap("vm", 7))
    assert "not this agent's" in host.await_error("vm", "Remove it")
    assert index(host, "wt7") == before
    host.ovs.run("ip", "link", "delete", "wt7")
    host.await_state("vm", "ready")


def test_teardown_leaves_nothing(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7))
    host.await_state("vm", "ready")
    with TapUser(namespace.named(host.ovs.namespace), "wt7"), namespace.entered(namespace.named(host.ovs.namespace)):
        host.agents[0].stop()
        teardown(host.config)
    assert shown(host, "wt7") is None


def test_the_segment_says_how_long_packets_may_be(host: Host) -> None:
    policy = (host.db.run(), host.db.snapshot().files["p.yaml"])[1]
    host.request(policy=policy.replace("office: {", "office: {mtu: 1400, "))
    host.start()
    host.request(tap("vm", 7))
    host.await_state("vm", "ready")
    assert (shown(host, "wt7") or {})["mtu"] == 1400
    host.request(policy=policy.replace("office: {", "office: {mtu: 1300, "))
    wait_until(lambda: (shown(host, "wt7") or {})["mtu"] == 1300, "the new MTU")


def test_two_systems_in_one_namespace_do_not_take_each_others(host: Host) -> None:
    host.start()
    host.request(tap("vm", 7))
    host.await_state("vm", "ready")
    other = replace(host.config, system="another", chassis="h2", bridge="br2", uplinks={})
    with namespace.entered(namespace.named(host.ovs.namespace)):
        teardown(other)
    assert shown(host, "wt7") is not None
