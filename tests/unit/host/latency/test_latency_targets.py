"""Whom an agent probes: from policy, VIFs and queues to targets, and from hosts and routes to neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from controller.dataplane.macs import mac_number
from controller.host import desired
from controller.host.latency.frames import host_macs
from controller.host.latency.neighbours import Neighbour
from controller.host.latency.surroundings import MOST_PEERS, neighbours
from controller.host.latency.targets import Target, targets
from controller.host.queue_tree import QueuePlan
from controller.host.wish import Wish, Wishes
from controller.host.wishes import HeldVif
from controller.stream.messages import Rates
from ovsdb.rows import Chassis, VirtualInterface
from policies.model import PolicySet
from policies.parser import parse

POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0, vlan: 30}
  other: {type: bridged, uplink: up0, vlan: 20}
  lab: {type: internal}
  front:
    type: routed
    subnets: [10.40.0.0/24]
    uplink: wan
    vlan: 7
    address: [192.0.2.10/24, 'fd00:c::10/64']
    via: ['fd00:c::1', 192.0.2.1]
classes:
  gold: {share: 60%, dscp: 46}
  normal: {share: 40%}
policies:
  plain: {}
  watched: {slo: {latency: 5 ms}}
  classed:
    ingress: {limit: 10 mbit}
    rules:
      - allow: {name: voice, direction: ingress, service: {proto: udp, port: 5060}, class: gold}
"""
POLICIES = parse({"p.yaml": POLICY})
UPLINKS = {"up0": "eth1", "wan": "eth2"}
ROUTER = 0x0600_0000_0001
SYSTEM = "5a1e37"


def held(number: int, policy: str = "plain", segment: str = "office", **changes: Any) -> HeldVif:
    base = VirtualInterface(
        f"v{number}",
        number,
        policy,
        segment,
        "veth",
        f"02:00:00:00:00:{number:02x}",
        ("10.9.0.7/24", "fd00::7/64"),
        "h1",
    )
    vif = replace(base, **changes)
    return HeldVif(vif, f"wv{number}", desired.limits(vif, POLICIES, Rates()), Path("/run/netns/i"), "eth0")


def found(*vifs: HeldVif, wishes: Wishes | None = None) -> dict[int, Target]:
    return targets(vifs, POLICIES, wishes or Wishes(), UPLINKS, ROUTER)


def tree(device: str) -> Wish:
    return Wish(device, QueuePlan())


def test_a_vif_is_asked_at_its_port_for_its_first_address() -> None:
    assert found(held(7)) == {
        7: Target(7, "wv7", mac_number("02:00:00:00:00:07"), ip_address("10.9.0.7"), ("eth1",), (), 0x0200_0000_0007)
    }
    only6 = found(held(7, addresses=("fd00::7/64",), segment="lab"))[7]
    assert (only6.address, only6.leaves_by) == (ip_address("fd00::7"), ())


def test_who_has_its_address_from_outside_is_asked_for_that() -> None:
    assert found(held(7, addresses=(), learned=("192.0.2.9/24",)))[7].address == ip_address("192.0.2.9")


@pytest.mark.parametrize("changes", [{"addresses": ()}, {"kind": "vhost-user"}, {"kind": "vf"}])
def test_who_cannot_be_asked_is_not(changes: dict[str, Any]) -> None:
    assert found(held(7, **changes)) == {}


def test_a_port_without_queues_is_not_probed() -> None:
    """What is sent there may come out at the switch, as if the instance had sent it."""
    assert found(replace(held(7), queues_on_port=False)) == {}


def test_its_frames_wait_where_its_uplink_has_queues() -> None:
    assert found(held(7), wishes=Wishes({"up0": tree("eth1"), "wan": tree("eth2")}))[7].uplinks == ("eth1",)
    assert found(held(7), wishes=Wishes({"up0": Wish("eth1", None)}))[7].uplinks == ()


def test_behind_the_router_frames_have_its_mac() -> None:
    routed = found(held(7, segment="front"), wishes=Wishes({"wan": tree("eth2")}))[7]
    assert (routed.sender_mac, routed.leaves_by, routed.uplinks) == (ROUTER, ("eth2",), ("eth2",))


def test_objectives_come_from_the_policy() -> None:
    assert found(held(7, "watched"))[7].has_objectives
    assert not found(held(7))[7].has_objectives


def test_classes_count_where_they_have_queues() -> None:
    wishes = Wishes(ingress={7: tree("wv7")})
    divided = found(held(7, "classed", "lab"), wishes=wishes)[7]
    assert [name for name, _ in divided.classes] == ["gold", "normal"]
    assert dict(divided.classes)["gold"] == 46
    assert divided.divides_port
    assert found(held(7, "classed", "lab"))[7].classes == (("normal", 0),)
    assert found(held(7, "plain", "lab"), wishes=wishes)[7].classes == (("normal", 0),)


def hosts(*names: str, uplink: str = "up0") -> list[Chassis]:
    return [Chassis(name, "br0", uplink_ports={uplink: 1}, connected=True) for name in names]


def around(
    hosts: list[Chassis], own: str = "h1", policies: PolicySet = POLICIES, uplinks: Mapping[str, str] = UPLINKS
) -> tuple[tuple[Neighbour, ...], dict[str, int | None], int]:
    return neighbours(policies, uplinks, own, hosts, SYSTEM)


def test_the_next_router_is_asked_ipv4_first_in_its_vlan() -> None:
    assert Neighbour("eth2", ip_address("192.0.2.1"), 7) in around([])[0]
    assert len(around([])[0]) == 1


def test_agents_speak_in_the_least_vlan_of_the_uplink() -> None:
    macs = host_macs(SYSTEM, ("h1", "h2"))
    found, vlans, own = around(hosts("h1", "h2"))
    assert own == macs["h1"]
    assert vlans == {"eth1": 20, "eth2": 7}
    assert Neighbour("eth1", macs["h2"], 20) in found
    untagged = parse({"p.yaml": POLICY.replace(", vlan: 20", "")})
    found, vlans, _ = around(hosts("h1", "h2"), policies=untagged)
    assert vlans["eth1"] is None
    assert Neighbour("eth1", macs["h2"]) in found


def test_hosts_without_the_uplink_are_not_asked_nor_is_anybody_where_no_segment_crosses_it() -> None:
    assert len(around(hosts("h2", uplink="dmz"))[0]) == 1
    assert around(hosts("h2", uplink="dmz"), uplinks={"dmz": "eth3"})[:2] == ((), {"eth3": None})


def test_hosts_that_are_gone_are_not_asked() -> None:
    gone, there = hosts("h2", "h3")
    macs = host_macs(SYSTEM, ("h1", "h2", "h3"))
    asked = {one.who for one in around([replace(gone, connected=False), there])[0]}
    assert macs["h3"] in asked and macs["h2"] not in asked


def test_of_many_hosts_each_is_asked_by_as_many() -> None:
    names = [f"h{number:02}" for number in range(20)]
    macs = host_macs(SYSTEM, names)
    asked = [one.who for name in names for one in around(hosts(*names), name, uplinks={"up0": "eth1"})[0]]
    assert {asked.count(macs[name]) for name in names} == {MOST_PEERS}
