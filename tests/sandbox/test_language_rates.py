"""What rules give to traffic on a whole system: rates for each VIF, marks that the receiver sees, classes in queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from controller.host.queue_ids import CLASS_MINORS, DEFAULT_MINOR
from lab.attempts import attempt, marks
from lab.children import wait_until
from lab.frames import UDP_HEADERS_BYTES
from lab.site import UPLINK, Site
from lab.tcp import tcp_flow
from lab.udp import UdpReceiver
from policies.classes import code_points
from policies.parser import parse
from tests.support.class_counters import ClassCounters

OUTSIDE, OUTSIDE6 = "10.1.0.100", "fd00:1::100"
VIFS = ("one", "two")  # of one leaf: each has what the leaf's rules give
CAPPED = {"one": 7001, "two": 7002}
COUNTED = {"one": 7003, "two": 7004}
BOTH = {"one": 7005, "two": 7006}
INWARD, FETCHED = 7007, 5201
PLAIN, REALTIME, BULK, OWN_MARK = 7010, 7011, 7012, 7013
LIMIT_KBPS, INWARD_KBPS, CAPACITY_KBPS = 10_000, 5_000, 30_000
COUNTED_PPS, BOTH_PPS = 500, 200
EF, CS1, AF41, AF42 = 46, 8, 34, 36
POLICY = f"""\
weir: 1
segments:
  office: {{type: bridged, uplink: wan, subnets: [10.1.0.0/24, 'fd00:1::/64']}}
links:
  wan: {{capacity: {CAPACITY_KBPS // 1000} mbit}}
services:
  ping: [icmp/8, icmp6/128]
classes:
  realtime: {{dscp: ef, share: 30 %}}
  normal: {{share: 60 %}}
  bulk: {{dscp: cs1, share: 10 %}}
policies:
  pair:
    rules:
      - allow: {{name: capped, direction: egress, service: udp/7001-7002, limit: 10 mbit}}
      - allow: {{name: counted, direction: egress, service: udp/7003-7004, packets: {COUNTED_PPS} pps}}
      - allow: {{name: both, direction: egress, service: udp/7005-7006, limit: 10 mbit, packets: {BOTH_PPS} pps}}
      - allow: {{name: fetched, direction: egress, service: tcp/{FETCHED}, limit: 2 mbit}}
      - allow: {{name: marked, direction: egress, service: udp/{OWN_MARK}, dscp: af41}}
      - allow: {{direction: egress}}
      - allow: {{name: let-in, direction: ingress, service: udp/{INWARD}, limit: 5 mbit}}
  classed:
    rules:
      - allow: {{name: fast, direction: egress, service: udp/{REALTIME}, class: realtime}}
      - allow: {{name: slow, direction: egress, service: udp/{BULK}, class: bulk}}
      - allow: {{name: own, direction: egress, service: udp/{OWN_MARK}, class: bulk, dscp: af42}}
      - allow: {{direction: egress}}
  sink:
    ingress: {{limit: 20 mbit}}
    rules:
      - allow: {{name: late, direction: ingress, service: udp/{BULK}, class: bulk}}
      - allow: {{name: soon, direction: ingress, service: udp/{REALTIME}, class: realtime}}
      - allow: {{direction: ingress}}
"""
NORMAL = code_points(parse({"policy.yaml": POLICY}))["normal"]
SETTLING_S, WINDOW_S = 1.0, 3.0
SMALL_BYTES = 200


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, f"{OUTSIDE}/24") as running:
        running.outside.address(UPLINK, f"{OUTSIDE6}/64")
        for name, leaf in (("one", "pair"), ("two", "pair"), ("classed", "classed"), ("sink", "sink")):
            running.add_vif(name, leaf, "office")
        for name in ("one", "two", "classed"):
            running.await_neighbour(name)
            running.await_neighbour(name, running.vifs["sink"].address)
        yield running


def await_rates(
    receiver: UdpReceiver, begun_s: float, expected_kbps: Mapping[int, float], tolerance: float = 0.05
) -> None:
    """By port, once what a meter lets through at first has passed."""
    receiver.await_time(begun_s + SETTLING_S)
    expected = {port: pytest.approx(kbps, rel=tolerance) for port, kbps in expected_kbps.items()}
    receiver.await_rates(lambda found: found == expected, WINDOW_S)


def address(site: Site, vif: str, version: int) -> str:
    shown = site.system.json("vif", "show", vif)["addresses"]
    return next(str(one).partition("/")[0] for one in shown if (":" in one) == (version == 6))


def test_a_limit_holds_for_each_vif_apart(site: Site) -> None:
    with site.receiver_outside(list(CAPPED.values())) as receiver, ExitStack() as ends:
        for vif, port in CAPPED.items():
            begun = ends.enter_context(site.sender_at(vif, port)).offer(13_000)
        await_rates(receiver, begun.at_s, dict.fromkeys(CAPPED.values(), LIMIT_KBPS))


def test_packets_hold_for_each_vif_apart_and_beside_a_limit(site: Site) -> None:
    ports = {port: pps for ports, pps in ((COUNTED, COUNTED_PPS), (BOTH, BOTH_PPS)) for port in ports.values()}
    with site.receiver_outside(list(ports)) as receiver, ExitStack() as ends:
        for vif in VIFS:
            for port in (COUNTED[vif], BOTH[vif]):
                sender = ends.enter_context(site.sender_at(vif, port, payload_bytes=SMALL_BYTES))
                begun = sender.offer(2_000)
        frame_kbit = (SMALL_BYTES + UDP_HEADERS_BYTES) * 8e-3
        await_rates(receiver, begun.at_s, {port: pps * frame_kbit for port, pps in ports.items()})


def test_a_limit_holds_for_what_reaches_a_vif(site: Site) -> None:
    with site.receiver_at("one", [INWARD]) as receiver, site.sender_outside("one", INWARD) as sender:
        await_rates(receiver, sender.offer(10_000).at_s, {INWARD: INWARD_KBPS})


def test_replies_are_not_counted(site: Site) -> None:
    """What is fetched over a connection whose own direction has a rate is far beyond that."""
    there = (site.outside.name, OUTSIDE, FETCHED)
    with tcp_flow(site.vifs["one"].namespace, there, "cubic", 2, ["-R", "-b", "15M"]) as fetching:
        assert fetching.result().goodput_kbps >= 0.5 * 15_000  # of 2 Mbit/s that the rule gives


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("whence", "whither", "expected"),
    [
        ("classed", "outside", {PLAIN: NORMAL, REALTIME: EF, BULK: CS1, OWN_MARK: AF42}),
        ("one", "outside", {PLAIN: 0, OWN_MARK: AF41}),
        ("one", "sink", {PLAIN: NORMAL, REALTIME: EF, BULK: CS1, OWN_MARK: NORMAL}),  # the receiver's side is the last
        ("classed", "sink", {OWN_MARK: NORMAL}),
    ],
)
def test_the_receiver_sees_the_mark(
    site: Site, whence: str, whither: str, expected: dict[int, int], version: int
) -> None:
    is_outside = whither == "outside"
    namespace = site.outside.name if is_outside else site.vifs[whither].namespace
    to = {4: OUTSIDE, 6: OUTSIDE6}[version] if is_outside else address(site, whither, version)
    for port, mark in expected.items():
        with marks(namespace, to, port) as came:
            send = partial(attempt, site.vifs[whence].namespace, "udp", to, port, patience_s=0.1)
            wait_until(lambda: (send(), came)[1], "the datagram")  # noqa: B023
        assert set(came) == {mark}, port


@pytest.mark.parametrize(
    ("whither", "device", "rate_kbps"), [("outside", UPLINK, CAPACITY_KBPS), ("sink", None, 20_000)]
)
def test_classes_share_where_traffic_waits(site: Site, whither: str, device: str | None, rate_kbps: int) -> None:
    """On the way out at the uplink, on the way in at the limit of the VIF."""
    ports, sink = {REALTIME: 0.3, PLAIN: 0.6, BULK: 0.1}, site.vifs["sink"]
    namespace = site.outside.name if whither == "outside" else sink.namespace
    to = site.outside_address if whither == "outside" else sink.address
    device = device or f"wv{site.system.json('vif', 'show', 'sink')['number']}"
    minors = {CLASS_MINORS + EF: 0.3, DEFAULT_MINOR: 0.6, CLASS_MINORS + CS1: 0.1}
    with UdpReceiver(namespace, list(ports)) as receiver, ExitStack() as ends:
        place = Path("/run/netns") / site.system.directory.namespace
        queues = ends.enter_context(ClassCounters(place, device))
        for port in ports:
            begun = ends.enter_context(site.sender_at("classed", port, to)).offer(0.8 * rate_kbps)
        await_rates(receiver, begun.at_s, {port: share * rate_kbps for port, share in ports.items()}, tolerance=0.1)
        queues.assert_shares(minors)
