"""What a host keeps of numbers that the loop has moved."""

from __future__ import annotations

from dataclasses import replace

from controller.host import desired
from controller.stream.messages import Rates
from ovsdb.rows import Snapshot, VirtualInterface
from policies.model import Direction
from policies.parser import parse

POLICIES = parse(
    {
        "p": """
weir: 1
segments: {office: {type: bridged, uplink: up0}}
links: {up0: {capacity: 100 mbit}}
policies:
  web:
    egress: {guarantee: 10 mbit}
    autoscale: {guarantee: {min: 5 mbit, max: 80 mbit}, up: 90 % for 2 s, down: 40 % for 4 s}
    buffer: {min: 16 kib, max: 64 kib}
    cpu: {min: 10 %, max: 50 %}
  other: {egress: {guarantee: 40 mbit}}
"""
    }
)


def vif(number: int, policy: str, **scaled: int) -> VirtualInterface:
    mac = f"02:00:00:00:00:{number:02x}"
    return VirtualInterface(f"v{number}", number, policy, "office", "veth", mac, (), "h1", scaled=scaled)


def snapshot(*vifs: VirtualInterface) -> Snapshot:
    return Snapshot(interfaces={one.name: one for one in vifs})


def test_who_comes_has_what_he_is_promised_in_the_same_pass() -> None:
    alone = snapshot(vif(1, "web", egress_kbps=70_000))
    assert desired.in_force(alone, POLICIES) is alone
    crowd = replace(alone, interfaces={**alone.interfaces, "v2": vif(2, "other")})
    found = desired.in_force(crowd, POLICIES)
    assert found.interfaces["v1"].scaled == {"egress_kbps": 50_000}
    assert found.interfaces["v2"] is crowd.interfaces["v2"]
    members = desired.uplink_members(list(found.interfaces.values()), POLICIES, "up0")
    assert [one.bandwidth(POLICIES, Direction.EGRESS).guarantee_kbps for one in members] == [50_000, 40_000]


def test_the_vifs_of_all_hosts_are_looked_at_once_for_each_snapshot_and_policy_set() -> None:
    crowd, kept = snapshot(vif(1, "web", egress_kbps=70_000), vif(2, "other")), desired.InForce()
    first = kept.of(crowd, POLICIES)
    assert first.interfaces["v1"].scaled == {"egress_kbps": 50_000}
    assert kept.of(crowd, POLICIES) is first
    left = snapshot(crowd.interfaces["v1"])
    assert kept.of(left, POLICIES) is left
    assert kept.of(crowd, replace(POLICIES, links={})).interfaces["v1"].scaled == {"egress_kbps": 70_000}
    assert kept.of(crowd, POLICIES) == first


def test_a_vif_whose_policy_is_gone_keeps_what_it_has() -> None:
    there = snapshot(vif(1, "web", egress_kbps=70_000), vif(2, "gone", egress_kbps=70_000))
    assert desired.in_force(there, POLICIES) is there


def test_buffer_and_processor_time_are_those_in_force() -> None:
    begun = desired.limits(vif(1, "web"), POLICIES, Rates())
    assert (begun.buffer_bytes, begun.cpu) == (65_536, 0.1)
    moved = desired.limits(vif(1, "web", buffer_bytes=20_000, cpu_permille=250), POLICIES, Rates())
    assert (moved.buffer_bytes, moved.cpu) == (20_000, 0.25)
