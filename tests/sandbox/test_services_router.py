"""What a real kernel hears from the router: ICMP errors, neighbours outside found, held packets not lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.children import run, wait_until, within
from lab.outside import Outside
from lab.ping import answers
from lab.system import System

POLICY = """\
weir: 1
segments:
  red: {type: routed, subnets: [10.1.0.0/24, fd01::/64], uplink: wan, vlan: 7,
        address: [192.0.2.2/24, 2001:db8::2/64], via: [192.0.2.1, 2001:db8::1]}
  green: {type: routed, subnets: [10.3.0.0/24, fd03::/64]}
  lonely: {type: routed, subnets: [10.4.0.0/24, fd04::/64]}
policies:
  acme: {unmatched: allow}
"""
VLAN, ROUTERS, BEHIND = 7, ("192.0.2.1", "2001:db8::1"), ("203.0.113.1", "2001:db8:ffff::1")
GATEWAYS = {4: "10.1.0.1", 6: "fd01::1"}


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[System]:
    """Outside, on VLAN 7, is the next router, and behind it addresses of its own."""
    with Outside() as outside, System(outside) as running:
        running.weir("up", "--uplink", "wan", "--policy", str(policy))
        outside.run("ethtool", "-K", "wan", "tx", "off")
        for address in BEHIND:
            outside.run("ip", "address", "add", address, "dev", "lo")
        with outside.tagged("wan", VLAN, "192.0.2.1/24", "2001:db8::1/64"):
            outside.run("ip", "route", "add", "10.0.0.0/8", "via", "192.0.2.2")
            outside.run("ip", "-6", "route", "add", "fd00::/8", "via", "2001:db8::2")
            running.create_vif("vif", "acme", "red")
            try:
                yield running
            finally:
                print(running.logs())


def ping(system: System, address: str, *options: str) -> str:
    argv = ["ping", "-n", "-c", "1", "-W", "5", *options, address]
    return run(within(system.namespace_of("vif"), argv), check=False)


def version(address: str) -> int:
    return 6 if ":" in address else 4


@pytest.mark.parametrize("address", BEHIND)
def test_the_first_packet_outside_is_not_lost(system: System, address: str) -> None:
    """The next router is asked for before anybody needs it."""
    assert " 1 received" in ping(system, address)


@pytest.mark.parametrize("number", [9, 10])
@pytest.mark.parametrize(("base", "length"), [("192.0.2.", 24), ("2001:db8::", 64)])
def test_the_first_packet_to_a_neighbour_waits_until_it_is_found(
    system: System, base: str, length: int, number: int
) -> None:
    address = f"{base}{number}"
    extra = ["nodad"] if version(address) == 6 else []
    system.outside.run("ip", "address", "add", f"{address}/{length}", "dev", f"vlan{VLAN}", *extra)
    assert " 1 received" in ping(system, address)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("192.0.2.77", "Destination Host Unreachable"),
        ("2001:db8::77", "Destination unreachable: Address unreachable"),
        ("10.3.0.77", "Destination Host Unreachable"),
        ("fd03::77", "Destination unreachable: Address unreachable"),
    ],
)
def test_a_sender_is_told_that_there_is_no_such_host(system: System, address: str, words: str) -> None:
    said = ping(system, address)
    assert f"From {GATEWAYS[version(address)]}" in said and words in said


@pytest.mark.parametrize("address", BEHIND)
def test_the_router_is_seen_on_the_way(system: System, address: str) -> None:
    said = ping(system, address, "-t", "1")
    assert re.search(rf"From {GATEWAYS[version(address)]} .*(Time to live exceeded|Time exceeded: Hop limit)", said)


@pytest.mark.parametrize(("address", "router"), [("10.3.0.77", "192.0.2.2"), ("fd03::77", "2001:db8::2")])
def test_the_outside_is_told_too(system: System, address: str, router: str) -> None:
    said = system.outside.run("ping", "-n", "-c", "1", "-W", "5", address, check=False)
    assert f"From {router}" in said and "nreachable" in said


def test_a_router_that_got_another_mac_is_found_again(system: System) -> None:
    device = f"vlan{VLAN}"
    system.outside.run("ip", "link", "set", device, "address", "02:00:00:00:77:77")
    system.outside.run("ip", "neighbour", "flush", "dev", device)
    wait_until(lambda: answers(system.namespace_of("vif"), BEHIND[0], within_s=1), "it answers under its new MAC", 40.0)


def test_all_that_was_asked_is_counted(system: System) -> None:
    counts = system.asked("/v1/status")["services"]
    assert counts["asked"] >= counts["answered"] > 0 and counts["held"] == 0
