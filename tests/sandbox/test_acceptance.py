"""What the policy promises, measured by those who receive: limits, guarantees, weights, and who takes what is free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab.children import wait_until
from lab.site import Site
from lab.tcp import has_congestion_control, tcp_flow
from lab.udp import UdpReceiver, UdpSender

CAPACITY_KBPS = 60_000
GUARANTEE_KBPS = {"red": 15_000, "green": 9_000, "blue": 6_000}
LIMIT_KBPS = {"red": 50_000, "green": 40_000, "blue": 30_000}
WEIGHT = {"red": 1, "green": 3, "blue": 1}
PORT = {"red": 7001, "green": 7002, "blue": 7003}
POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
links:
  wan: {capacity: 60 mbit}
policies:
  red:   {unmatched: allow, egress: {guarantee: 15 mbit, limit: 50 mbit}, ingress: {limit: 20 mbit}}
  green: {unmatched: allow, egress: {guarantee: 9 mbit, limit: 40 mbit, weight: 3}}
  blue:  {unmatched: allow, egress: {guarantee: 6 mbit, limit: 30 mbit}}
"""
SETTLING_S = 1.0  # of the queues that a flood fills first
WINDOW_S = 4.0
PATIENCE_S = 60.0  # until a machine with other work leaves a connection alone for 4 s


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24") as running:
        for tenant in PORT:
            running.add_vif(tenant, tenant, "office")
            running.await_neighbour(tenant)
        yield running


@pytest.fixture
def receiver(site: Site) -> Iterator[UdpReceiver]:
    with site.receiver_outside(list(PORT.values())) as counting:
        yield counting


@contextmanager
def senders(site: Site) -> Iterator[Mapping[str, UdpSender]]:
    with ExitStack() as ends:
        yield {tenant: ends.enter_context(site.sender_at(tenant, port)) for tenant, port in PORT.items()}


def shares(active: set[str]) -> dict[str, float]:
    """Guarantee and weighted part of the rest; no limit is in the way of these numbers."""
    rest = CAPACITY_KBPS - sum(GUARANTEE_KBPS[one] for one in active)
    weights = sum(WEIGHT[one] for one in active)
    return {one: GUARANTEE_KBPS[one] + rest * WEIGHT[one] / weights for one in active}


def allocated(site: Site) -> dict[str, int | None]:
    return {tenant: site.figures()[tenant]["allocated_kbps"] for tenant in PORT}


@pytest.mark.parametrize("tenant", PORT)
def test_a_flood_of_three_times_the_limit_arrives_at_the_limit(site: Site, receiver: UdpReceiver, tenant: str) -> None:
    with site.sender_at(tenant, PORT[tenant]) as sender:
        receiver.await_time(sender.offer(3 * LIMIT_KBPS[tenant]).at_s + SETTLING_S)
        limit = pytest.approx(LIMIT_KBPS[tenant], rel=0.05)
        receiver.await_rates(lambda arrived: arrived[PORT[tenant]] == limit, WINDOW_S)


@pytest.mark.parametrize("congestion", ["cubic", "bbr"])
@pytest.mark.parametrize("tenant", ["red", "blue"])
def test_a_tcp_flow_uses_its_limit(site: Site, tenant: str, congestion: str) -> None:
    if not has_congestion_control(congestion):
        pytest.skip(f"this kernel has no {congestion}")
    there = (site.outside.name, site.outside_address, 5201)

    def goodput_kbps() -> float:
        with tcp_flow(site.vifs[tenant].namespace, there, congestion, 4) as flow:
            return flow.result().goodput_kbps

    wait_until(
        lambda: goodput_kbps() >= 0.92 * LIMIT_KBPS[tenant],
        "a connection that others leave alone uses its limit",
        PATIENCE_S,
    )


def test_what_reaches_a_vif_is_held_to_its_limit(site: Site) -> None:
    with site.receiver_at("red", [7011]) as receiver, site.sender_outside("red", 7011) as sender:
        receiver.await_time(sender.offer(60_000).at_s + SETTLING_S)
        receiver.await_rates(lambda arrived: arrived[7011] == pytest.approx(20_000, rel=0.05), WINDOW_S)


def test_contention_gives_guarantees_first_and_the_rest_by_weight(site: Site, receiver: UdpReceiver) -> None:
    with senders(site) as sending:
        begun = [sender.offer(1.5 * LIMIT_KBPS[tenant]) for tenant, sender in sending.items()][-1]
        receiver.await_time(begun.at_s + SETTLING_S)
        receiver.await_rates(
            lambda arrived: is_lawful({one: arrived[port] for one, port in PORT.items()}), 2 * WINDOW_S
        )
        law = {tenant: pytest.approx(share, rel=0.02) for tenant, share in shares(set(PORT)).items()}
        wait_until(lambda: allocated(site) == law, f"the loop allocates what the law says, {shares(set(PORT))}")


def is_lawful(arrived: Mapping[str, float]) -> bool:
    """Everyone has its guarantee, nearly all is used, and what is beyond the guarantees is divided by weight."""
    beyond = {tenant: kbps - GUARANTEE_KBPS[tenant] for tenant, kbps in arrived.items()}
    parts = {tenant: weight / sum(WEIGHT.values()) for tenant, weight in WEIGHT.items()}
    return (
        all(kbps >= 0.95 * GUARANTEE_KBPS[tenant] for tenant, kbps in arrived.items())
        and sum(arrived.values()) >= 0.93 * CAPACITY_KBPS
        and beyond == {tenant: pytest.approx(part * sum(beyond.values()), rel=0.10) for tenant, part in parts.items()}
    )


def test_others_take_what_one_leaves_and_give_it_back(site: Site, receiver: UdpReceiver) -> None:
    with senders(site) as sending:
        for tenant, sender in sending.items():
            begun = sender.offer(1.5 * LIMIT_KBPS[tenant])
        receiver.await_time(begun.at_s + 2)
        left = sending["green"].offer(0)
        receiver.await_time(left.at_s + 5)
        back = sending["green"].offer(1.5 * LIMIT_KBPS["green"])
        receiver.await_time(back.at_s + 5)
    # within three ticks: the two after them show what holds by then
    for tenant, share in shares({"red", "blue"}).items():
        taken = receiver.series(PORT[tenant]).kbps(left.at_s + 3, left.at_s + 5)
        assert taken == pytest.approx(min(share, LIMIT_KBPS[tenant]), rel=0.05)
    for tenant, share in shares(set(PORT)).items():
        series = receiver.series(PORT[tenant])
        assert series.kbps(back.at_s + 3, back.at_s + 5) == pytest.approx(share, rel=0.05)
        from_s = back.at_s if tenant == "green" else left.at_s - 1
        assert series.longest_below_s(0.9 * GUARANTEE_KBPS[tenant], from_s, back.at_s + 5) <= 1.0
