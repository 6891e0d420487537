"""What each class has sent, and what looking costs, as a whole system says it: beside the kernel's own counters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.children import run, wait_until, within
from lab.site import UPLINK, Site
from tests.support.class_counters import ClassCounters

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

POLICY = f"""\
weir: 1
segments:
  office: {{type: bridged, uplink: {UPLINK}, subnets: [10.1.0.0/24]}}
links:
  {UPLINK}: {{capacity: 20 mbit}}
classes:
  gold: {{share: 60 %}}
  normal: {{share: 20 %}}
  bulk: {{share: 20 %}}
policies:
  crew:
    unmatched: allow
    egress: {{guarantee: 5 mbit}}
    rules:
      - allow: {{name: rest, direction: egress, service: udp/7009, class: bulk}}
      - allow: {{name: best, direction: egress, service: udp/7001, class: gold}}
"""
PORT = {"gold": 7001, "bulk": 7009}
RATE_KBPS, ENOUGH_BYTES = 2_000, 100_000
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24") as running:
        running.add_vif("web1", "crew", "office")
        running.await_neighbour("web1")
        wait_until(lambda: PORT.keys() <= classes(running).keys(), "its classes told", DEADLINE_S)
        yield running


def classes(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.system.asked("/v1/vifs")["vifs"].get("web1", {}).get("egress", {}).get("classes", {})
    return found


def passed(site: Site) -> dict[str, int]:
    """Bytes by class."""
    return {name: figures["passed_bytes"] for name, figures in classes(site).items()}


def send(site: Site) -> None:
    """Until each class has sent enough, as the system says it."""
    before = passed(site)
    with site.sender_at("web1", PORT["gold"]) as gold, site.sender_at("web1", PORT["bulk"]) as bulk:
        for sender in (gold, bulk):
            sender.offer(RATE_KBPS)
        wait_until(
            lambda: min(count - before[name] for name, count in passed(site).items() if name in PORT) > ENOUGH_BYTES,
            "enough of both classes",
            DEADLINE_S,
        )
        wait_until(lambda: all(_is_told(classes(site)[name]) for name in PORT), "the rates of both", DEADLINE_S)


def _is_told(figures: dict[str, Any]) -> bool:
    """About what is sent; one second may have more of it than the next."""
    return figures["passed_kbps"] is not None and 0.5 * RATE_KBPS < figures["passed_kbps"] < 2 * RATE_KBPS


def by_kernel(site: Site) -> int:
    """Bytes of all classes of the only VIF that has any."""
    with ClassCounters(Path("/run/netns") / site.system.directory.namespace, UPLINK) as queues:
        return sum(queues.sent().values())


def await_all_told(site: Site) -> None:
    """Probes of the VIF go on, and count in its queues: what the system says is what the kernel said since we came."""
    counted: set[int] = set()

    def all_told() -> bool:
        counted.add(by_kernel(site))
        egress = site.system.asked("/v1/vifs")["vifs"]["web1"]["egress"]
        told = sum(figures["passed_bytes"] for figures in egress["classes"].values())
        return told in counted and egress["backlog_bytes"] == 0

    wait_until(all_told, "what the kernel has counted, and nothing left in the queues", DEADLINE_S)


def test_the_classes_of_a_vif_are_told_apart_and_none_of_their_bytes_is_missed(site: Site) -> None:
    send(site)
    await_all_told(site)
    assert site.system.json("vif", "show", "web1")["cpu_share"] is not None


def test_totals_go_on_when_the_tree_is_made_anew(site: Site) -> None:
    send(site)
    await_all_told(site)
    before = passed(site)
    run(within(site.system.directory.namespace, ["tc", "qdisc", "delete", "dev", UPLINK, "root"]))
    wait_until(lambda: by_kernel(site) < ENOUGH_BYTES, "the tree made anew", DEADLINE_S)
    send(site)
    after = passed(site)
    assert all(after[name] > before[name] + ENOUGH_BYTES for name in PORT), (before, after)


def test_the_loop_tells_what_it_costs_and_keeps_its_pace(site: Site) -> None:
    def told() -> Any:
        loop = site.system.asked("/v1/status")["loop"]
        return loop if loop["cpu_share"] is not None else None

    loop = wait_until(told, "what it costs", DEADLINE_S)
    assert site.system.json("status")["loop"].keys() == loop.keys()
    assert loop["interval_s"] == 1.0 and 0 < loop["cpu_share"] < 1
