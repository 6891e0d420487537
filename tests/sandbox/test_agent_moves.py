"""VIFs that are changed while they run, by a real agent: what may stay stays; what cannot be had changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.host import namespace
from ovsdb.rows import VirtualInterface
from ovsdb.weir_db import Command
from tests.support.agent_host import POLICY, Host, inside, vif
from tests.support.ovs_sandbox import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def change(host: Host, name: str, **changes: Any) -> VirtualInterface:
    """As `weir vif set` does. Returns it when the agent has done its part."""
    present = host.vif(name)
    assert present is not None
    command = Command(change=(replace(present, **changes),))
    cfg = host.db.execute(command, host.db.snapshot(), "test")
    host.await_tried(cfg)
    changed = host.vif(name)
    assert changed is not None
    return changed


def host_side(host: Host) -> tuple[object, ...]:
    """What must not be made anew: link, port, queues."""
    (link,) = [one for one in json.loads(host.ovs.run("ip", "-j", "link")) if one["ifname"] == "wv7"]
    port = host.ovs.vsctl("get", "port", "wv7", "_uuid").strip(), host.ovs.vsctl("get", "interface", "wv7", "ofport")
    return link["ifindex"], *port, [line for line in host.qdisc("wv7").splitlines() if "htb" in line]


def test_an_interface_moves_between_namespaces_and_the_hosts_side_stays(host: Host, instance: str) -> None:
    host.start()
    host.request(vif("web1", 7), vif("peer", 8))
    host.await_state("peer", "ready")
    host.await_state("web1", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    made, before = f"{host.ovs.namespace}-web1", host_side(host)
    moved = change(host, "web1", binding={"netns": instance}, ifname="lan0")
    assert moved.state == "ready" and moved.details["place"] == str(namespace.named(instance))
    assert host_side(host) == before and not namespace.named(made).exists()
    assert "lan0" in inside(instance, "ip", "-o", "link")
    inside(instance, "ping", "-c", "2", "-i", "0.2", "-w", "10", "10.9.0.8")
    assert "tbf" in inside(instance, "tc", "qdisc", "show", "dev", "lan0")
    assert change(host, "web1", ifname="eth0", addresses=("10.9.0.99/24",)).state == "ready"
    inside(instance, "ping", "-I", "10.9.0.99", "-c", "2", "-i", "0.2", "-w", "10", "10.9.0.8")
    assert change(host, "web1", binding={}).state == "ready"
    assert host_side(host) == before and "eth0" not in inside(instance, "ip", "-o", "link")
    inside(made, "ping", "-c", "2", "-i", "0.2", "-w", "10", "10.9.0.8")


def test_it_moves_also_when_the_agent_was_another_one_before(host: Host, instance: str) -> None:
    agent = host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    before = host_side(host)
    agent.stop(kill=True)
    present = host.vif("web1")
    assert present is not None
    cfg = host.db.execute(Command(change=(replace(present, binding={"netns": instance}),)), host.db.snapshot(), "test")
    host.start()
    host.await_tried(cfg)
    host.await_state("web1", "ready")
    assert host_side(host) == before and "10.9.0.7/24" in inside(instance, "ip", "addr")


def test_where_it_cannot_move_it_stays_and_goes_on(host: Host, instance: str) -> None:
    host.start()
    host.request(vif("web1", 7), vif("peer", 8))
    host.await_state("peer", "ready")
    host.await_state("web1", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    made, before = f"{host.ovs.namespace}-web1", host_side(host)
    inside(instance, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "foreign0")
    for binding, error in (({"netns": "no-such"}, "does not exist"), ({"netns": instance}, "--ifname")):
        wrong = change(host, "web1", binding=binding)
        assert wrong.state == "error" and error in (wrong.error or "")
        inside(made, "ping", "-c", "1", "-w", "10", "10.9.0.8")
    assert change(host, "web1", binding={}).state == "ready" and host_side(host) == before


def test_addresses_that_stay_lose_no_packet_while_others_change(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7, addresses=("10.9.0.7/24", "10.9.0.17/24")), vif("peer", 8))
    host.await_state("peer", "ready")
    host.await_state("web1", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    argv = ["ping", "-i", "0.02", "-c", "200", "-W", "1", "10.9.0.17"]
    with subprocess.Popen(
        ["ip", "netns", "exec", f"{host.ovs.namespace}-peer", *argv], stdout=subprocess.PIPE, text=True
    ) as ping:
        for last in (20, 21, 22, 7):  # the first address of the subnet is the one that goes
            change(host, "web1", addresses=(f"10.9.0.{last}/24", "10.9.0.17/24"))
        assert ping.stdout is not None and " 0% packet loss" in ping.stdout.read()


JUMBO = POLICY.replace("lab: {type: internal,", "lab: {type: internal, mtu: 9000,")


def test_large_packets_pass_on_a_segment_of_a_large_mtu(host: Host) -> None:
    host.start()
    host.request(policy=JUMBO)
    host.request(
        vif("a", 7, segment="lab", addresses=("10.30.0.7/24",)), vif("b", 8, segment="lab", addresses=("10.30.0.8/24",))
    )
    host.await_state("a", "ready")
    host.await_state("b", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    name = f"{host.ovs.namespace}-a"
    inside(name, "ping", "-M", "do", "-s", "8972", "-c", "2", "-i", "0.2", "-w", "10", "10.30.0.8")
    host.await_tried(host.request(policy=POLICY))
    assert "mtu 1500" in inside(name, "ip", "link", "show", "eth0") and "mtu 1500" in host.ovs.run(
        "ip", "link", "show", "wv7"
    )
    inside(name, "ping", "-M", "do", "-s", "1472", "-c", "2", "-i", "0.2", "-w", "10", "10.30.0.8")


@pytest.fixture
def small_disk(host: Host) -> Iterator[Path]:
    """Open vSwitch's database on a disk of its own, of which not much is left."""
    disk = host.ovs.rundir / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        host.ovs.stop_server()
        database = host.ovs.rundir / "db.db"
        (disk / "db.db").write_bytes(database.read_bytes())
        database.unlink()
        database.symlink_to(disk / "db.db")
        host.ovs.start_server()
        yield disk
    finally:
        host.ovs.stop_vswitchd()
        host.ovs.stop_server()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_said_and_overcome(host: Host, small_disk: Path) -> None:
    host.start()
    host.request(vif("web1", 7))
    host.await_state("web1", "ready")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    host.request(*(vif(f"more{number}", number) for number in range(20, 60)))
    wait_until(lambda: "disk is full" in (host.chassis().agent_error or ""), "the full disk reported")
    filler.unlink()
    for number in range(20, 60):
        host.await_state(f"more{number}", "ready")
    wait_until(lambda: host.chassis().agent_error is None, "the error gone")
