"""What a packet costs DPDK's polling threads, which are never idle, and the budget that comes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.testpmd import Testpmd
from policies.enforcement import PACKET_COST, PACKET_COST_OF
from policies.packet_budget import ASSUMED_POLLING_NS
from tests.support.ovs_sandbox import wait_until
from tests.support.policed_ports import address_of, near
from tests.support.system import SystemUnderTest
from tests.support.virtual_machine import await_detail

POLICY = """
weir: 1
segments:
  front: {type: routed, subnets: [10.41.0.0/24], mtu: 1400}
policies:
  acme:
    unmatched: allow
    children:
      free: {}
      fixed: {cpu: 0.2 %}
"""
WINDOW_S, LEAD_PACKETS, PATIENCE_S = 4.0, 2000, 60.0
PART = 0.05  # of the budget, how far from it what passes may be
MOST_NS = 100_000  # a packet takes no tenth of a millisecond


@pytest.fixture(scope="module")
def vifs(system: SystemUnderTest) -> dict[str, Any]:
    """As `weir vif show` has them: free and fixed behind vhost-user, peer in a namespace."""
    for name in ("free", "fixed"):
        system.weir("vif", "create", name, "--kind", "vhost-user", "--policy", f"acme/{name}", "--segment", "front")
    system.weir("vif", "create", "peer", "--policy", "acme/free", "--segment", "front")
    return {name: system.json("vif", "show", name) for name in ("free", "fixed", "peer")}


@contextmanager
def flood(system: SystemUnderTest, source: dict[str, Any], target: dict[str, Any]) -> Iterator[None]:
    """As many packets as the application can."""
    socket = Path(source["details"]["socket"])
    socket.unlink(missing_ok=True)
    told = (f"--eth-peer=0,{target['mac']}", f"--tx-ip={address_of(source)},{address_of(target)}")
    with Testpmd(system.directory.namespace, socket, source["mac"], "txonly", told):
        await_detail(system, source["name"], "connected", "true")
        yield
    await_detail(system, source["name"], "connected", "false")


def told(system: SystemUnderTest) -> tuple[int, int]:
    """ns a packet, and of how many."""
    (host,) = system.json("doctor")["chassis"].values()
    return int(host["abilities"][PACKET_COST]), int(host["abilities"][PACKET_COST_OF])


def received(system: SystemUnderTest) -> int:
    namespace = f"{system.directory.namespace}-peer"
    link = system.home.run("ip", "-n", namespace, "-s", "-j", "link", "show", "eth0").stdout
    return int(json.loads(link)[0]["stats64"]["rx"]["packets"])


def test_polling_for_nothing_is_no_cost(system: SystemUnderTest, vifs: dict[str, Any]) -> None:
    assert told(system) == (ASSUMED_POLLING_NS, 0)


def test_the_budget_of_a_measured_cost_is_in_force(system: SystemUnderTest, vifs: dict[str, Any]) -> None:
    with flood(system, vifs["free"], vifs["peer"]):
        wait_until(lambda: told(system)[1], "measured", PATIENCE_S)
    assert 0 < told(system)[0] < MOST_NS
    with flood(system, vifs["fixed"], vifs["peer"]):
        start = received(system)
        wait_until(lambda: received(system) > start + LEAD_PACKETS, "the burst is over", PATIENCE_S)

        def part() -> float:
            """Of the budget, what passed in one window; 0 where it was another at its end."""
            budget = system.json("vif", "show", "fixed")["cpu"]
            before, since_s = received(system), time.monotonic()
            wait_until(lambda: time.monotonic() - since_s > WINDOW_S, "a window of flood")
            passed_pps = (received(system) - before) / (time.monotonic() - since_s)
            now = system.json("vif", "show", "fixed")["cpu"]
            assert now["packets_measured"] > 0
            return passed_pps / budget["budget_pps"] if now == budget else 0.0

        right = pytest.approx(1.0, rel=PART)
        assert near(part, lambda found: bool(found == right)) == right
