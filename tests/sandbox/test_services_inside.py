"""Real DHCP clients and a real kernel are served what Weir chose for them, on every kind of segment."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from lab.children import Child, run, wait_until, within
from lab.outside import Outside
from lab.system import System
from tests.support import frames
from tests.support.dhcp_clients import Client
from tests.support.switched_lan import Instance

POLICY = """\
weir: 1
segments:
  red: {type: routed, subnets: [10.1.0.0/24, fd01::/64], dns: [10.1.0.53, fd01::53], mtu: 1400}
  blue: {type: internal, subnets: [10.2.0.0/24, fd02::/64]}
  office: {type: bridged, uplink: wan, subnets: [10.9.0.0/24, fd09::/64], dns: [10.9.0.53]}
policies:
  acme: {unmatched: allow}
"""
NETS = {"red": 1, "blue": 2, "office": 9}
NO_GATEWAY = "169.254.169.254"


@pytest.fixture(scope="module")
def system(policy: Path) -> Iterator[System]:
    with Outside() as outside, System(outside) as running:
        running.weir("up", "--uplink", "wan", "--policy", str(policy))
        for segment in NETS:
            running.create_vif(segment, "acme", segment)
        try:
            yield running
        finally:
            print(running.logs())


@pytest.fixture
def client(system: System, request: pytest.FixtureRequest, tmp_path: Path) -> Client:
    return Client(system.namespace_of(request.param), tmp_path / "client")


every_segment = pytest.mark.parametrize("client", NETS, indirect=True)
on_red = pytest.mark.parametrize("client", ["red"], indirect=True)


def without_addresses(client: Client) -> None:
    run(within(client.namespace, ["ip", "address", "flush", "dev", "eth0", "scope", "global"]))


@every_segment
def test_a_dhcp_client_gets_the_address_that_weir_chose(client: Client, request: pytest.FixtureRequest) -> None:
    segment = request.node.callspec.params["client"]
    without_addresses(client)
    told = client.udhcpc()
    net = f"10.{NETS[segment]}.0"
    assert (told["ip"], told["mask"], told["lease"]) == (f"{net}.2", "24", "3600")
    routed = segment == "red"
    assert told["serverid"] == (f"{net}.1" if routed else NO_GATEWAY)
    assert told.get("router") == (f"{net}.1" if routed else None)
    assert told.get("staticroutes") == (f"0.0.0.0/0 {net}.1" if routed else None)
    assert told.get("dns") == (None if segment == "blue" else f"{net}.53")
    assert told["mtu"] == ("1400" if routed else "1500")


@on_red
def test_what_it_got_it_can_use(client: Client, system: System) -> None:
    without_addresses(client)
    client.udhcpc()
    run(within(client.namespace, ["ping", "-c1", "-W5", "-n", "10.1.0.1"]))


@on_red
def test_it_renews_at_its_server(client: Client) -> None:
    """By unicast: the gateway's MAC, and the controller behind it."""
    with client.udhcpc_that_stays() as udhcpc:
        told = client.renew(udhcpc)
        assert (told["ip"], told["serverid"]) == ("10.1.0.2", "10.1.0.1")


@every_segment
def test_another_client_of_both_families_understands_it_too(client: Client, request: pytest.FixtureRequest) -> None:
    net = NETS[request.node.callspec.params["client"]]
    without_addresses(client)
    with client.dhclient(6) as told6:
        assert told6["new_ip6_address"] == f"fd0{net}::2"
        assert told6.get("new_dhcp6_name_servers") == ("fd01::53" if net == 1 else None)
    with client.dhclient(4) as told4:
        assert (told4["new_ip_address"], told4["new_subnet_mask"]) == (f"10.{net}.0.2", "255.255.255.0")
        assert told4.get("new_routers") == ("10.1.0.1" if net == 1 else None)


@every_segment
def test_a_router_solicitation_is_answered(client: Client, request: pytest.FixtureRequest) -> None:
    segment = request.node.callspec.params["client"]
    said = run(within(client.namespace, ["rdisc6", "-1", "-w", "3000", "eth0"]))
    lines = {name.strip(): value.strip() for name, _, value in (line.partition(": ") for line in said.splitlines())}
    assert lines["Stateful address conf."] == lines["Stateful other conf."] == "Yes"
    assert lines["Prefix"] == f"fd0{NETS[segment]}::/64" and lines["Autonomous address conf."] == "No"
    assert lines["Router lifetime"].split()[0] == ("9000" if segment == "red" else "0")
    assert lines["MTU"].split()[0] == ("1400" if segment == "red" else "1500")
    assert lines.get("Recursive DNS server") == ("fd01::53" if segment == "red" else None)


@on_red
def test_who_asks_all_for_the_gateway_without_saying_its_own_mac_is_answered(client: Client, system: System) -> None:
    """No entry of the switch can lengthen a packet: the controller answers."""
    shown = system.json("vif", "show", "red")
    own = next(str(ip_interface(address).ip) for address in shown["addresses"] if ":" in address)
    asked = frames.solicit(own, "ff02::1:ff00:1", "fd01::1", None)
    with Instance(client.namespace, shown["mac"]).raw() as raw:
        raw.send(frames.ether(shown["mac"], "33:33:ff:00:00:01", 0x86DD, asked))
        answer = next(frame for frame in iter(lambda: raw.recv(2000), b"") if frame[54:55] == b"\x88")
    router = answer[6:12]
    assert answer[62:] == ip_address("fd01::1").packed + b"\x02\x01" + router and answer[58] == 0xE0
    assert (answer[:6], answer[38:54]) == (frames.mac_bytes(shown["mac"]), ip_address(own).packed)


@on_red
def test_what_changes_is_advertised_unasked(client: Client, system: System, policy: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    argv = ["tcpdump", "-l", "-n", "-v", "-i", "eth0", "icmp6 and ip6[40] == 134"]
    changed = tmp_path / "changed.yaml"
    changed.write_text(POLICY.replace("fd01::53", "fd01::54"))
    with Child(client.namespace, argv, heard.append):
        wait_until(lambda: any("listening on" in line for line in heard), "tcpdump listens")
        system.weir("policy", "apply", str(changed))
        wait_until(lambda: any("fd01::54" in line for line in heard), "the new name server is advertised")
    system.weir("policy", "apply", str(policy))


@on_red
def test_while_no_controller_runs_nothing_is_lost_that_was_given(client: Client, system: System) -> None:
    client.udhcpc()
    pid = system.kill("controller")
    run(within(client.namespace, ["ping", "-c1", "-W5", "-n", "10.1.0.1"]))
    system.await_restart("controller", pid)
    client.udhcpc()
    assert system.asked("/v1/status")["services"]["answered"] >= 2
