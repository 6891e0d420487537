"""Queueing trees on a real kernel with real traffic: what arrives is what the policy language says.

Each tree is flooded; what arrives at the far end is measured again and again until it is as expected, or a deadline.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from controller.host import qdisc
from controller.host.errors import HostError
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.queue_tree import ROOT, FilterPlan, HtbPlan, QueuePlan, Verb, changes
from policies.hierarchy import Branch, Leaf, Member
from tests.support.frame_flood import FRAME_BYTES, Counter, Wire, flood, frame, mac_of, packet_socket, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NUMBERS = {"a": 1, "b": 2, "a/x": 3} | {f"t{number}": 100 + number for number in range(20)}
LEAF_BYTES = 90_000  # deep enough that a sender which the machine lets wait some milliseconds does not lose its turn
DEADLINE_S = 12.0
Wiring = tuple[Wire, qdisc.TrafficControl, Counter]


@pytest.fixture
def wiring() -> Iterator[Wiring]:
    wire = Wire(f"wq{os.getpid()}")
    try:
        wire.make()
        counter = Counter(wire.far_path)
        with qdisc.TrafficControl(wire.near_path) as control:
            yield wire, control, counter
        counter.close()
    finally:
        wire.remove()


def leaf(number: int, guarantee_kbps: int = 0, limit_kbps: int | None = None, weight: float = 1.0) -> Leaf:
    return Leaf(Member(number, f"vif{number}", "p"), guarantee_kbps, limit_kbps, weight, None, None)


def branch(path: str, *below: Leaf | Branch, guarantee_kbps: int = 0, limit_kbps: int | None = None) -> Branch:
    branches = tuple(child for child in below if isinstance(child, Branch))
    leaves = tuple(child for child in below if isinstance(child, Leaf))
    return Branch(path, guarantee_kbps, limit_kbps, 1.0, branches, leaves)


def planned(capacity_kbps: int, *below: Leaf | Branch) -> QueuePlan:
    senders = {number: Sender(mac_of(number)) for number in range(1, 300)}
    return uplink_plan(branch("", *below), capacity_kbps, senders, NUMBERS, LEAF_BYTES)


def assert_arrives(counter: Counter, expected_mbit: Mapping[int, float], tolerance: float = 0.05) -> None:
    """Each within the tolerance, or within 0.25 Mbit/s where that is more."""
    end_s = time.monotonic() + DEADLINE_S
    while True:
        got = counter.rates_mbit(1.0)
        if got.keys() == expected_mbit.keys() and all(
            abs(got[vif] - rate) <= max(0.25, tolerance * rate) for vif, rate in expected_mbit.items()
        ):
            return
        assert time.monotonic() < end_s, f"arrived {got}, expected {dict(expected_mbit)}"


def test_guarantees_come_first_and_the_rest_goes_by_weight(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", planned(30_000, leaf(1, 15_000), leaf(2, 5000, weight=3.0), leaf(3)))
    with flood(wire.near_path, [1, 2, 3], 30) as offered:
        assert_arrives(counter, {1: 17, 2: 11, 3: 2})
        offered.offer(1, 0)
        assert_arrives(counter, {2: 23.75, 3: 6.25})


def test_tenants_divide_by_weight_however_many_leaves_flood_below_them(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", planned(20_000, branch("a", leaf(1)), branch("b", leaf(2), leaf(3), leaf(4))))
    with flood(wire.near_path, [1, 2, 3, 4], 20) as offered:
        assert_arrives(counter, {1: 10, 2: 10 / 3, 3: 10 / 3, 4: 10 / 3})
        offered.offer(4, 0)  # what it leaves stays inside its tenant
        assert_arrives(counter, {1: 10, 2: 5, 3: 5})


def test_guarantees_inside_a_tenant_hold_when_it_has_no_more_than_its_own(wiring: Wiring) -> None:
    wire, control, counter = wiring
    greedy = replace(leaf(3, 8000), weight=100.0)
    tenant = branch("a", leaf(1, 8000), leaf(2), guarantee_kbps=10_000)
    control.apply("up0", planned(20_000, tenant, greedy))
    with flood(wire.near_path, [1, 2, 3], 22):
        assert_arrives(counter, {1: 9, 2: 1, 3: 10})


def test_limits_hold_at_every_level(wiring: Wiring) -> None:
    wire, control, counter = wiring
    tenant = branch("a", branch("a/x", leaf(1, limit_kbps=2000), leaf(2)), leaf(3), limit_kbps=9000)
    control.apply("up0", planned(20_000, tenant, leaf(4, limit_kbps=6000)))
    with flood(wire.near_path, [1, 2, 3, 4], 15):
        assert_arrives(counter, {1: 2, 2: 2.5, 3: 4.5, 4: 6})


def test_frames_of_nobody_get_what_is_left_and_never_pass_the_capacity(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", planned(20_000, leaf(1, limit_kbps=15_000)))
    with flood(wire.near_path, [1, 9], 30):
        assert_arrives(counter, {1: 15, 9: 5})


def test_tagged_frames_are_told_by_their_source_too(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", planned(20_000, branch("a", leaf(1, 12_000), leaf(2), guarantee_kbps=12_000), leaf(3)))
    with flood(wire.near_path, [1, 2, 3], 22, vlan=100):
        assert_arrives(counter, {1: 14, 2: 2, 3: 4})


def test_a_change_takes_hold_at_once_and_rebuilds_nothing(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", planned(20_000, branch("a", leaf(1), leaf(2)), leaf(3)))
    with flood(wire.near_path, [1, 2, 3], 22):
        assert_arrives(counter, {1: 5, 2: 5, 3: 10})
        before = control.read_samples("up0")
        tenant = branch("a", leaf(1, 8000), leaf(2), guarantee_kbps=8000)
        made = control.apply("up0", planned(20_000, tenant, leaf(3, limit_kbps=5000)))
        assert [step.verb for step in made] == [Verb.SET] * 3  # the tenant, one VIF in it, the other VIF
        after = control.read_samples("up0")
        assert all(after[vif].sent_bytes >= before[vif].sent_bytes > 0 for vif in (0, 1, 2, 3))
        assert_arrives(counter, {1: 11.5, 2: 3.5, 3: 5})


def test_applying_again_changes_nothing_and_no_change_loses_a_frame(wiring: Wiring) -> None:
    wire, control, counter = wiring
    plans = [
        planned(5000, leaf(1, rate), branch("a", leaf(2), *([leaf(3)] * more))) for rate, more in ((0, 0), (2000, 1))
    ]
    control.apply("up0", plans[0])
    assert control.apply("up0", plans[0]) == []
    sender = packet_socket(wire.near_path, "up0")
    for turn in range(20):
        for number in range(24):
            sender.send(frame(1 + number % 2))
        assert control.apply("up0", plans[turn % 2 == 0])  # while most of them still wait in their queues
        assert counter.frames(DEADLINE_S, enough=24) == {1: 12, 2: 12}
    sender.close()
    assert control.read_samples("up0")[0].dropped_packets == 0


def test_hundreds_of_leaves_are_built_in_few_system_calls(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    _, control, _ = wiring
    tenants = [branch(f"t{tenant}", *(leaf(10 * tenant + one) for one in range(1, 11))) for tenant in range(20)]
    plan = planned(1_000_000, *tenants)
    calls: list[int] = []
    send = control._socket._send
    monkeypatch.setattr(control._socket, "_send", lambda requests: (calls.append(len(requests)), send(requests))[1])
    control.apply("up0", plan)
    assert sum(calls) > 1000 and len(calls) < 60
    samples = control.read_samples("up0")
    assert samples.keys() == set(range(201))
    tenants[3] = replace(tenants[3], leaves=(*tenants[3].leaves, leaf(250)))
    made = control.apply("up0", planned(1_000_000, *tenants))
    assert len(made) == 4  # class, queue, and a filter at each of two levels
    assert control.apply("up0", planned(1_000_000, *tenants)) == []
    assert len(control.apply("up0", plan)) == 3
    assert changes(plan, control._read("up0", control._index("up0")).plan) == ()


def test_counters_are_those_of_the_queues(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", planned(10_000, branch("a", leaf(1, limit_kbps=2000)), leaf(2)))
    with flood(wire.near_path, [1, 2], 15):
        assert_arrives(counter, {1: 2, 2: 8})
    end_s = time.monotonic() + DEADLINE_S
    while (samples := control.read_samples("up0"))[0].backlog_bytes:
        assert time.monotonic() < end_s
    one, two, whole = samples[1], samples[2], samples[0]
    assert one.sent_bytes == one.sent_packets * FRAME_BYTES
    assert (one.sent_packets + two.sent_packets, one.sent_bytes + two.sent_bytes) == (
        whole.sent_packets,
        whole.sent_bytes,
    )
    assert one.dropped_packets > two.dropped_packets > 0
    assert one.dropped_packets + two.dropped_packets == whole.dropped_packets


def test_what_others_did_to_a_tree_is_undone(wiring: Wiring) -> None:
    wire, control, _ = wiring
    plan = planned(20_000, branch("a", leaf(1)), leaf(2))

    def tc(*words: str) -> None:
        run("ip", "netns", "exec", wire.near, "tc", *words)

    tc("qdisc", "add", "dev", "up0", "root", "handle", "1:", "htb", "default", "3")
    control.apply("up0", plan)
    tc("class", "change", "dev", "up0", "parent", "7fff:ffff", "classid", "7fff:2", "htb", "rate", "1mbit")
    assert [str(step)[:22] for step in control.apply("up0", plan)] == ["set class at 7fff:2: C"]
    tc("class", "add", "dev", "up0", "parent", "7fff:ffff", "classid", "7fff:77", "htb", "rate", "1mbit")
    assert [step.verb for step in control.apply("up0", plan)] == [Verb.DELETE]
    tc("filter", "add", "dev", "up0", "parent", "1:", "protocol", "ip", "prio", "9", "u32", "match", "u32", "0", "0")
    made = control.apply("up0", plan)
    assert [(step.verb, isinstance(step.item, FilterPlan)) for step in made] == [(Verb.STEER, False), (Verb.SET, True)]
    tc("filter", "delete", "dev", "up0", "parent", "7fff:")
    assert len(control.apply("up0", plan)) == 3
    tc("qdisc", "replace", "dev", "up0", "parent", "7fff:2", "pfifo", "limit", "5")
    assert len(control.apply("up0", plan)) == 1
    tc("qdisc", "delete", "dev", "up0", "root")
    assert isinstance(control.apply("up0", plan)[0].item, HtbPlan)
    assert [step.place for step in control.remove("up0")] == [ROOT]
    assert control.remove("up0") == [] and control.read_samples("up0") == {}


def test_what_reaches_a_vif_is_held_to_its_limit(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", ingress_plan(10_000, LEAF_BYTES))
    with flood(wire.near_path, [1], 30):
        assert_arrives(counter, {1: 10}, tolerance=0.03)
        control.apply("up0", ingress_plan(5000, LEAF_BYTES))
        assert_arrives(counter, {1: 5}, tolerance=0.03)


def test_a_shaper_holds_a_flood_to_the_limit(wiring: Wiring) -> None:
    wire, control, counter = wiring
    control.apply("up0", shaper_plan(20_000, 60_000))
    with flood(wire.near_path, [1], 60):
        assert_arrives(counter, {1: 20}, tolerance=0.03)
        assert len(control.apply("up0", shaper_plan(10_000, 60_000))) == 1
        assert_arrives(counter, {1: 10}, tolerance=0.03)
    assert control.read_samples("up0")[0].dropped_packets > 0


@pytest.mark.parametrize("algorithm", ["cubic", "bbr"])
def test_tcp_through_a_shaper_reaches_its_limit_without_retransmission(wiring: Wiring, algorithm: str) -> None:
    wire, control, _ = wiring
    if algorithm not in Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split():
        pytest.skip(f"the kernel has no {algorithm}")
    run("ip", "-n", wire.near, "address", "add", "10.9.1.1/24", "dev", "up0")
    run("ip", "-n", wire.far, "address", "add", "10.9.1.2/24", "dev", "dn0")
    control.apply("up0", shaper_plan(50_000, 1_000_000))
    server = subprocess.Popen(
        ["ip", "netns", "exec", wire.far, "iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        while "listening" not in server.stdout.readline():
            assert server.poll() is None
        client = run("ip", "netns", "exec", wire.near, "iperf3", "-c", "10.9.1.2", "-t", "3", "-J", "-C", algorithm)
    finally:
        server.kill()
        server.communicate()
    end = json.loads(client)["end"]
    assert end["sum_received"]["bits_per_second"] >= 0.92 * 50e6
    sent_segments = end["sum_sent"]["bytes"] / 1448
    assert end["sum_sent"]["retransmits"] <= 0.01 * sent_segments


def test_a_fault_names_the_device_and_leaves_no_socket_behind(wiring: Wiring) -> None:
    wire, control, _ = wiring
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(HostError, match=r"device none0 in .*: no such device .* Look at it"):
        qdisc.apply("none0", ingress_plan(1000, LEAF_BYTES), wire.near_path)
    with pytest.raises(HostError, match="namespace /run/netns/wq-none"):
        qdisc.read_samples("up0", Path("/run/netns/wq-none"))
    with pytest.raises(qdisc.QdiscError, match=r"2 of 7 changes .* first set class at 7fff:1"):
        broken = planned(1000, leaf(1))
        place = next(place for place in broken.classes if place & 0xFFFF == 1)
        classes = {**broken.classes, place: replace(broken.classes[place], rate_kbps=0)}
        control.apply("up0", replace(broken, classes=classes))
    assert len(os.listdir("/proc/self/fd")) == before
    assert qdisc.apply("dn0", ingress_plan(1000, LEAF_BYTES), wire.far_path)
    assert qdisc.read_samples("dn0", wire.far_path)[0].sent_packets == 0
    assert qdisc.remove("dn0", wire.far_path)
