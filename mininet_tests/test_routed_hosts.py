"""Routed segments on two hosts in one network with a router outside; VLANs cross it, and no internal segment does.

      h1 (front) h2 (rear)                             (front) h3 h4 (rear)
      h5 (red)             s1 ──── lan9 ──── s2        (red) h6
      h7 (yard)                 │      │               (yard) h8
                               h11     h12

lan9 is a switch as it stands between hosts anywhere. h11 is the next router, with a network behind it; h12 is a host.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab.children import wait_until
from lab.flows import changed
from lab.ping import answers, pinging
from mininet_tests.measure import flows
from mininet_tests.network import Host, WeirNetwork, weir_network
from mininet_tests.topology import UPLINK, Place, Plan, Segment
from mininet_tests.traffic import all_that_came, by_router, connection, flush, mark, tcp, udp, wire_in, wires
from tests.support import frames

LAN = Segment("lan", 9, "outside")
ROUTER, OTHER = Place(11, "lan9", LAN), Place(12, "lan9", LAN)
OWN4, OWN6 = "10.9.0.2", "fd00:9::2"  # the router's of Weir
WAY_OUT = f"uplink: {UPLINK}, address: [{OWN4}/24, '{OWN6}/64'], via: [{ROUTER.v4}, '{ROUTER.v6}']"
FAR4, FAR6 = "198.51.100.7", "2001:db8:7::7"  # behind the next router
FRONT, REAR, EDGE = (
    Segment("front", 4, "routed"),
    Segment("rear", 5, "routed"),
    Segment("edge", 6, "routed", more=WAY_OUT),
)
RED, YARD = Segment("red", 1, "bridged", 10), Segment("yard", 3, "internal")
PLACES = (
    Place(1, "s1", FRONT),
    Place(2, "s1", REAR),
    Place(3, "s2", FRONT),
    Place(4, "s2", REAR),
    Place(5, "s1", RED),
    Place(6, "s2", RED),
    Place(7, "s1", YARD),
    Place(8, "s2", YARD),
)
PLAN = Plan(
    {"s1": ("s1-core",), "s2": ("s2-core",)},
    (("s1-core", "lan9-s1"), ("s2-core", "lan9-s2")),
    (RED, YARD, FRONT, REAR, EDGE),
    PLACES,
    "lan9",
    (ROUTER, OTHER),
)
FAMILIES = ("v4", "v6")
RATE_MBIT = 2.0
LEARNED = "cookie=0x5ee2"


@pytest.fixture(scope="module")
def network() -> Iterator[WeirNetwork]:
    with weir_network(PLAN) as running:
        for outsider in PLAN.outsiders:
            host = running.hosts[outsider.name]
            host.run("ip", "route", "add", "10.4.0.0/15", "via", OWN4)
            host.run("ip", "route", "add", "fd00:4::/31", "via", OWN6)
        router = running.hosts[ROUTER.name]
        router.run("ip", "address", "add", f"{FAR4}/32", "dev", "lo")
        router.run("ip", "address", "add", f"{FAR6}/128", "dev", "lo")
        yield running


@pytest.fixture
def hosts(network: WeirNetwork) -> dict[str, Host]:
    """All may do everything."""
    network.apply(PLAN.policy())
    return network.hosts


@pytest.mark.parametrize("family", FAMILIES)
def test_routed_segments_reach_each_other_from_host_to_host(hosts: dict[str, Host], family: str) -> None:
    """Through two routers, also within one segment, where the router's MAC stands for the other host's interface."""
    for one, others in (("h1", ("h3", "h4")), ("h4", ("h1", "h2"))):
        for other in others:
            address = getattr(hosts[other], family)
            assert "ttl=62" in hosts[one].ping(address)
            assert hosts[one].next_hop(address).endswith(":00:00")
    assert "ttl=63" in hosts["h1"].ping(getattr(hosts["h2"], family))


@pytest.mark.parametrize("v6", [False, True], ids=FAMILIES)
@pytest.mark.parametrize("pair", [("h1", "h4"), ("h1", "h3"), ("h3", "h11"), ("h12", "h2")], ids="-".join)
def test_a_connection_carries_data(hosts: dict[str, Host], pair: tuple[str, str], v6: bool) -> None:
    client, server = (hosts[name] for name in pair)
    with connection(client, server, 8080, v6) as made:
        made.exchange()
        made.transfer(1_000_000)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("outsider", [ROUTER.name, OTHER.name])
def test_the_outside_reaches_all_and_all_reach_it(hosts: dict[str, Host], outsider: str, family: str) -> None:
    """s1 answers for the router's addresses; what is for s2 goes through both. s2 answers straight back."""
    outside = hosts[outsider]
    for name, hops in (("h1", 1), ("h2", 1), ("h3", 2), ("h4", 2)):
        host = hosts[name]
        assert f"ttl={64 - hops}" in host.ping(getattr(outside, family))
        assert "ttl=63" in outside.ping(getattr(host, family))


@pytest.mark.parametrize("address", [FAR4, FAR6])
def test_everything_else_goes_to_the_next_router(hosts: dict[str, Host], address: str) -> None:
    assert "ttl=63" in hosts["h1"].ping(address)
    assert "ttl=62" in hosts["h4"].ping(address)


@pytest.mark.parametrize("address", [OWN4, OWN6])
def test_one_host_alone_answers_for_the_routers_addresses(hosts: dict[str, Host], address: str) -> None:
    outside = hosts[OTHER.name]
    assert "ttl=64" in outside.ping(address)
    with wires(outside) as made:
        outside.run("ip", "neigh", "flush", "dev", outside.device)
        assert "1 received" in outside.ping(address)
        macs = {one.frame[6:12] for one in made[OTHER.name].arrivals() if one.frame[6:7] == b"\x06"}
    assert macs == {frames.mac_bytes(outside.next_hop(address))}


def test_who_sends_too_short_a_packet_is_told_by_the_router_where_it_ends(hosts: dict[str, Host]) -> None:
    h1, h4, outside = hosts["h1"], hosts["h4"], hosts[OTHER.name]
    for family, words in (("v4", "Time to live exceeded"), ("v6", "Time exceeded: Hop limit")):
        address, own = (h4.v4, OWN4) if family == "v4" else (h4.v6, OWN6)
        gateway = FRONT.gateways[family == "v6"]
        assert re.search(f"From {gateway} .*{words}", h1.ping(address, "-t1"))
        assert re.search(f"From {own} .*{words}", h1.ping(address, "-t2"))
        assert "1 received" in h1.ping(address, "-t3")
        assert re.search(f"From {own} .*{words}", outside.ping(address, "-t1"))


@pytest.mark.parametrize(
    ("address", "said"), [("10.5.0.99", "Destination Host Unreachable"), ("fd00:5::99", "Address unreachable")]
)
def test_who_asks_for_nobody_is_told(hosts: dict[str, Host], address: str, said: str) -> None:
    assert said in hosts["h1"].ping(address)
    assert said in hosts[OTHER.name].ping(address)


def test_a_neighbour_outside_that_is_not_there_is_unreachable(hosts: dict[str, Host]) -> None:
    for address, said in (("10.9.0.99", "Destination Host Unreachable"), ("fd00:9::99", "Address unreachable")):
        assert said in hosts["h4"].ping(address, "-W5")


@pytest.mark.parametrize("v6", [False, True], ids=FAMILIES)
@pytest.mark.parametrize("name", ["h1", OTHER.name])
def test_both_sides_judge(network: WeirNetwork, hosts: dict[str, Host], name: str, v6: bool) -> None:
    """h4 takes from segment front and from h12 what its policy names; h1 may send no mail to segment rear."""
    sender, h4 = hosts[name], hosts["h4"]
    address = h4.v6 if v6 else h4.v4
    sender.ping(address)
    router = sender.next_hop(address)
    senders = f"[{{segment: front}}, {OTHER.v4}, '{OTHER.v6}']"
    rules = f"{{direction: ingress, from: {senders}, service: [tcp/80, tcp/25, udp/7]}}"
    network.apply(
        PLAN.policy(
            h4=f"unmatched: deny, rules: [allow: {rules}]",
            h1="unmatched: allow, rules: [deny: {direction: egress, to: {segment: rear}, service: tcp/25}]",
        )
    )
    probes = {f"tcp/{port}": by_router(tcp(sender, h4, port, v6), router) for port in (80, 25, 22)}
    expected = {"tcp/80"} if name == "h1" else {"tcp/80", "tcp/25"}
    assert all_that_came(sender, h4, probes, by_router(udp(sender, h4, 7, v6), router)) == expected


def test_nobody_outside_speaks_for_those_inside_nor_through_the_router_to_the_outside(hosts: dict[str, Host]) -> None:
    outside, router, h4 = hosts[OTHER.name], hosts[ROUTER.name], hosts["h4"]
    outside.ping(h4.v4)
    to = frames.mac_bytes(outside.next_hop(h4.v4))
    forged = {source: mark() for source in (hosts["h1"].v4, hosts["h2"].v4, "10.4.0.77", OWN4)}
    through, true = mark(), mark()
    with wires(outside, router, h4) as made:

        def send(source: str, destination: str, payload: bytes) -> None:
            packet = frames.ipv4(source, destination, frames.UDP, frames.udp(7, 7, payload))
            made[OTHER.name].send(to + frames.mac_bytes(outside.mac) + b"\x08\x00" + packet)

        for source, payload in forged.items():
            send(source, h4.v4, payload)
        send(outside.v4, router.v4, through)
        send(outside.v4, h4.v4, true)
        made["h4"].await_mark(true)
        assert not [source for source, payload in forged.items() if made["h4"].has(payload)]
        assert not made[ROUTER.name].has(through)


def test_no_broadcast_of_a_routed_segment_leaves_its_host(hosts: dict[str, Host]) -> None:
    h1, h3 = hosts["h1"], hosts["h3"]
    own = frames.mac_bytes(h1.mac)
    with wires(h1, h3, hosts[OTHER.name]) as made:
        for payload, eth_type in (
            (frames.arp(1, h1.mac, h1.v4, "10.4.0.77"), 0x0806),
            (lone(h1, "10.4.0.255"), 0x0800),
        ):
            made["h1"].send(frames.ether(h1.mac, frames.BROADCAST, eth_type, payload))
        h1.ping(f"ff02::1%{h1.device}", "-W1")
        assert answers(h1.namespace, h3.v4)
        assert answers(h1.namespace, hosts[OTHER.name].v4)
        for name in ("h3", OTHER.name):
            assert made[name].sent_by(own) == []


def lone(sender: Host, destination: str) -> bytes:
    return frames.ipv4(sender.v4, destination, frames.UDP, frames.udp(7, 7))


def test_a_bridged_segment_crosses_in_its_vlan_and_an_internal_one_does_not(
    network: WeirNetwork, hosts: dict[str, Host]
) -> None:
    h5, h6, h7, h8 = (hosts[name] for name in ("h5", "h6", "h7", "h8"))
    for address in (h6.v4, h6.v6):
        assert answers(h5.namespace, address)
    probe = mark()
    with wire_in(network.ovs.namespace, "s2-core") as link, wires(h5, h6, h7, h8) as made:
        made["h5"].send(udp(h5, h6, 9)(probe))
        made["h7"].send(udp(h7, h8, 9)(mark()))
        assert not answers(h7.namespace, h8.v4, within_s=1)
        flush(h5, made["h5"], made["h6"])
        assert link.vlans(probe) == {RED.vlan}
        for wire in (link, made["h8"]):
            assert wire.sent_by(frames.mac_bytes(h7.mac)) == []


def test_the_controller_dies_and_comes_back_under_routed_traffic(network: WeirNetwork, hosts: dict[str, Host]) -> None:
    h1, h2, h3, h4, outside = (hosts[name] for name in ("h1", "h2", "h3", "h4", OTHER.name))
    with ExitStack() as stack:
        across, within, out, back = stack.enter_context(flows((h1, h4), (h2, h1), (h3, outside), (outside, h2)))
        established = stack.enter_context(connection(h4, h1, 80))
        echoes = [stack.enter_context(pinging(h1.namespace, to, duration_s=6.0)) for to in (h4.v6, ROUTER.v6, FAR4)]
        for flow in (across, within, out, back):
            flow.offer(RATE_MBIT)
        for flow in (across, within, out, back):
            wait_until(lambda flow=flow: flow.receiver.series(flow.port).frames > 0, "traffic under way")  # type: ignore[misc]
        before_s, before = time.monotonic(), {switch: own_flows(network, switch) for switch in PLAN.switches}

        network.controller.kill()
        wait_until(lambda: not network.connected(), "the switches notice")
        established.exchange()
        for gateway in FRONT.gateways:
            assert "1 received" in h1.ping(gateway)
        with connection(h2, h3, 81, v6=True) as new:
            new.exchange()

        network.controller.start()
        wait_until(network.connected, "the switches are back with the controller")
        network.apply(
            PLAN.policy() + "# the same, so that this returns when the new controller has seen both switches\n"
        )
        established.exchange()
        for switch in PLAN.switches:
            assert changed(before[switch], own_flows(network, switch), time.monotonic() - before_s) == []
        for echo in echoes:
            result = echo.result()
            assert (result.sent, result.lost) == (600, 0)
        for flow in (across, within, out, back):
            sent = flow.sender.offer(0).sent
            wait_until(lambda: flow.receiver.series(flow.port).frames == sent, f"all {sent} datagrams")  # noqa: B023
            assert flow.receiver.series(flow.port).missing == 0


def own_flows(network: WeirNetwork, switch: str) -> str:
    """Without what the switch has learned."""
    return "\n".join(line for line in network.flows(switch).splitlines() if LEARNED not in line)
