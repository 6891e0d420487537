"""Latency, jitter and loss as the agent finds them by probes, beside echo requests of the same time; who sees them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.children import Child, LabError, run, wait_until, within
from lab.latency import RoundTrips, round_trips
from lab.site import Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
  inside: {type: internal, subnets: ['fd00:2::/64']}
  front:
    {type: routed, subnets: [10.4.0.0/24], gateway: [10.4.0.1], uplink: dmz, address: [192.0.2.2/24], via: [192.0.2.1]}
links:
  wan: {capacity: 20 mbit}
classes:
  gold: {share: 60 %}
  normal: {share: 30 %}
  bulk: {share: 10 %}
policies:
  crew:
    unmatched: allow
    slo: {latency: 500 ms}
    children:
      shaped: {egress: {guarantee: 5 mbit, limit: 5 mbit}, buffer: 31250 b}
      classed:
        egress: {guarantee: 5 mbit}
        rules:
          - allow: {name: last, direction: egress, service: {proto: udp, port: 7009}, class: bulk}
      open: {}
  quiet: {unmatched: allow}
"""
VIA = "192.0.2.1"
FULL_MS = 31_250 * 8 / 5_000
DEADLINE_S = 40.0
Path_ = dict[str, Any]


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24", "--uplink", "dmz") as running:
        for name, leaf in (("shaped", "crew/shaped"), ("classed", "crew/classed"), ("quiet", "quiet")):
            running.add_vif(name, leaf, "office")
            running.await_neighbour(name)
        yield running


def path_of(site: Site, name: str) -> Path_ | None:
    found: Path_ | None = site.system.json("vif", "show", name)["path"]
    return found


def await_path(site: Site, name: str, is_right: Callable[[Path_], bool], what: str) -> Path_:
    """Of the last ten seconds, or more where probes are few."""
    last: list[Path_ | None] = [None]

    def found() -> bool:
        last[0] = path_of(site, name)
        return last[0] is not None and is_right(last[0])

    try:
        wait_until(found, what, DEADLINE_S)
    except LabError as fault:
        raise AssertionError(f"{what}: {last[0]}") from fault
    assert last[0] is not None
    return last[0]


def pinged(site: Site, name: str, seconds: float, to: str | None = None) -> RoundTrips:
    """Of the echo requests of so many seconds, from the VIF to the outside."""
    with round_trips(site.vifs[name].namespace, to or site.outside_address, seconds, 0.05) as trips:
        return trips.result()


def test_an_idle_vifs_way_takes_less_than_an_echo_that_crosses_the_switch(site: Site) -> None:
    def compares() -> bool:
        ping = pinged(site, "quiet", 3.0)
        path = await_path(site, "quiet", lambda path: path["latency_ms"]["p99"] is not None, "figures")
        seen.append((path["latency_ms"], ping.percentile_ms(0.5), path["jitter_ms"]))
        return bool(
            0 < path["latency_ms"]["p50"] <= ping.percentile_ms(0.5)
            and path["latency_ms"]["p50"] <= path["latency_ms"]["p99"]
            and path["jitter_ms"] is not None
            and path["loss"] == 0.0
        )

    seen: list[object] = []
    wait_until(compares, f"probes are within echoes: {seen}", DEADLINE_S)


def test_a_full_shaper_is_seen_as_long_as_its_buffer_takes(site: Site) -> None:
    """Ten seconds are judged by, so the flood has lasted longer before the first comparison."""
    with site.sender_at("shaped", 7001) as flood:
        flood.offer(12_000)
        agree(site, "shaped", FULL_MS)


def agree(site: Site, name: str, least_ms: float, to: str | None = None) -> None:
    """Probes and echoes find the same, and it is about as long as the buffer takes."""
    tried, end_s = list[tuple[float, Path_ | None]](), time.monotonic() + DEADLINE_S
    while time.monotonic() < end_s:
        ping_ms = pinged(site, name, 4.0, to).percentile_ms(0.5)
        path = path_of(site, name)
        tried.append((ping_ms, path))
        probed_ms = path["latency_ms"]["p50"] if path is not None else None
        if probed_ms is None or not 0.5 * least_ms <= probed_ms <= 1.25 * least_ms:
            continue
        if probed_ms == pytest.approx(ping_ms, rel=0.25):
            return
    raise AssertionError(f"a full buffer takes {least_ms} ms; echoes and probes: {tried}")


def test_a_full_queue_beyond_the_uplink_is_seen_as_well(site: Site) -> None:
    """At the next router, on the way back: no queue of this host's holds what waits."""
    site.outside.address("dmz", f"{VIA}/24")
    site.outside.run("ip", "route", "add", "10.4.0.0/24", "via", "192.0.2.2")
    vif = site.add_vif("routed", "crew/open", "front")
    site.await_neighbour("routed", VIA)
    limit = ["rate", "5mbit", "burst", "3000", "limit", "31250"]
    site.outside.run("tc", "qdisc", "add", "dev", "dmz", "root", "tbf", *limit)
    before = await_path(site, "routed", lambda path: path["latency_ms"]["p99"] is not None, "figures")
    assert before["latency_ms"]["p50"] < 0.2 * FULL_MS
    with site.sender_outside("routed", 7003) as flood:
        flood.offer(12_000)
        agree(site, vif.name, FULL_MS, VIA)
    site.outside.run("ip", "link", "set", "dmz", "arp", "off")
    await_path(site, "routed", lambda path: (path["loss"] or 0) >= 0.3, "a router that is silent loses everything")


def test_classes_are_told_apart(site: Site) -> None:
    """A flood in the last class fills that class's queue on the uplink, and no other's."""
    with site.sender_at("classed", 7009) as flood:
        flood.offer(40_000)
        path = await_path(
            site,
            "classed",
            lambda path: (
                set(path["classes"]) == {"gold", "normal", "bulk"}
                and (median_ms(path, "bulk") or 0) > 3 * (median_ms(path, "gold") or 1e9)
            ),
            "the flood's own class waits longest",
        )
    assert path["classes"]["gold"]["probes"] > path["classes"]["bulk"]["probes"]  # objectives are for the best


def median_ms(path: Path_, name: str) -> float | None:
    """Of a class; None: too few probes of it yet."""
    found: float | None = path["classes"].get(name, {"latency_ms": {"p50": None}})["latency_ms"]["p50"]
    return found


def test_what_an_instance_does_not_answer_is_lost_and_of_one_that_never_answered_nothing_is_said(site: Site) -> None:
    """An agent that begins anew has not heard of what was before it."""
    silence(site, "shaped", True)
    path = await_path(site, "shaped", lambda path: (path["loss"] or 0) >= 0.6, "most of ten seconds is lost")
    assert path["note"].startswith("the instance does not answer")
    site.system.await_restart("agent", site.system.kill("agent"))
    path = await_path(site, "shaped", lambda path: path["loss"] is None, "nothing is known")
    assert "never answered" in path["note"]
    silence(site, "shaped", False)
    path = await_path(site, "shaped", lambda path: path["latency_ms"]["p50"] is not None, "answers")
    assert path["note"] is None


def test_who_has_no_ipv4_address_is_asked_by_neighbour_discovery(site: Site) -> None:
    site.system.weir("vif", "create", "six", "--policy", "crew/classed", "--segment", "inside")
    path = await_path(site, "six", lambda path: path["latency_ms"]["p99"] is not None, "answers in IPv6")
    assert path["loss"] == 0.0
    site.system.weir("vif", "delete", "six")


def silence(site: Site, name: str, is_silent: bool) -> None:
    where = site.vifs[name].namespace
    run(within(where, ["sysctl", "-qw", f"net.ipv4.conf.all.arp_ignore={8 if is_silent else 0}"]))


def test_nobody_else_sees_probes_and_no_meter_counts_them(site: Site) -> None:
    """At another VIF nothing arrives, outside only what no switch passes on, and the instance remembers nobody."""
    meter_id = site.system.json("vif", "show", "shaped")["number"]
    before = metered(site, meter_id)
    heard: dict[str, list[str]] = {"other": [], "outside": []}
    where = {"other": (site.vifs["quiet"].namespace, "eth0"), "outside": (site.outside.name, "wan")}
    children = [
        Child(there, ["tcpdump", "-lnei", device, "ether[0:4] = 0x0a776569 or ether[6:4] = 0x0a776569"
                      " or ether host 01:80:c2:00:00:0e"], heard[name].append)
        for name, (there, device) in where.items()
    ]  # fmt: skip
    try:
        wait_until(
            lambda: all(any("listening" in line for line in lines) for lines in heard.values()), "tcpdump listens"
        )
        wait_until(lambda: sum("01:80:c2:00:00:0e" in line for line in heard["outside"]) > 60, "probes of the uplink")
    finally:
        for child in children:
            child.end()
    own = site.system.json("vif", "show", "quiet")["mac"]
    assert [line for line in heard["other"] if " > " in line and own not in line] == []
    outside = [line for line in heard["outside"] if " > " in line]
    assert [line for line in outside if "01:80:c2:00:00:0e" not in line] == []
    assert metered(site, meter_id) == before
    neighbours = run(within(site.vifs["shaped"].namespace, ["ip", "neigh"]))
    assert "0a:77:65:69" not in neighbours


def metered(site: Site, meter_id: int) -> str:
    said = site.system.ofctl("meter-stats", f"meter={meter_id}")
    found = re.search(r"packet_in_count:(\d+)", said)
    assert found is not None, said
    return found[1]


def test_probing_begins_with_a_vif_and_ends_with_it(site: Site) -> None:
    site.add_vif("gone", "crew/classed", "office")
    await_path(site, "gone", lambda path: path["latency_ms"]["p50"] is not None, "figures")
    site.system.weir("vif", "delete", "gone")
    await_path(site, "shaped", lambda path: path["loss"] == 0.0, "the others go on")
    assert site.system.problems() == []
