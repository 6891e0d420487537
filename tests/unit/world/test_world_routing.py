"""The router of each host, from the Weir DB."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from controller.compiler.bridge import Bridge
from controller.dataplane.macs import gateway_mac, mac_number, router_mac, vif_mac
from controller.world.desired import World, bridge_of, read_world
from controller.world.members import member
from ovsdb.rows import Chassis, Snapshot, VirtualInterface
from policies.parser import parse

SYSTEM = "abcdef"
POLICY = """weir: 1
segments:
  front: {type: routed, subnets: [10.1.0.0/24, 'fd01::/64'], mtu: 1400}
  edge: {type: routed, subnets: [10.2.0.0/24], gateway: [10.2.0.9], uplink: wan, vlan: 7, address: [192.0.2.2/24],
         via: [192.0.2.1], mtu: 1400}
  office: {type: bridged, uplink: wan}
  lab: {type: internal, subnets: [10.3.0.0/24]}
policies: {p: {}}
"""
NUMBERS = {("segment", "front"): 1, ("segment", "edge"): 2, ("segment", "office"): 3, ("segment", "lab"): 4}


def chassis(name: str, **uplinks: int) -> Chassis:
    return Chassis(name, f"br-{name}", uplink_ports=uplinks)


def vif(number: int, host: str, segment: str, *addresses: str, learned: tuple[str, ...] = ()) -> VirtualInterface:
    made = VirtualInterface(f"v{number}", number, "p", segment, "veth", vif_mac(SYSTEM, number), addresses, host)
    return replace(made, ofport=number, learned=learned)


def on(host: str, hosts: tuple[Chassis, ...], *vifs: VirtualInterface) -> Bridge:
    snapshot = Snapshot(
        files={"p": POLICY},
        other_config={"system-id": SYSTEM},
        numbers={**NUMBERS, ("node", "p"): 1},
        chassis={row.name: row for row in hosts},
        interfaces={one.name: one for one in vifs},
    )
    return bridge_of(read_world(snapshot, World(), 0.0), host, {})


def test_macs_carry_the_system_and_a_number() -> None:
    assert (vif_mac(SYSTEM, 0x1234), gateway_mac(SYSTEM)) == ("02:ab:cd:ef:12:34", "02:ab:cd:ef:00:00")
    first, second = router_mac(SYSTEM, "h1"), router_mac(SYSTEM, "h2")
    assert first.startswith("06:ab:cd:ef:") and second.startswith("06:ab:cd:ef:") and first != second
    assert router_mac(SYSTEM, "h1") == first and mac_number("02:ab:cd:ef:12:34") == 0x02ABCDEF1234


def test_gateways_have_one_mac_and_their_subnets_length() -> None:
    segments = on("h1", (chassis("h1"),)).segments
    found = {str(gateway.address): gateway.mac for gateway in (*segments["front"].gateways, *segments["edge"].gateways)}
    assert found == dict.fromkeys(("10.1.0.1/24", "fd01::1/64", "10.2.0.9/24"), 0x02ABCDEF0000)
    assert [name for name, one in segments.items() if one.is_routed] == ["edge", "front"]
    assert (segments["front"].mtu, segments["lab"].mtu) == (1400, 1500)


def test_the_first_host_that_has_the_uplink_answers_for_the_router() -> None:
    hosts = chassis("a"), chassis("b", wan=100), chassis("c", wan=100)
    ways = {row.name: on(row.name, hosts).segments["edge"] for row in hosts}
    assert {name: one.way_out is not None and one.way_out.answers for name, one in ways.items()} == {
        "a": False, "b": True, "c": False,
    }  # fmt: skip
    assert [name for name, one in ways.items() if one.is_way_out] == ["b", "c"]
    macs = {one.way_out.mac for one in ways.values() if one.way_out is not None}
    assert macs == {mac_number(router_mac(SYSTEM, name)) for name in ways}


def test_two_routers_with_one_mac_on_an_uplink_are_refused() -> None:
    one, other = "h648", "h654"
    assert router_mac(SYSTEM, one) == router_mac(SYSTEM, other)
    hosts = chassis(other, wan=100), chassis(one, wan=100), chassis("h1", wan=100)
    for host in (one, other):
        with pytest.raises(ValueError, match="hosts 'h648' and 'h654': their routers on uplink 'wan' have one MAC"):
            on(host, hosts)
    assert on("h1", hosts).segments["edge"].is_way_out
    assert on(one, (chassis(one, wan=100), chassis(other, lan=100))).segments["edge"].is_way_out


def test_a_host_that_is_away_does_not_answer_for_the_router_while_another_stands() -> None:
    a, b = chassis("a", wan=100), chassis("b", wan=100)

    def answering(*hosts: Chassis) -> list[str]:
        ways = {row.name: on(row.name, hosts).segments["edge"].way_out for row in hosts}
        return [name for name, way in ways.items() if way is not None and way.answers]

    assert answering(a, replace(b, connected=True)) == ["b"]
    assert answering(replace(a, connected=True), replace(b, connected=True)) == ["a"]
    assert answering(a, b) == ["a"]
    assert answering(replace(chassis("0"), connected=True), a, b) == ["a"]


def test_vifs_of_routed_segments_elsewhere_are_behind_their_hosts_routers() -> None:
    hosts = chassis("a", wan=100), chassis("b", wan=100), chassis("c")
    vifs = (
        vif(1, "a", "front", "10.1.0.11/24"),
        vif(2, "b", "front", "10.1.0.12/24", "fd01::12/64"),
        vif(3, "b", "lab", "10.3.0.13/24"),
        vif(4, "c", "edge", "10.2.0.14/24"),
    )
    remote = on("a", hosts, *vifs).remote
    assert [(one.number, one.segment, one.transit) for one in remote] == [(2, "front", "edge"), (4, "edge", None)]
    assert remote[0].addresses == (ip_interface("10.1.0.12/24"), ip_interface("fd01::12/64"))
    assert remote[0].router_mac == mac_number(router_mac(SYSTEM, "b"))


def test_who_is_served_and_who_learns() -> None:
    vifs = (
        vif(1, "a", "front", "10.1.0.11/24"),
        vif(2, "a", "lab", "10.3.0.11/24"),
        vif(3, "a", "office", learned=("203.0.113.5/24",)),
        vif(4, "a", "front", learned=("203.0.113.6/24",)),
    )
    bridge = on("a", (chassis("a", wan=100),), *vifs)
    assert {one.number: one.is_served for one in bridge.vifs} == {1: True, 2: True, 3: False, 4: False}
    assert [name for name, one in bridge.segments.items() if one.learns] == ["office"]
    assert bridge.vifs[2].addresses == (ip_interface("203.0.113.5/24"),)
    assert ip_interface("203.0.113.5/24").ip in bridge.identities.parties["v3"].addresses
    assert bridge.vifs[3].addresses == ()


def test_what_routed_vifs_send_outside_uses_the_routers_uplink() -> None:
    policies = parse({"p": POLICY})
    uplinks = {name: member(vif(1, "a", name), policies).uplink for name in policies.segments}
    assert uplinks == {"front": "wan", "edge": "wan", "office": "wan", "lab": None}
