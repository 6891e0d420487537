"""Hosts of a segment reach each other, on one switch and across the link, over IPv4 and IPv6."""

from __future__ import annotations

import pytest

from lab.ping import answers, pinging
from mininet_tests.network import WeirNetwork
from mininet_tests.traffic import connection
from mininet_tests.two_switches import policy

PAIRS = (("h1", "h5"), ("h3", "h6"), ("h1", "h3"), ("h6", "h5"), ("h2", "h4"), ("h7", "h8"))


@pytest.fixture(scope="module", autouse=True)
def everything_allowed(network: WeirNetwork) -> None:
    network.apply(policy())


@pytest.mark.parametrize("family", ["v4", "v6"])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_echo_requests_are_answered(network: WeirNetwork, pair: tuple[str, str], family: str) -> None:
    first, second = (network.hosts[name] for name in pair)
    assert answers(first.namespace, getattr(second, family))
    assert answers(second.namespace, getattr(first, family))


def test_nothing_is_lost_or_sent_twice(network: WeirNetwork) -> None:
    h1, h3 = network.hosts["h1"], network.hosts["h3"]
    with pinging(h1.namespace, h3.v4, duration_s=1.0) as echo:
        result = echo.result()
    assert (result.sent, result.lost) == (100, 0)


def test_large_packets_pass_in_fragments(network: WeirNetwork) -> None:
    h1, h3 = network.hosts["h1"], network.hosts["h3"]
    for address in (h3.v4, h3.v6):
        h1.run("ping", "-c1", "-W5", "-s4000", address)


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_a_connection_carries_data(network: WeirNetwork, v6: bool) -> None:
    with connection(network.hosts["h1"], network.hosts["h3"], 8080, v6) as made:
        made.exchange()
        made.transfer(2_000_000)
