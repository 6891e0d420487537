"""What shares no queue is kept by the loop: limits of inner nodes between VIFs of one host, and towards VIFs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.children import wait_until
from lab.site import Site
from lab.udp import UdpReceiver, UdpSender

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
  lab: {type: internal, subnets: [10.2.0.0/24]}
links:
  wan: {capacity: 60 mbit}
policies:
  team:
    unmatched: allow
    egress: {limit: 24 mbit}
    children:
      big: {egress: {guarantee: 12 mbit, limit: 30 mbit}}
      small: {egress: {guarantee: 3 mbit, limit: 30 mbit, weight: 2}}
  crew:
    unmatched: allow
    ingress: {limit: 18 mbit}
    children:
      heavy: {ingress: {limit: 30 mbit, weight: 2}}
      light: {ingress: {limit: 30 mbit}}
  sink: {unmatched: allow}
"""
TEAM_EGRESS_KBPS, CREW_INGRESS_KBPS = 24_000, 18_000
SHARES_KBPS = {"big": 12_000 + 3_000, "small": 3_000 + 6_000}  # the 9 Mbit/s that are left, by weight 1 : 2
PORT = {"big": 7001, "small": 7002}
CREW_PORT = {"heavy": 7003, "light": 7004}
WINDOW_S = 5.0


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24") as running:
        for name in ("big", "small"):
            running.add_vif(name, f"team/{name}", "lab")
        for name in ("heavy", "light"):
            running.add_vif(name, f"crew/{name}", "office")
            running.await_neighbour(name)
        running.add_vif("sink", "sink", "lab")
        for name in ("big", "small"):
            running.await_neighbour(name, running.vifs["sink"].address)
        yield running


@pytest.fixture
def receiver(site: Site) -> Iterator[UdpReceiver]:
    with site.receiver_at("sink", list(PORT.values())) as counting:
        yield counting


def settled(receiver: UdpReceiver, wanted_kbps: float) -> dict[int, float]:
    """Waits until the sum of all is near what is wanted over a tick, then measures a window."""
    wait_until(
        lambda: sum(receiver.measure(1.0).values()) == pytest.approx(wanted_kbps, rel=0.1), "the loop acts", 10.0
    )
    return receiver.measure(WINDOW_S)


def test_a_limit_on_local_traffic_is_kept_by_the_loop(site: Site, receiver: UdpReceiver) -> None:
    with ExitStack() as ends:
        for name, port in PORT.items():
            sender = ends.enter_context(site.sender_at(name, port, to=site.vifs["sink"].address))
            sender.offer(40_000)
        arrived = settled(receiver, TEAM_EGRESS_KBPS)
        wait_until(lambda: all(is_cut(site, name) for name in PORT), f"the figures show it: {site.figures()}")
    assert sum(arrived.values()) == pytest.approx(TEAM_EGRESS_KBPS, rel=0.1)
    for name, port in PORT.items():
        assert arrived[port] == pytest.approx(SHARES_KBPS[name], rel=0.1)


def is_cut(site: Site, name: str) -> bool:
    """Whether it is shown to offer more than it is allocated, which is what the law says."""
    shown = site.system.json("vif", "show", name)["egress"]
    is_lawful = shown["allocated_kbps"] == pytest.approx(SHARES_KBPS[name], rel=0.05)
    return is_lawful and shown["offered_kbps"] > 1.1 * shown["allocated_kbps"]


def test_alone_a_vif_may_have_all_of_it_and_gives_way(site: Site, receiver: UdpReceiver) -> None:
    to = site.vifs["sink"].address
    with site.sender_at("small", PORT["small"], to=to) as small, site.sender_at("big", PORT["big"], to=to) as big:
        small.offer(40_000)
        assert settled(receiver, TEAM_EGRESS_KBPS)[PORT["small"]] == pytest.approx(TEAM_EGRESS_KBPS, rel=0.1)
        back = big.offer(40_000)
        receiver.await_time(back.at_s + 6)
    series = {name: receiver.series(port) for name, port in PORT.items()}
    assert series["big"].longest_below_s(0.9 * 12_000, back.at_s, back.at_s + 6) <= 1.0
    for name, one in series.items():
        assert one.kbps(back.at_s + 3, back.at_s + 6) == pytest.approx(SHARES_KBPS[name], rel=0.1)


def test_a_limit_on_what_reaches_several_vifs_is_kept_by_the_loop(site: Site) -> None:
    with ExitStack() as ends:
        receivers: dict[str, UdpReceiver] = {}
        senders: list[UdpSender] = []
        for name, port in CREW_PORT.items():
            receivers[name] = ends.enter_context(site.receiver_at(name, [port]))
            senders.append(ends.enter_context(site.sender_outside(name, port)))
        begun = [sender.offer(30_000) for sender in senders][-1]
        for receiver in receivers.values():
            receiver.await_time(begun.at_s + 3 + WINDOW_S)
        span = begun.at_s + 3, begun.at_s + 3 + WINDOW_S
        arrived = {name: one.series(CREW_PORT[name]).kbps(*span) for name, one in receivers.items()}
    assert sum(arrived.values()) == pytest.approx(CREW_INGRESS_KBPS, rel=0.1)
    assert arrived["heavy"] == pytest.approx(2 * arrived["light"], rel=0.1)
