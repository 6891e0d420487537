"""An objective of latency behind a bottleneck that no policy names: others give way until it holds, and get it back.

The policy says 60 Mbit/s of an uplink behind which only 12 pass, through a queue of 400 ms. What is measured of it here
is what `ping` says, whatever the probes do.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.children import wait_until
from lab.latency import round_trips
from lab.narrow import narrow_way
from lab.outside import Outside
from lab.ping import answers
from lab.system import System
from lab.udp import UdpReceiver, UdpSender

SAID_KBPS, REAL_KBPS, QUEUE_MS = 60_000, 12_000, 400
SURE_KBPS, FLOOD_KBPS = 4_000, 30_000
TARGET_MS = 80.0
ROUTER = "172.16.0.1"
OBJECTIVE = "slo: {latency: 80 ms}, "
POLICY = f"""\
weir: 1
segments:
  edge: {{type: routed, subnets: [10.22.0.0/24], uplink: wan, address: [172.16.0.2/24], via: [{ROUTER}]}}
links:
  wan: {{capacity: 60 mbit}}
classes:
  normal: {{share: 80 %}}
  bulk: {{share: 20 %, dscp: cs1}}
policies:
  acme:
    unmatched: allow
    children:
      quiet: {{{OBJECTIVE}egress: {{guarantee: 2 mbit}}}}
      sure: {{egress: {{guarantee: 4 mbit}}}}
      free: {{rules: [allow: {{direction: egress, service: udp/7003, class: bulk}}]}}
"""
SURE, FREE, BULK = 7001, 7002, 7003  # ports; the last two are one VIF's
FLOODS = {SURE: "sure", FREE: "free", BULK: "free"}
VIFS = ("quiet", "sure", "free")
LEAST_PART = 0.9  # of a guarantee, in frames that came through, in windows of some seconds
WITHIN_S, BACK_S = 60.0, 60.0  # many times what it takes when nobody else has the machine


@dataclass(frozen=True, slots=True)
class Place:
    system: System
    far: Outside
    policy: Path

    def namespace(self, vif: str) -> str:
        return self.system.namespace_of(vif)

    def objective(self) -> dict[str, Any]:
        found: dict[str, Any] = self.system.asked("/v1/objectives")["vifs"]["quiet"]["latency"]
        return found

    def caps(self) -> dict[str, dict[str, int]]:
        links = self.system.asked("/v1/objectives")["links"].values()
        return {name: own for link in links for name, own in link["caps"].items()}

    def median_ms(self) -> float:
        """Of round trips of a second, as the quiet VIF sees them."""
        with round_trips(self.namespace("quiet"), ROUTER, 1.0, 0.05) as measuring:
            return measuring.result().percentile_ms(0.5)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    with ExitStack() as ends:
        outside = ends.enter_context(Outside())
        system = ends.enter_context(System(outside))
        system.weir("up", "--uplink", "wan", "--policy", str(file))
        far = ends.enter_context(narrow_way(outside, "wan", REAL_KBPS, QUEUE_MS, f"{ROUTER}/24"))
        far.run("ip", "route", "add", "10.0.0.0/8", "via", "172.16.0.2")
        for vif in VIFS:
            system.create_vif(vif, f"acme/{vif}", "edge")
        made = Place(system, far, file)
        for vif in VIFS:
            wait_until(lambda vif=vif: answers(made.namespace(vif), ROUTER), f"VIF {vif} reaches the router")
        wait_until(lambda: "quiet" in system.asked("/v1/objectives")["vifs"], "a tick has judged it")
        try:
            yield made
        finally:
            print(system.logs())


@contextmanager
def floods(place: Place) -> Iterator[UdpReceiver]:
    with ExitStack() as ends:
        there = ends.enter_context(UdpReceiver(place.far.name, list(FLOODS)))
        for port, vif in FLOODS.items():
            ends.enter_context(UdpSender(place.namespace(vif), ROUTER, port)).offer(FLOOD_KBPS)
        yield there


def test_others_give_way_until_the_objective_holds_and_get_it_back_slowly(place: Place) -> None:
    system = place.system
    wait_until(lambda: place.objective()["state"] == "held" and not place.caps(), "the objective holds", WITHIN_S)
    before_s = place.objective()["violated_s"]  # of a machine that is busy elsewhere
    with floods(place) as there:
        wait_until(lambda: place.median_ms() > 2 * TARGET_MS, "the round trips are long: nobody has given way yet")
        wait_until(place.caps, "somebody gives way", WITHIN_S)
        (warning,) = [line for line in system.json("status")["warnings"] if "quiet" in line]
        assert "p99 latency" in warning and "objective 80 ms: others on uplink wan of" in warning
        wait_until(lambda: place.median_ms() < TARGET_MS, "the round trips of the quiet VIF are short", WITHIN_S)
        low = place.caps()
        assert "quiet" not in low and low["sure"]["normal"] >= SURE_KBPS
        assert 0 < low["free"]["bulk"] < low["free"]["normal"]  # the later class gives way first
        rates = there.measure(4.0)
        assert rates[SURE] >= LEAST_PART * SURE_KBPS
        assert sum(rates.values()) <= 1.05 * REAL_KBPS and 0 < rates[BULK] < rates[FREE] < 0.5 * REAL_KBPS
        wait_until(lambda: place.objective()["state"] == "held", "the objective holds again", WITHIN_S)
        counted = place.objective()
        assert before_s + 3.0 <= counted["violated_s"] <= counted["known_s"] and counted["since"] > 0
        shown = system.json("vif", "show", "quiet")["slo"]["latency"]
        assert shown["target"] == TARGET_MS and shown["budget"]["used_s"] == pytest.approx(counted["violated_s"], abs=5)
        assert system.json("vif", "show", "free")["class_kbps"] is not None

        more = 1.1 * sum(low["free"].values())
        wait_until(lambda: sum(place.caps().get("free", {}).values()) >= more, "some is given back", BACK_S)
        assert sum(place.caps()["free"].values()) <= REAL_KBPS  # not all at once

        place.policy.write_text(POLICY.replace(OBJECTIVE, ""))
        system.weir("policy", "apply", str(place.policy))
        wait_until(lambda: not place.caps(), "without an objective nobody gives way", WITHIN_S)
        assert system.json("vif", "show", "free")["class_kbps"] is None
        there.await_rates(lambda found: sum(found.values()) >= 0.9 * REAL_KBPS, 2.0, WITHIN_S)
        wait_until(lambda: place.median_ms() > 2 * TARGET_MS, "the round trips are long again")


def test_a_controller_that_hangs_holds_nobody_back(place: Place) -> None:
    with floods(place):
        wait_until(place.caps, "somebody gives way", WITHIN_S)
        wait_until(lambda: place.median_ms() < TARGET_MS, "the round trips of the quiet VIF are short", WITHIN_S)
        pid = place.system.pids()["controller"]
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: place.median_ms() > 2 * TARGET_MS, "nobody is held back: they are long again", WITHIN_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(place.caps, "the controller goes on, and somebody gives way again", WITHIN_S)
