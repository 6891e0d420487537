"""What traffic notices of a killed process or a changed policy: nothing, but for the flow that the change is about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.children import run, wait_until, within
from lab.flows import changed, flows, meters
from lab.ping import pinging
from lab.site import Site
from lab.udp import UdpReceiver

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
links:
  wan: {capacity: 40 mbit}
policies:
  red:
    egress: {guarantee: 15 mbit, limit: 30 mbit}
    rules:
      - allow: {name: out, direction: egress}
      - allow: {name: tests, direction: ingress, service: [udp/7000-7099, icmp/8]}
  blue:
    egress: {guarantee: 5 mbit, limit: 20 mbit}
    rules:
      - deny: {name: no-7013, direction: egress, service: udp/7013}
      - allow: {name: out, direction: egress}
      - allow: {name: tests, direction: ingress, service: [udp/7000-7099, icmp/8]}
"""
CHANGED = POLICY.replace("limit: 20 mbit", "limit: 10 mbit").replace("udp/7013", "udp/7012")
STEADY, FLOOD, OTHER, DENIED, SPOOFED, FOREIGN, INWARD = 7001, 7011, 7012, 7013, 7014, 7015, 7021
STEADY_KBPS = 6_000
MOST_LOST = 30  # of two seconds of it, 3 %


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24") as running:
        for tenant in ("red", "blue"):
            running.add_vif(tenant, tenant, "office")
            running.await_neighbour(tenant)
        yield running


@pytest.fixture
def receiver(site: Site) -> Iterator[UdpReceiver]:
    with site.receiver_outside([STEADY, FLOOD, OTHER, DENIED, SPOOFED, FOREIGN]) as counting:
        yield counting


@pytest.mark.parametrize("name", ["controller", "agent", "supervisor", "weir-db"])
def test_a_kill_loses_no_packet_and_changes_no_flow(site: Site, receiver: UdpReceiver, name: str) -> None:
    red = site.vifs["red"]
    site.system.await_well()
    with (
        site.receiver_at("red", [INWARD]) as inside,
        site.sender_at("red", STEADY) as outward,
        site.sender_outside("red", INWARD) as inward,
        site.sender_at("blue", FLOOD) as flood,
        pinging(red.namespace, site.outside_address, 4.0) as echoes,
    ):
        for sender in (outward, inward):
            sender.offer(STEADY_KBPS)
        flood.offer(25_000)
        before, before_s = site.system.ofctl("dump-flows"), time.monotonic()
        old_pid = site.system.kill(name)
        if name == "supervisor":
            site.system.weir("up", "--uplink", "wan")
        site.system.await_restart(name, old_pid)
        assert echoes.result().lost == 0
        # two ticks more, in which a loop that had learned something wrong would act on it
        receiver.await_time(time.monotonic() + 2)
        after, after_s = site.system.ofctl("dump-flows"), time.monotonic()
        assert receiver.lost(STEADY, outward.offer(0)) == 0
        assert inside.lost(INWARD, inward.offer(0)) == 0
    assert changed(before, after, after_s - before_s) == []


def test_a_kill_of_the_switchs_database_only_interrupts(site: Site, receiver: UdpReceiver) -> None:
    """A switch without its database forwards nothing on the userspace datapath, and everything when it is back."""
    with site.sender_at("red", STEADY) as outward:
        outward.offer(STEADY_KBPS)
        before, before_s = site.system.ofctl("dump-flows"), time.monotonic()
        killed_s, old_pid = time.monotonic(), site.system.kill("ovsdb-server")
        site.system.await_restart("ovsdb-server", old_pid)
        well_s = time.monotonic()
        receiver.await_time(well_s + 1)
        lost = receiver.series(STEADY).missing
        receiver.await_time(well_s + 3)
        after, after_s = site.system.ofctl("dump-flows"), time.monotonic()
        assert receiver.lost(STEADY, outward.offer(0)) - lost <= MOST_LOST, "it forwards once it is back"
    steady = receiver.series(STEADY)
    assert steady.longest_silence_s(steady.counts[0].at_s, well_s) < max(2.0, well_s - killed_s)
    assert changed(before, after, after_s - before_s) == []


def test_a_killed_switch_gets_its_flows_meters_and_queues_back(site: Site, receiver: UdpReceiver) -> None:
    classes = ["tc", "class", "show", "dev", "wan"]
    namespace = site.system.directory.namespace
    before = set(flows(site.system.ofctl("dump-flows")))
    before_meters = meters(site.system.ofctl("dump-meters"))
    before_classes = sorted(run(within(namespace, classes)).splitlines())
    with site.sender_at("red", FLOOD) as flood:
        flood.offer(60_000)
        site.system.await_restart("ovs-vswitchd", site.system.kill("ovs-vswitchd"))
        wait_until(lambda: set(flows(site.system.ofctl("dump-flows"))) == before, "the flows are back")
        wait_until(lambda: meters(site.system.ofctl("dump-meters")) == before_meters, "the meters are back")
        wait_until(lambda: sorted(run(within(namespace, classes)).splitlines()) == before_classes, "the classes are")
        begun_s = time.monotonic()
        receiver.await_time(begun_s + 5)
    assert receiver.series(FLOOD).kbps(begun_s + 1, begun_s + 5) == pytest.approx(30_000, rel=0.05)


def test_what_is_denied_does_not_arrive(site: Site, receiver: UdpReceiver) -> None:
    with site.sender_at("blue", DENIED) as denied, site.sender_at("blue", OTHER) as allowed:
        for sender in (denied, allowed):
            sender.offer(1_000)
        wait_until(lambda: receiver.series(OTHER).frames > 50, "what is allowed arrives")
        assert denied.offer(0).sent > 25
        assert receiver.lost(OTHER, allowed.offer(0)) == 0
    assert receiver.series(DENIED).frames == 0


def test_what_has_another_source_does_not_arrive(site: Site, receiver: UdpReceiver) -> None:
    with site.sender_at("blue", SPOOFED, source="10.1.0.77") as false, site.sender_at("blue", OTHER) as true:
        for sender in (false, true):
            sender.offer(1_000)
        wait_until(lambda: receiver.series(OTHER).frames > 50, "what has its own source arrives")
        assert false.offer(0).sent > 25
        assert receiver.lost(OTHER, true.offer(0)) == 0
    assert receiver.series(SPOOFED).frames == 0


def test_a_policy_change_reaches_running_flows_and_no_others(
    site: Site, receiver: UdpReceiver, policy: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "policy.yaml"
    fresh.write_text(CHANGED)
    with (
        site.sender_at("red", STEADY) as steady,
        site.sender_at("blue", FLOOD) as flood,
        site.sender_at("blue", OTHER) as other,
    ):
        steady.offer(STEADY_KBPS)
        other.offer(500)
        begun = flood.offer(40_000)
        receiver.await_time(begun.at_s + 3)
        before_kbps = receiver.series(FLOOD).kbps(begun.at_s + 1, begun.at_s + 3)
        site.system.weir("policy", "apply", str(fresh))
        in_force_s = time.monotonic()
        receiver.await_time(in_force_s + 4)
        site.system.weir("policy", "apply", str(policy))
        assert receiver.lost(STEADY, steady.offer(0)) == 0
    assert before_kbps == pytest.approx(20_000, rel=0.06)  # the other flow of blue has its part of the limit
    assert receiver.series(FLOOD).kbps(in_force_s + 1, in_force_s + 4) == pytest.approx(10_000, rel=0.05)
    # what was in the queues when the rule came is let through
    assert receiver.series(OTHER).kbps(in_force_s + 0.5, in_force_s + 4) == 0


def test_two_systems_do_not_see_each_other(site: Site, receiver: UdpReceiver, policy: Path) -> None:
    with Site(policy, "10.1.0.100/24") as second:
        second.add_vif("blue", "blue", "office")
        second.await_neighbour("blue")
        assert set(second.figures()) == {"blue"}
        with second.receiver_outside([FOREIGN]) as there, second.sender_at("blue", FOREIGN) as flood:
            begun = flood.offer(40_000)
            there.await_time(begun.at_s + 4)
            assert there.series(FOREIGN).kbps(begun.at_s + 1, begun.at_s + 4) == pytest.approx(20_000, rel=0.05)
            flood.offer(0)
        second.system.weir("down")
        assert second.system.traces() == []
    assert receiver.series(FOREIGN).frames == 0
    site.system.await_well()


def test_down_leaves_nothing(site: Site) -> None:
    """Last, since nothing is left of the system that the others measured."""
    site.system.weir("down")
    assert site.system.traces() == []
