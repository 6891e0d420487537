"""vhost-user VIFs under floods: who sends, who takes what comes, and what DPDK's policers have let through."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.testpmd import Testpmd
from lab.udp import UdpSender
from tests.support.ovs_sandbox import wait_until
from tests.support.system import SystemUnderTest
from tests.support.virtual_machine import await_detail

FRAME_BYTES = 1414  # full ones, of a segment with an mtu of 1400
WINDOW_S, WINDOWS = 4.0, 4
T = TypeVar("T")


def address_of(one: Mapping[str, Any], family: int = 4) -> str:
    addresses = [str(each).partition("/")[0] for each in one["addresses"]]
    return next(address for address in addresses if (":" in address) == (family == 6))


@contextmanager
def behind(system: SystemUnderTest, one: Mapping[str, Any]) -> Iterator[Testpmd]:
    """An application that takes what reaches the VIF."""
    socket = Path(one["details"]["socket"])
    socket.unlink(missing_ok=True)
    with Testpmd(system.directory.namespace, socket, one["mac"], "rxonly") as application:
        await_detail(system, one["name"], "connected", "true")
        yield application
    await_detail(system, one["name"], "connected", "false")


@contextmanager
def flood(
    system: SystemUnderTest, one: Mapping[str, Any], port: int, rate_kbps: int, family: int = 4
) -> Iterator[UdpSender]:
    """Of full frames from VIF peer; the application answers neither ARP nor neighbour discovery."""
    namespace, address = f"{system.directory.namespace}-peer", address_of(one, family)
    system.home.run("ip", "-n", namespace, "neigh", "replace", address, "lladdr", one["mac"], "dev", "eth0")
    with UdpSender(namespace, address, port, FRAME_BYTES - (62 if family == 6 else 42)) as sender:
        sender.offer(rate_kbps)
        yield sender


def await_kbit(application: Testpmd, kbit: float) -> None:
    """Returns when so much more has come: what the buckets held is then gone."""
    start = application.packets()[0]
    wait_until(lambda: (application.packets()[0] - start) * FRAME_BYTES * 8 / 1000 > kbit, "the burst is over", 30.0)


def near(measure: Callable[[], T], is_right: Callable[[T], bool]) -> T:
    """The first of some windows that is right, else the last: a machine with other things to do spoils some of them."""
    for _ in range(WINDOWS - 1):
        if is_right(found := measure()):
            return found
    return measure()


def received_kbps(application: Testpmd) -> float:
    """In one window from now on."""
    before, since_s = application.packets()[0], time.monotonic()
    wait_until(lambda: time.monotonic() - since_s > WINDOW_S, "a window of flood")
    received, took_s = application.packets()[0] - before, time.monotonic() - since_s
    return received * FRAME_BYTES * 8 / 1000 / took_s


def assert_held(application: Testpmd, limit_kbps: float, rel: float = 0.03) -> None:
    """Under a flood, once a second's worth of it has come."""
    await_kbit(application, limit_kbps)
    right = pytest.approx(limit_kbps, rel=rel)
    assert near(lambda: received_kbps(application), lambda found: bool(found == right)) == right


def queue_bytes(system: SystemUnderTest, one: Mapping[str, Any], queues: Collection[int]) -> dict[int, int]:
    """What each queue of the port has let pass, in frame bytes, by its number; those that it does not have are not."""
    found = {}
    for queue in queues:  # the switch does not list them
        said = system.ofctl("queue-stats", "br-weir", one["port"], str(queue))
        if passed := re.search(r"bytes=(\d+), pkts=(\d+)", said):
            found[queue] = int(passed[1]) + 14 * int(passed[2])
    return found


def parts_kbps(
    system: SystemUnderTest, one: Mapping[str, Any], application: Testpmd, queues: Collection[int]
) -> tuple[float, dict[int, float]]:
    """What has come in one window, and by queue."""
    before, since_s = queue_bytes(system, one, queues), time.monotonic()
    whole = received_kbps(application)
    after, took_s = queue_bytes(system, one, queues), time.monotonic() - since_s
    return whole, {queue: (after[queue] - before[queue]) * 8 / 1000 / took_s for queue in after}


def polled(system: SystemUnderTest, port: str) -> dict[int, int]:
    """The core of each receive queue of the port that is polled."""
    found, core = {}, -1
    for line in appctl(system, "dpif-netdev/pmd-rxq-show").splitlines():
        if heading := re.search(r"core_id (\d+)", line):
            core = int(heading[1])
        if queue := re.search(rf"port: {port} +queue-id: +(\d+) \((?:en|dis)abled\)", line):
            found[int(queue[1])] = core
    return found


def policing(system: SystemUnderTest, one: Mapping[str, Any]) -> str:
    """What the switch itself has in force towards the VIF."""
    said = appctl(system, "qos/show", one["port"])
    return next((line.split()[-1] for line in said.splitlines() if line.startswith("QoS:")), "")


def appctl(system: SystemUnderTest, *argv: str) -> str:
    pid = system.pids()["ovs-vswitchd"]
    control = next(system.directory.run.glob(f"ovs-vswitchd*.{pid}.ctl"))
    return system.home.run("ovs-appctl", "-t", str(control), *argv).stdout


def interface_figure(system: SystemUnderTest, one: Mapping[str, Any], name: str) -> int:
    return int(vsctl(system, "get", "Interface", one["port"], f"statistics:{name}"))


def rows_of(system: SystemUnderTest) -> dict[str, list[str]]:
    """What the rows of policers say, whatever their ids."""
    found = {}
    for table in ("QoS", "Queue"):
        said = json.loads(vsctl(system, "--format=json", "--columns=other_config", "list", table))
        found[table] = sorted(json.dumps(row) for row in said["data"] if "cir" in json.dumps(row))
    return found


def vsctl(system: SystemUnderTest, *argv: str) -> str:
    return system.home.run("ovs-vsctl", f"--db=unix:{system.directory.run}/db.sock", *argv).stdout
