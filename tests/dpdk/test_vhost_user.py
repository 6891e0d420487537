"""Kind vhost-user on a real OVS-DPDK: a real VM and dpdk-testpmd behind it, held to their policy."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from controller.host import namespace
from lab.testpmd import Testpmd
from tests.support.ovs_sandbox import wait_until
from tests.support.system import SystemUnderTest
from tests.support.virtual_machine import BRING_UP, await_detail, link, need_lab, received_bytes, vm

LIMIT_KBPS = 4000
POLICY = """
weir: 1
segments:
  front: {type: routed, subnets: [10.41.0.0/24], mtu: 1400}
  back: {type: routed, subnets: [10.42.0.0/24], mtu: 1400}
policies:
  acme:
    children:
      vm:
        egress: {limit: 4 mbit}
        rules:
          - deny: {name: not-there, direction: egress, service: tcp/99}
        unmatched: allow
      peer: {unmatched: allow}
"""
VM_USER = 64055


@pytest.fixture
def vm_lab() -> None:
    need_lab("a vhost-user port")


@pytest.fixture(scope="module")
def vifs(system: SystemUnderTest) -> dict[str, str]:
    """Addresses by name: vm behind vhost-user; peer beside it in a namespace, far in the other segment."""
    vhost = ("--kind", "vhost-user", "--socket-group", str(VM_USER))
    system.weir("vif", "create", "vm", *vhost, "--policy", "acme/vm", "--segment", "front")
    system.weir("vif", "create", "peer", "--policy", "acme/peer", "--segment", "front")
    system.weir("vif", "create", "far", "--policy", "acme/peer", "--segment", "back")
    shown = {name: system.json("vif", "show", name) for name in ("vm", "peer", "far")}
    return {name: one["addresses"][0].partition("/")[0] for name, one in shown.items()}


def test_a_vm_gets_its_address_and_reaches_whom_it_may(
    vm_lab: None, system: SystemUnderTest, vifs: dict[str, str]
) -> None:
    shown = system.json("vif", "show", "vm")
    with vm(system, "vm", user=VM_USER) as guest:
        await_detail(system, "vm", "connected", "true")
        assert link(guest) == {"mtu": 1400, "mac": shown["mac"]}
        lease = guest.run(BRING_UP, 60)
        assert f"address={vifs['vm']}/24 router=10.41.0.1" in lease and "mtu=1400" in lease
        for address in ("10.41.0.1", vifs["peer"], vifs["far"]):
            guest.run(f"ping -c 3 -W 2 {address}")
        with listening(system, "peer", 98), listening(system, "peer", 99):
            assert guest.run(f"timeout 10 nc {vifs['peer']} 98") == "hello"
            assert "hello" not in guest.attempt(f"timeout 3 nc {vifs['peer']} 99")[1]
        guest.reboot()
        guest.run(BRING_UP, 60)
        guest.run(f"ping -c 3 -W 2 {vifs['far']}")
        before = system.pids()
        system.kill(["ovs-vswitchd"])  # the VM stays, the switch comes back to it
        system.await_restart(before, ["ovs-vswitchd"])
        system.await_well()
        wait_until(lambda: guest.attempt(f"ping -c 1 -W 1 {vifs['far']}")[0] == 0, "it is heard again", 30.0)
    await_detail(system, "vm", "connected", "false")
    with vm(system, "vm", user=VM_USER) as guest:  # another in its place, through the socket that was left
        guest.run(BRING_UP, 60)
        guest.run(f"ping -c 3 -W 2 {vifs['peer']}")


def test_a_dpdk_application_comes_and_goes(system: SystemUnderTest, vifs: dict[str, str]) -> None:
    shown = system.json("vif", "show", "vm")
    socket_of(shown).unlink(missing_ok=True)
    for _ in range(2):
        with Testpmd(system.directory.namespace, socket_of(shown), shown["mac"], "icmpecho") as application:
            await_detail(system, "vm", "connected", "true")
            said = inside(system, "peer", "ping", "-q", "-c", "200", "-i", "0.02", vifs["vm"])
            answered = int((re.search(r"(\d+) received", said) or ["", "0"])[1])
            received, sent = application.packets()
            assert answered >= 195 and received >= 200 and sent >= answered
        await_detail(system, "vm", "connected", "false")


def test_its_rate_is_held(system: SystemUnderTest, vifs: dict[str, str]) -> None:
    """A flood of some hundred thousand packets a second from the application's own address."""
    shown, peer = system.json("vif", "show", "vm"), system.json("vif", "show", "peer")
    socket_of(shown).unlink(missing_ok=True)
    flood = (f"--eth-peer=0,{peer['mac']}", f"--tx-ip={vifs['vm']},{vifs['peer']}", "--txpkts=1000")
    with Testpmd(system.directory.namespace, socket_of(shown), shown["mac"], "txonly", flood) as application:
        start = received_bytes(system, "peer")
        wait_until(
            lambda: received_bytes(system, "peer") > start + 500_000, "the flood, and the burst before it is held"
        )
        bytes_before, sent_before, since_s = received_bytes(system, "peer"), application.packets()[1], time.monotonic()
        wait_until(lambda: time.monotonic() - since_s > 4.0, "four seconds of flood")
        passed = received_bytes(system, "peer") - bytes_before
        took_s, sent = time.monotonic() - since_s, application.packets()[1] - sent_before
        rate_kbps = passed * 8 / 1000 / took_s
        assert sent * 8 > 10 * LIMIT_KBPS * took_s, "it is a flood: far beyond the limit"
        assert 0.9 * LIMIT_KBPS < rate_kbps < 1.1 * LIMIT_KBPS


def test_nobody_but_the_group_reaches_the_socket(system: SystemUnderTest, vifs: dict[str, str]) -> None:
    directory = socket_of(system.json("vif", "show", "vm")).parent
    found = directory.stat()
    assert (found.st_mode & 0o7777, found.st_gid) == (0o770, VM_USER)
    may = ["setpriv", f"--reuid={VM_USER}", f"--regid={VM_USER}", "--clear-groups", "--", "touch", f"{directory}/mine"]
    assert subprocess.run(may, check=False).returncode == 0
    os.unlink(directory / "mine")
    may[1:3] = ["--reuid=65534", "--regid=65534"]
    assert subprocess.run(may, check=False, capture_output=True).returncode != 0


def test_a_deleted_one_leaves_no_socket(system: SystemUnderTest) -> None:
    system.weir("vif", "create", "gone", "--kind", "vhost-user", "--policy", "acme/vm", "--segment", "front")
    shown = system.json("vif", "show", "gone")
    with Testpmd(system.directory.namespace, socket_of(shown), shown["mac"], "rxonly"):
        await_detail(system, "gone", "connected", "true")
        system.weir("vif", "delete", "gone")
        assert not socket_of(shown).parent.exists()
    ports = system.home.run("ovs-vsctl", f"--db=unix:{system.directory.run}/db.sock", "list-ports", "br-weir").stdout
    assert shown["port"] not in ports.split()
    system.await_well()


def socket_of(shown: dict[str, Any]) -> Path:
    return Path(shown["details"]["socket"])


@contextmanager
def listening(system: SystemUnderTest, vif: str, port: int) -> Iterator[None]:
    """A TCP server inside the VIF's namespace, which greets whoever comes, once."""
    with namespace.entered(namespace.named(f"{system.directory.namespace}-{vif}")):
        server = socket.create_server(("", port))

    def greet() -> None:
        with suppress(OSError):  # nobody came
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hello\n")

    greeting = threading.Thread(target=greet)
    greeting.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        greeting.join()


def inside(system: SystemUnderTest, vif: str, *argv: str) -> str:
    return system.home.run(
        "nsenter", f"--net=/run/netns/{system.directory.namespace}-{vif}", "--", *argv, check=False
    ).stdout
