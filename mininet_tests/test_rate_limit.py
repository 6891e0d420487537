"""A limit holds what floods to its rate, in either direction, and is changed while it does."""

from __future__ import annotations

import pytest

from lab.children import wait_until
from lab.frames import tcp_frame_kbps
from lab.tcp import tcp_flow
from mininet_tests.measure import SETTLE_S, await_rates, flows
from mininet_tests.network import Host, WeirNetwork
from mininet_tests.two_switches import policy

OFFERED_MBIT = 30.0
WINDOW_S = 3.0
TCP_PORT = 5201


@pytest.fixture(scope="module")
def hosts(network: WeirNetwork) -> dict[str, Host]:
    return network.hosts


def limited(**limits: str) -> str:
    return policy(**{name: f"unmatched: allow, {bandwidth}" for name, bandwidth in limits.items()})


def first_two_share_ten(rates: list[float]) -> bool:
    """10 Mbit/s, and the third has the 5 Mbit/s that it offers."""
    return [rates[0] + rates[1], rates[2]] == [pytest.approx(10, rel=0.05), pytest.approx(5, rel=0.05)]


def test_egress_by_a_meter(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    """One meter for all that h1 sends, to its own switch and to the other; h5 beside it is not touched."""
    network.apply(limited(h1="egress: {limit: 10 mbit}"))
    # one that was lower a moment ago rises as soon as it has earned its burst
    wait_until(lambda: "rate=10000" in network.ovs.ofctl("dump-meters", "s1"), "the meter has its new rate")
    with flows((hosts["h1"], hosts["h3"]), (hosts["h1"], hosts["h5"]), (hosts["h5"], hosts["h6"])) as made:
        started_s = max(flow.offer(OFFERED_MBIT if place < 2 else 5.0) for place, flow in enumerate(made))
        await_rates(made, started_s + SETTLE_S, WINDOW_S, first_two_share_ten)


def test_ingress_by_a_queue(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    """Whatever comes to h3 from both switches together; h5 hears h1 as loud as it is."""
    network.apply(limited(h3="ingress: {limit: 10 mbit}"))
    with flows((hosts["h1"], hosts["h3"]), (hosts["h6"], hosts["h3"]), (hosts["h1"], hosts["h5"])) as made:
        started_s = max(flow.offer(rate) for flow, rate in zip(made, (15.0, 15.0, 5.0), strict=True))
        await_rates(made, started_s + SETTLE_S, WINDOW_S, first_two_share_ten)


def test_a_new_limit_under_traffic(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    network.apply(limited(h1="egress: {limit: 12 mbit}"))
    with flows((hosts["h1"], hosts["h3"])) as made:
        (flow,) = made
        started_s = flow.offer(OFFERED_MBIT)
        await_rates(made, started_s + SETTLE_S, 2.0, lambda rates: rates == [pytest.approx(12, rel=0.05)])
        network.apply(limited(h1="egress: {limit: 6 mbit}"))
        changed_s = flow.offer(OFFERED_MBIT)
        await_rates(made, changed_s + SETTLE_S, WINDOW_S, lambda rates: rates == [pytest.approx(6, rel=0.05)])


@pytest.mark.parametrize(("name", "direction"), [("h1", "egress"), ("h3", "ingress")])
def test_a_connection_uses_its_limit(network: WeirNetwork, hosts: dict[str, Host], name: str, direction: str) -> None:
    network.apply(limited(**{name: f"{direction}: {{limit: 10 mbit}}"}))
    h1, h3 = hosts["h1"], hosts["h3"]
    with tcp_flow(h1.namespace, (h3.namespace, h3.v4, TCP_PORT), "cubic", duration_s=3) as connection:
        goodput_kbps = connection.result().goodput_kbps
    assert 0.92 * 10_000 <= tcp_frame_kbps(goodput_kbps) <= 1.05 * 10_000
