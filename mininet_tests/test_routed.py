"""Routed segments on one switch, which has no uplink: its router, what it answers, and what policy says across it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.children import wait_until
from lab.ping import answers, pinging
from mininet_tests.network import Host, WeirNetwork, weir_network
from mininet_tests.topology import Place, Plan, Segment
from mininet_tests.traffic import Build, all_that_came, by_router, connection, tcp, udp, wires
from tests.support.dhcp_clients import Client

FRONT = Segment("front", 4, "routed", more="dns: [10.4.0.53]")
REAR, YARD = Segment("rear", 5, "routed"), Segment("yard", 3, "internal")
PLACES = (
    Place(1, "s1", FRONT),
    Place(2, "s1", FRONT),
    Place(3, "s1", REAR),
    Place(4, "s1", REAR),
    Place(5, "s1", YARD),
)
PLAN = Plan({"s1": ()}, (), (FRONT, REAR, YARD), PLACES)
SENDER = "unmatched: allow, rules: [deny: {direction: egress, to: {segment: rear}, service: tcp/25}]"
RECEIVER = """
  unmatched: deny, rules: [
    allow: {direction: ingress, from: {policy: h1}, service: [tcp/80, tcp/25, udp/7]},
    reject: {direction: ingress, from: {segment: front}, service: tcp/81},
    allow: {direction: ingress, from: {segment: front}, service: [tcp/443, udp/7]},
    allow: {direction: egress, service: udp/7}]
""".replace("\n", " ")
FAMILIES = ("v4", "v6")


@pytest.fixture(scope="module")
def network() -> Iterator[WeirNetwork]:
    with weir_network(PLAN) as running:
        yield running


@pytest.fixture
def hosts(network: WeirNetwork) -> dict[str, Host]:
    """All may do everything."""
    network.apply(PLAN.policy())
    return network.hosts


@pytest.mark.parametrize("name", ["h1", "h3"])
def test_the_router_answers_for_all_its_addresses_with_one_mac(hosts: dict[str, Host], name: str) -> None:
    host = hosts[name]
    for address in (*FRONT.gateways, *REAR.gateways):
        assert "1 received" in host.ping(address)
    (mac,) = {host.next_hop(address) for address in host.place.segment.gateways}
    assert mac.startswith("02:") and mac.endswith(":00:00")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_routed_has_one_hop_less(hosts: dict[str, Host], family: str) -> None:
    h1, h2, h3 = (hosts[name] for name in ("h1", "h2", "h3"))
    assert "ttl=63" in h1.ping(getattr(h3, family))
    assert "ttl=63" in h3.ping(getattr(h1, family))
    assert "ttl=64" in h1.ping(getattr(h2, family))
    assert "ttl=63" in h1.ping(getattr(h3, family), "-t2")


def test_nothing_is_lost_on_the_way_and_fragments_pass(hosts: dict[str, Host]) -> None:
    h1, h3 = hosts["h1"], hosts["h3"]
    with pinging(h1.namespace, h3.v4, duration_s=1.0) as echo:
        result = echo.result()
    assert (result.sent, result.lost) == (100, 0)
    for address in (h3.v4, h3.v6):
        assert "1 received" in h1.ping(address, "-s4000")


@pytest.mark.parametrize("v6", [False, True], ids=FAMILIES)
def test_a_connection_carries_data_across(hosts: dict[str, Host], v6: bool) -> None:
    with connection(hosts["h1"], hosts["h3"], 8080, v6) as made:
        made.exchange()
        made.transfer(2_000_000)


def test_who_sends_too_short_a_packet_is_told(hosts: dict[str, Host]) -> None:
    h1, h3 = hosts["h1"], hosts["h3"]
    assert re.search(r"From 10\.4\.0\.1 .*Time to live exceeded", h1.ping(h3.v4, "-t1"))
    assert re.search(r"From fd00:4::1 .*Time exceeded: Hop limit", h1.ping(h3.v6, "-t1"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("10.5.0.99", "From 10.4.0.1 .*Destination Host Unreachable"),
        ("fd00:5::99", "From fd00:4::1 .*Destination unreachable: Address unreachable"),
        ("198.51.100.7", "From 10.4.0.1 .*Destination Net Unreachable"),
        ("2001:db8::7", "From fd00:4::1 .*Destination unreachable: No route"),
        ("10.3.0.15", "From 10.4.0.1 .*Destination Net Unreachable"),  # h5, whose segment is not routed
        ("fd00:3::15", "From fd00:4::1 .*Destination unreachable: No route"),
    ],
)
def test_who_asks_for_nobody_is_told(hosts: dict[str, Host], address: str, said: str) -> None:
    assert re.search(said, hosts["h1"].ping(address))


def test_broadcasts_stay_in_their_segment(hosts: dict[str, Host]) -> None:
    h1, h2, h3 = (hosts[name] for name in ("h1", "h2", "h3"))
    with wires(h2, h3) as made:
        h1.run("arping", "-c2", "-w2", "-i", h1.device, h2.v4)
        h1.ping("ff02::1%" + h1.device)
        assert made["h2"].sent_by(bytes.fromhex("020000000001"))
        assert answers(h1.namespace, h3.v4)
        assert not made["h3"].sent_by(bytes.fromhex("020000000001"))


@pytest.mark.parametrize("v6", [False, True], ids=FAMILIES)
def test_both_sides_judge(network: WeirNetwork, hosts: dict[str, Host], v6: bool) -> None:
    """h1 may send no mail to segment rear; h3 takes the web from h1 alone, https from its segment, ping from nobody."""
    h1, h2, h3, h4 = (hosts[name] for name in ("h1", "h2", "h3", "h4"))
    for sender in (h1, h2):
        sender.ping(h3.v6 if v6 else h3.v4)  # it learns the router's MAC
    network.apply(PLAN.policy(h1=SENDER, h3=RECEIVER))
    assert came(h1, h3, v6) == {"tcp/80", "tcp/443"}
    assert came(h2, h3, v6) == {"tcp/443"}
    assert came(h1, h4, v6) == {"tcp/80", "tcp/443", "tcp/22"}
    assert came(h2, h4, v6) == {"tcp/80", "tcp/443", "tcp/22", "tcp/25"}
    assert "0 received" in h1.ping(h3.v6 if v6 else h3.v4, "-W1")


@pytest.mark.parametrize("v6", [False, True], ids=FAMILIES)
def test_replies_pass_and_connections_back_do_not(network: WeirNetwork, hosts: dict[str, Host], v6: bool) -> None:
    network.apply(PLAN.policy(h3=RECEIVER))
    h1, h3 = hosts["h1"], hosts["h3"]
    with connection(h1, h3, 80, v6) as made:
        made.exchange()
        assert came(h3, h1, v6) == set()
        made.exchange()


@pytest.mark.parametrize("v6", [False, True], ids=FAMILIES)
def test_who_is_rejected_is_told(network: WeirNetwork, hosts: dict[str, Host], v6: bool) -> None:
    network.apply(PLAN.policy(h3=RECEIVER))
    h2, h3 = hosts["h2"], hosts["h3"]
    family = socket.AF_INET6 if v6 else socket.AF_INET
    with h2.socket(family, socket.SOCK_STREAM) as caller:
        caller.settimeout(5.0)
        with pytest.raises(ConnectionRefusedError):
            caller.connect((h3.v6 if v6 else h3.v4, 81))


def came(sender: Host, receiver: Host, v6: bool) -> set[str]:
    """Which connections to these ports begin, through the router."""
    address = receiver.v6 if v6 else receiver.v4
    router = sender.next_hop(address)

    def routed(build: Build) -> Build:
        return by_router(build, router)

    probes = {f"tcp/{port}": routed(tcp(sender, receiver, port, v6)) for port in (80, 443, 22, 25)}
    return all_that_came(sender, receiver, probes, routed(udp(sender, receiver, 7, v6)))


def test_a_host_gets_its_addresses_from_weir(network: WeirNetwork, hosts: dict[str, Host], tmp_path: Path) -> None:
    """Its interface has none; then it has those of its VIF, the router, the name server, and reaches others."""
    h2, h3 = hosts["h2"], hosts["h3"]
    h2.run("ip", "address", "flush", "dev", h2.device, "scope", "global")
    network.weir("vif", "delete", "h2")
    network.adopt(h2.place, "--ip", "auto")
    shown = json.loads(network.weir("vif", "show", "h2", "--json"))
    v4, v6 = shown["addresses"]
    client = Client(h2.namespace, tmp_path / "h2", h2.device)
    told = client.udhcpc()
    assert (f"{told['ip']}/{told['mask']}", told["router"], told["dns"]) == (v4, FRONT.gateways[0], "10.4.0.53")
    h2.run("ip", "route", "replace", "default", "via", told["router"])
    assert answers(h2.namespace, h3.v4)
    with client.dhclient(6) as told6:
        assert told6["new_ip6_address"] == v6.partition("/")[0]
        wait_until(lambda: "proto ra" in h2.run("ip", "-6", "route", "show", "default"), "the advertised router")
        assert answers(h2.namespace, h3.v6)
