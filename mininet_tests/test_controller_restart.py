"""The controller dies and comes back under traffic: no packet is lost, and no flow entry or meter is written anew."""

from __future__ import annotations

import re
import time

import pytest

from controller.dataplane.meter_ids import VIF_METERS
from lab.children import wait_until
from lab.flows import changed
from lab.flows import flows as parsed
from lab.ping import pinging
from mininet_tests.measure import flows
from mininet_tests.network import WeirNetwork
from mininet_tests.traffic import all_that_came, connection, tcp
from mininet_tests.two_switches import SWITCHES, policy

POLICY = policy(
    h1="unmatched: allow, egress: {limit: 40 mbit}", h3="unmatched: allow, rules: [deny: {service: tcp/22}]"
)
RATE_MBIT = 2.0


@pytest.fixture(scope="module", autouse=True)
def limits_and_rules(network: WeirNetwork) -> None:
    network.apply(POLICY)


def meter_packets(network: WeirNetwork, switch: str) -> dict[int, int]:
    """Packets counted by the meter of each VIF that has one; one that is modified begins at 0 again."""
    dump = network.ovs.ofctl("meter-stats", switch)
    counts = re.findall(r"meter:(\d+).*?packet_in_count:(\d+)", dump, re.DOTALL)
    return {int(meter): int(count) for meter, count in counts if int(meter) in VIF_METERS}


def test_traffic_flows_on_and_the_switches_stay_as_they_are(network: WeirNetwork) -> None:
    h1, h3, h5 = (network.hosts[name] for name in ("h1", "h3", "h5"))
    with (
        flows((h1, h3)) as (flow,),
        connection(h5, h3, 80) as established,
        pinging(h5.namespace, h3.v6, duration_s=6.0) as echo,
    ):
        flow.offer(RATE_MBIT)
        wait_until(lambda: flow.receiver.series(flow.port).frames > 0, "traffic under way")
        before_s, before = time.monotonic(), {switch: network.flows(switch) for switch in SWITCHES}
        metered = meter_packets(network, "s1")

        network.controller.kill()
        wait_until(lambda: not network.connected(), "the switches notice")
        established.exchange()
        assert all_that_came(h1, h3, {"tcp/80": tcp(h1, h3, 80), "tcp/22": tcp(h1, h3, 22)}) == {"tcp/80"}

        network.controller.start()
        wait_until(network.connected, "the switches are back with the controller")
        network.apply(POLICY + "# the same, so that this returns when the new controller has seen both switches\n")
        established.exchange()
        for switch in SWITCHES:
            assert changed(before[switch], network.flows(switch), time.monotonic() - before_s) == []
            assert len(parsed(before[switch])) > 50
        after = meter_packets(network, "s1")
        assert after.keys() == metered.keys() and len(after) == 1
        assert all(count >= metered[meter] > 0 for meter, count in after.items())

        result = echo.result()
        assert (result.sent, result.lost) == (600, 0)
        sent = flow.sender.offer(0).sent
        wait_until(lambda: flow.receiver.series(flow.port).frames == sent, f"all {sent} datagrams")
        assert flow.receiver.series(flow.port).missing == 0
