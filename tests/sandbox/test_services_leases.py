"""Addresses that a real server outside gives to VIFs of a segment without subnets are theirs, until they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.children import run, wait_until, within
from lab.outside import Outside
from lab.ping import answers
from lab.system import System
from tests.support.dhcp_clients import Client, dnsmasq

POLICY = """\
weir: 1
segments:
  ext: {type: bridged, uplink: wan, vlan: 8}
policies:
  acme: {unmatched: allow}
"""
VLAN, SERVER4, SERVER6 = 8, "172.16.0.1", "2001:db8:8::1"
RANGES = ("172.16.0.50,172.16.0.90,255.255.255.0,10m", "2001:db8:8::100,2001:db8:8::1ff,slaac,64,10m")


@pytest.fixture(scope="module")
def system(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with Outside() as outside, System(outside) as running:
        running.weir("up", "--uplink", "wan", "--policy", str(policy))
        outside.run("ethtool", "-K", "wan", "tx", "off")
        with outside.tagged("wan", VLAN, f"{SERVER4}/24", f"{SERVER6}/64") as device:
            outside.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
            for name in ("one", "two"):
                running.weir("vif", "create", name, "--policy", "acme", "--segment", "ext")
            with dnsmasq(outside.name, device, tmp_path_factory.mktemp("dnsmasq"), *RANGES):
                try:
                    yield running
                finally:
                    print(running.logs())


@pytest.fixture
def client(system: System, tmp_path: Path) -> Client:
    return Client(system.namespace_of("one"), tmp_path / "client")


def learned(system: System, vif: str = "one") -> list[str]:
    found: list[str] = system.json("vif", "show", vif)["learned"]
    return found


def test_an_address_that_a_vif_gives_itself_gets_nowhere(system: System) -> None:
    namespace = system.namespace_of("two")
    run(within(namespace, ["ip", "address", "add", "172.16.0.200/24", "dev", "eth0"]))
    assert not answers(namespace, SERVER4, within_s=2)
    run(within(namespace, ["ip", "address", "delete", "172.16.0.200/24", "dev", "eth0"]))


def test_an_address_by_dhcp_is_the_vifs_until_it_is_released(system: System, client: Client) -> None:
    with client.dhclient(4) as told:
        own = f"{told['new_ip_address']}/24"
        wait_until(lambda: own in learned(system), f"{own} is learned")
        wait_until(lambda: answers(client.namespace, SERVER4), "traffic passes")
        assert system.outside.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", told["new_ip_address"])
        pid = system.kill("controller")
        system.await_restart("controller", pid)
        assert own in learned(system) and answers(client.namespace, SERVER4)
    wait_until(lambda: own not in learned(system), f"{own} is given up")


def test_an_address_by_dhcp6_is_the_vifs_until_it_is_released(system: System, client: Client) -> None:
    with client.dhclient(6) as told:
        own = f"{told['new_ip6_address']}/128"
        wait_until(lambda: own in learned(system), f"{own} is learned")
        run(within(client.namespace, ["ip", "-6", "route", "replace", "2001:db8:8::/64", "dev", "eth0"]))
        argv = ["ping", "-n", "-c", "1", "-W", "1", "-I", told["new_ip6_address"], SERVER6]
        wait_until(lambda: " 1 received" in run(within(client.namespace, argv), check=False), "traffic passes")
    wait_until(lambda: own not in learned(system), f"{own} is given up")


def test_an_address_that_the_kernel_makes_of_an_advertisement_is_the_vifs(system: System) -> None:
    namespace = system.namespace_of("two")
    for key in ("accept_ra", "autoconf"):
        run(within(namespace, ["sysctl", "-qw", f"net.ipv6.conf.eth0.{key}=1"]))
    run(within(namespace, ["rdisc6", "-1", "-w", "3000", "eth0"]), check=False)
    links = ["ip", "-json", "-6", "address", "show", "dev", "eth0", "scope", "global"]

    def made() -> set[str]:
        return {
            f"{one['local']}/{one['prefixlen']}"
            for link in json.loads(run(within(namespace, links)))
            for one in link.get("addr_info", [])
            if one.get("local", "").startswith("2001:db8:8:")
        }

    wait_until(made, "the kernel has made itself an address")
    wait_until(lambda: made() <= set(learned(system, "two")), "it is learned")
    wait_until(lambda: answers(namespace, SERVER6), "traffic passes")
