"""A share of processor time in a running system: the packets that it is good for, measured anew with the traffic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from controller.host.packet_cost import DRIFT
from lab.children import run, wait_until, within
from lab.site import Site
from lab.udp import UdpSender
from policies.packet_budget import ASSUMED_NS

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
policies:
  fixed: {unmatched: allow, cpu: 2 %}
  free: {unmatched: allow}
"""
SHARE_NS = 20_000_000  # of a second
CROWD = 24
OUT, IN, OTHER = 7001, 7002, 7003
PAYLOAD_BYTES, FRAMES_A_KBIT = 8, 2.5
PART = 0.05  # of a budget, how far from it what passes may be
LEAD_S, WINDOW_S, WINDOWS = 1.0, 2.0, 12
BURST_S = 0.2  # of a meter
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    policy: Path = tmp_path_factory.mktemp("policy") / "p.yaml"
    policy.write_text(POLICY)
    with Site(policy, "10.1.0.100/24") as running:
        running.add_vif("fixed", "fixed", "office")
        for name in ("x", "y"):
            running.add_vif(name, "free", "office")
        crowd = ["--policy", "free", "--segment", "office"]
        running.system.weir("vif", "create", "z", "--count", str(CROWD), *crowd)
        for name in ("fixed", "y"):
            running.await_neighbour(name, running.vifs["x"].address)
        running.await_neighbour("y", running.vifs["fixed"].address)
        run(within(running.vifs["x"].namespace, ["ip", "route", "add", "239.0.0.0/8", "dev", "eth0"]))
        yield running


def budget(site: Site) -> dict[str, Any]:
    shown: dict[str, Any] = site.system.json("vif", "show", "fixed")["cpu"]
    assert (shown["share"], shown["node"]) == (0.02, "fixed")
    assert shown["budget_pps"] == int(SHARE_NS / shown["packet_ns"])
    return shown


def offering(site: Site, source: str, target: str, port: int, pps: float) -> UdpSender:
    sender = site.sender_at(source, port, to=target, payload_bytes=PAYLOAD_BYTES)
    sender.offer(pps / FRAMES_A_KBIT)
    return sender


def in_force(site: Site) -> dict[str, Any]:
    """What the VIF sends and receives together is its budget, while more of both is offered. Returns the budget.

    A window in which the machine was too busy to offer, or to carry, is too low and is no proof; none may be too high.
    """
    shown, seen = budget(site), list[float]()
    with ExitStack() as flows:
        at_x, at_fixed = site.receiver_at("x", [OUT]), site.receiver_at("fixed", [IN])
        for receiver in (at_x, at_fixed):
            flows.enter_context(receiver)
        pps = 1.5 * shown["budget_pps"]
        flows.enter_context(offering(site, "fixed", site.vifs["x"].address, OUT, pps))
        flows.enter_context(offering(site, "y", site.vifs["fixed"].address, IN, pps))
        for _ in range(WINDOWS):
            from_s = time.monotonic() + LEAD_S
            to_s = from_s + WINDOW_S
            for receiver in (at_x, at_fixed):
                receiver.await_time(to_s)
            ways = [at_x.series(OUT).kbps(from_s, to_s), at_fixed.series(IN).kbps(from_s, to_s)]
            before, shown = shown, budget(site)
            if before != shown:
                continue
            passed = sum(ways) * FRAMES_A_KBIT / shown["budget_pps"]
            assert passed <= (1 + PART) * (1 + BURST_S / WINDOW_S), (shown, ways)
            seen.append(passed)
            if abs(passed - 1) <= PART and min(ways) > 0:
                return shown
    raise AssertionError(f"{shown}: what passed, as parts of it: {seen}")


def test_until_anything_is_measured_the_budget_is_of_an_assumed_cost(site: Site) -> None:
    shown = in_force(site)
    assert (shown["packet_ns"], shown["packets_measured"]) == (ASSUMED_NS, 0)
    words = site.system.weir("vif", "show", "fixed")
    assert "2 % of a core (fixed): 1000 pps of both directions, at 20000 ns a packet, assumed until measured" in words


def test_the_budget_follows_what_packets_cost(site: Site) -> None:
    """Packets that reach one VIF each, then packets that each reach many."""
    with offering(site, "x", site.vifs["y"].address, OTHER, 8000):
        single = wait_until(lambda: (one := budget(site))["packets_measured"] and one, "measured", PATIENCE_S)
    assert single["packet_ns"] != ASSUMED_NS
    single = in_force(site)
    with offering(site, "x", "239.1.2.3", OTHER, 3000):
        least_ns = (1 + DRIFT) * single["packet_ns"]
        many = wait_until(lambda: (one := budget(site))["packet_ns"] > least_ns and one, "dearer", PATIENCE_S)
    assert many["budget_pps"] < single["budget_pps"]
    assert in_force(site)["packets_measured"] > 0


@pytest.mark.parametrize("name", ["ovs-vswitchd", "controller", "agent"])
def test_a_restart_keeps_it(site: Site, name: str) -> None:
    with offering(site, "x", site.vifs["y"].address, OTHER, 8000):
        wait_until(lambda: budget(site)["packets_measured"], "measured", PATIENCE_S)
    site.system.await_restart(name, site.system.kill(name))
    site.await_neighbour("fixed", site.vifs["x"].address)
    assert in_force(site)["packets_measured"] > 0
