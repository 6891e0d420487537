"""Who is where, on a whole system: rules that name users take hold and let go on traffic that is there already."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.children import wait_until
from lab.site import Site
from lab.stream import Stream
from lab.udp import UdpReceiver, UdpSender

POLICY = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan, subnets: [10.1.0.0/24]}
services:
  ping: [icmp/8, icmp6/128]
groups:
  engineering: [alice, bob]
policies:
  desk:
    rules:
      - deny: {name: not-carol, direction: egress, from: {user: carol}, service: tcp/7004}
      - allow: {name: by-group, direction: egress, from: {group: engineering}, service: udp/7001}
      - allow: {name: open, direction: egress, service: [udp/7002-7003, tcp/7004, ping]}
      - allow: {direction: ingress, service: ping}
  vault:
    rules:
      - allow: {name: alice-only, direction: ingress, from: {user: alice}, service: udp/7002}
      - allow: {name: open, direction: ingress, service: [udp/7001, tcp/7004, ping]}
"""
BY_GROUP, BY_SENDER, STREAM_PORT = 7001, 7002, 7004
SMALL_BYTES = 200
STOPPED_S = 0.5  # of what was on its way, and what a busy machine is late with
TO_THE_SECOND_S = 1.0
TTL_S = 6


@pytest.fixture(scope="module")
def site(policy: Path) -> Iterator[Site]:
    with Site(policy, "10.1.0.100/24") as running:
        for name, leaf in (("web1", "desk"), ("web2", "desk"), ("vault", "vault")):
            running.add_vif(name, leaf, "office")
        for name in ("web1", "web2"):
            running.await_neighbour(name, running.vifs["vault"].address)
        running.outside.run("ping", "-c", "1", "-w", "10", running.vifs["vault"].address)
        yield running


@pytest.fixture
def receiver(site: Site) -> Iterator[UdpReceiver]:
    with site.receiver_at("vault", [BY_GROUP, BY_SENDER]) as counting:
        yield counting


@pytest.fixture(autouse=True)
def nobody_anywhere(site: Site) -> Iterator[None]:
    yield
    for user in {one["user"] for one in site.system.json("identity", "list")}:
        site.system.weir("identity", "unbind", user)


def sender(site: Site, vif: str, port: int) -> UdpSender:
    return UdpSender(site.vifs[vif].namespace, site.vifs["vault"].address, port, SMALL_BYTES)


def bind(site: Site, *arguments: str) -> dict[str, Any]:
    bound: dict[str, Any] = site.system.json("identity", "bind", *arguments)
    return bound


def in_monotonic_s(since_1970_s: float) -> float:
    return since_1970_s - time.time() + time.monotonic()


def expiry_s(site: Site) -> float:
    """Of the one binding that there is, CLOCK_MONOTONIC."""
    with site.system.database() as database:
        (binding,) = database.snapshot().bindings
    assert binding.expires_at_s is not None
    return in_monotonic_s(binding.expires_at_s)


def assert_silent(receiver: UdpReceiver, port: int) -> None:
    """Of what comes for half a second nothing comes."""
    receiver.await_time(time.monotonic())
    before = receiver.series(port).frames
    receiver.await_time(time.monotonic() + 0.5)
    assert receiver.series(port).frames == before


def assert_ended(receiver: UdpReceiver, port: int, ends_s: float) -> None:
    """What came there came until then, and no longer."""
    last_s = receiver.series(port).last_s
    assert last_s is not None and -STOPPED_S < last_s - ends_s < TO_THE_SECOND_S


@pytest.mark.parametrize("place", ["--vif", "--ip"])
def test_a_binding_holds_at_once_and_to_the_second(site: Site, receiver: UdpReceiver, place: str) -> None:
    where = {"--vif": "web1", "--ip": site.vifs["web1"].address}[place]
    with sender(site, "web1", BY_SENDER) as flow, sender(site, "web2", BY_GROUP) as other:
        for one in (flow, other):
            one.offer(1_000)
        assert_silent(receiver, BY_SENDER)
        bind(site, "alice", place, where, "--ttl", f"{TTL_S}s")
        before, bound = receiver.series(BY_SENDER).frames, flow.offer(1_000)
        ends_s = expiry_s(site)
        assert 0 < ends_s - bound.at_s <= TTL_S
        wait_until(lambda: receiver.series(BY_SENDER).frames > before, "what alice may send arrives")
        receiver.await_time(time.monotonic() + 0.3)
        came, first = receiver.series(BY_SENDER).frames, flow.offer(1_000)
        receiver.await_time(ends_s - 0.3)
        sent = flow.offer(1_000).sent - first.sent
        assert receiver.series(BY_SENDER).frames - came == pytest.approx(sent, rel=0.1)
        receiver.await_time(ends_s + 1.5)
        assert_ended(receiver, BY_SENDER, ends_s)
        wait_until(lambda: site.system.json("identity", "list") == [], "it is not listed any more")
    assert receiver.series(BY_GROUP).frames == 0


def test_an_unbound_user_is_gone_at_once(site: Site, receiver: UdpReceiver) -> None:
    with sender(site, "web1", BY_SENDER) as flow:
        flow.offer(1_000)
        bind(site, "alice", "--vif", "web1")
        wait_until(lambda: receiver.series(BY_SENDER).frames > 0, "what alice may send arrives")
        site.system.weir("identity", "unbind", "alice", "--vif", "web1")
        unbound_s = time.monotonic()
        receiver.await_time(unbound_s + STOPPED_S + 0.5)
        last_s = receiver.series(BY_SENDER).last_s
        assert last_s is not None and last_s - unbound_s < STOPPED_S


def test_a_rule_of_a_group_holds_for_its_members_where_they_are(site: Site, receiver: UdpReceiver) -> None:
    with sender(site, "web1", BY_GROUP) as flow, sender(site, "web2", BY_GROUP) as other:
        flow.offer(1_000)
        assert_silent(receiver, BY_GROUP)
        bind(site, "bob", "--vif", "web1")
        begun = flow.offer(1_000)
        wait_until(lambda: receiver.series(BY_GROUP).frames > 0, "what engineering may send arrives")
        receiver.await_time(begun.at_s + 1)
        since = flow.offer(0).sent - begun.sent
        wait_until(lambda: receiver.series(BY_GROUP).frames >= since, "all that was sent since arrives")
        other.offer(1_000)
        assert_silent(receiver, BY_GROUP)


def test_an_outside_address_has_a_user_too(site: Site, receiver: UdpReceiver) -> None:
    with UdpSender(site.outside.name, site.vifs["vault"].address, BY_SENDER, SMALL_BYTES) as flow:
        flow.offer(1_000)
        assert_silent(receiver, BY_SENDER)
        bind(site, "alice", "--ip", site.outside_address)
        wait_until(lambda: receiver.series(BY_SENDER).frames > 0, "what alice may send arrives")


def test_an_established_connection_stops_while_its_user_is_denied_it(site: Site) -> None:
    vault = site.vifs["vault"]
    with Stream(site.vifs["web1"].namespace, (vault.namespace, vault.address, STREAM_PORT)) as stream:
        stream.await_more()
        bind(site, "carol", "--vif", "web1", "--ttl", f"{TTL_S}s")
        bound_s, ends_s = time.monotonic(), expiry_s(site)
        stream.await_time(ends_s - 0.1)
        assert stream.last_s is not None and stream.last_s - bound_s < STOPPED_S
        stream.await_more()
        assert stream.last_s > ends_s - 0.1


def test_a_binding_outlives_the_controller_and_expires_all_the_same(site: Site, receiver: UdpReceiver) -> None:
    with sender(site, "web1", BY_GROUP) as flow:
        bind(site, "alice", "--vif", "web1", "--ttl", "15s")
        ends_s = expiry_s(site)
        flow.offer(1_000)
        wait_until(lambda: receiver.series(BY_GROUP).frames > 0, "what alice may send arrives")
        site.system.await_restart("controller", site.system.kill("controller"))
        quiet = flow.offer(0)
        assert quiet.at_s < ends_s, "the controller took too long to come back for this test"
        assert receiver.lost(BY_GROUP, quiet) == 0
        flow.offer(1_000)
        receiver.await_time(ends_s + 1.5)
        assert_ended(receiver, BY_GROUP, ends_s)
