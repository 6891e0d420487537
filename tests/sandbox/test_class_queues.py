"""Traffic classes on a real kernel with real traffic: each gets its share, and what one leaves the others borrow."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.host import namespace
from controller.host.class_queues import ClassShare
from controller.host.qdisc import TrafficControl
from controller.host.queue_ids import CLASS_MAJORS, DEFAULT_MINOR
from controller.host.queue_plan import Sender, ingress_plan, uplink_plan
from controller.host.queue_tree import HtbPlan, QueuePlan, Verb
from policies.hierarchy import Branch, Leaf, Member
from tests.support.agent_host import Host, inside, vif
from tests.support.class_counters import DEADLINE_S, ClassCounters
from tests.support.frame_flood import DESTINATION, FRAME_BYTES, Counter, Flood, Wire, frame, mac_of, packet_socket, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

EF, CS1, OWN, UNKNOWN = 46, 8, 7, 33  # code points; OWN: a second one of the class of CS1
CLASSES = (ClassShare(0.3, (EF,)), ClassShare(0.6), ClassShare(0.1, (CS1, OWN)))
REALTIME, NORMAL, BULK = 1 + EF, DEFAULT_MINOR, 1 + CS1  # minors of their ids
LEAF_BYTES = 30_000
IPV4, EXPERIMENT = 0x0800, 0x88B5  # what a sender may say that it sends


def marked(
    vif: int, code_point: int, version: int = 4, vlan: int | None = None, destination: bytes = DESTINATION
) -> bytes:
    """A frame of the largest size with a header of IP as far as queues look at it."""
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    if version == 4:
        packet = b"\x08\x00" + bytes([0x45, code_point << 2 | 1])
    else:
        packet = b"\x86\xdd" + (6 << 28 | code_point << 22 | 1 << 20 | 0xFFFFF).to_bytes(4, "big")
    return (destination + mac_of(vif).to_bytes(6, "big") + tag + packet).ljust(FRAME_BYTES, b"\0")


def uplink(
    capacity_kbps: int, divided: Mapping[int, Sequence[ClassShare]], others: Sequence[int] = (), guarantee_kbps: int = 0
) -> QueuePlan:
    """divided: classes by VIF number. guarantee_kbps: of each of them."""
    leaves = [Leaf(Member(n, f"vif{n}", "p"), guarantee_kbps, None, 1.0, None, None) for n in divided]
    leaves += [Leaf(Member(n, f"vif{n}", "p"), 0, None, 1.0, None, None) for n in others]
    senders = {n: Sender(mac_of(n), tuple(divided.get(n, ()))) for n in (*divided, *others)}
    return uplink_plan(Branch("", 0, None, 1.0, (), tuple(leaves)), capacity_kbps, senders, {}, LEAF_BYTES)


@dataclass
class Bench:
    wire: Wire
    control: TrafficControl
    queues: ClassCounters

    @contextmanager
    def flood(self, frames: Mapping[int, bytes], rate_mbit: float) -> Iterator[Flood]:
        running = Flood(self.wire.near_path, frames, rate_mbit)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def bench() -> Iterator[Bench]:
    wire = Wire(f"wc{os.getpid()}")
    try:
        wire.make()
        with TrafficControl(wire.near_path) as control, ClassCounters(wire.near_path, "up0") as queues:
            yield Bench(wire, control, queues)
    finally:
        wire.remove()


@pytest.mark.parametrize(("version", "vlan"), [(4, None), (4, 100), (6, None), (6, 100)])
def test_classes_of_a_vif_divide_what_it_gets_of_its_uplink(bench: Bench, version: int, vlan: int | None) -> None:
    bench.control.apply("up0", uplink(20_000, {1: CLASSES}))
    with bench.flood({mark: marked(1, mark, version, vlan) for mark in (EF, 0, CS1)}, 20) as offered:
        bench.queues.assert_shares({REALTIME: 0.3, NORMAL: 0.6, BULK: 0.1})
        offered.offer(0, 0)
        bench.queues.assert_shares({REALTIME: 0.75, BULK: 0.25})
        offered.offer(EF, 0)
        bench.queues.assert_shares({BULK: 1.0})


@pytest.mark.parametrize("version", [4, 6])
def test_a_code_point_is_found_wherever_the_kernel_lets_the_packet_begin(bench: Bench, version: int) -> None:
    bench.control.apply("up0", uplink(20_000, {1: CLASSES}))
    wanted = {REALTIME: 4, NORMAL: 3, BULK: 2}
    mark_of = {REALTIME: EF, NORMAL: UNKNOWN, BULK: CS1}
    for turn, (protocol, vlan) in enumerate(((0, None), (0, 7), (IPV4, 7), (EXPERIMENT, None)), start=1):
        sender = packet_socket(bench.wire.near_path, "up0", protocol)  # with a protocol it begins with the tag
        for minor, count in wanted.items():
            for _ in range(count):
                sender.send(marked(1, mark_of[minor], version, vlan))
        sender.close()
        end_s = time.monotonic() + DEADLINE_S
        expected = {minor: turn * count * FRAME_BYTES for minor, count in wanted.items()}
        while bench.queues.sent() != expected:
            assert time.monotonic() < end_s, (turn, bench.queues.sent(), expected)


def test_a_guarantee_is_divided_like_the_rest(bench: Bench) -> None:
    bench.control.apply("up0", uplink(20_000, {1: CLASSES}, others=[2], guarantee_kbps=10_000))
    frames = {mark: marked(1, mark) for mark in (EF, 0, CS1)} | {99: frame(2)}
    with bench.flood(frames, 20):
        bench.queues.assert_shares({REALTIME: 0.3, NORMAL: 0.6, BULK: 0.1})


def test_what_no_class_names_is_normal(bench: Bench) -> None:
    bench.control.apply("up0", uplink(20_000, {1: CLASSES}))
    unnamed = {0: marked(1, 0), 1: marked(1, UNKNOWN, 6), 2: frame(1), 3: frame(1, vlan=5), 4: marked(1, UNKNOWN, 4, 5)}
    with bench.flood(unnamed | {5: marked(1, OWN)}, 6):
        bench.queues.assert_shares({NORMAL: 6 / 7, BULK: 1 / 7})


def test_a_vif_weighs_the_same_however_many_of_its_classes_flood(bench: Bench) -> None:
    bench.control.apply("up0", uplink(20_000, {1: CLASSES, 3: CLASSES}, others=[2]))
    frames = {mark: marked(1, mark) for mark in (EF, 0, CS1)} | {101: frame(2), 102: marked(3, EF)}
    counter = Counter(bench.wire.far_path)
    with bench.flood(frames, 20):
        end_s = time.monotonic() + DEADLINE_S
        while True:
            before = bench.control.read_samples("up0")
            counter.frames(DEADLINE_S, enough=1500)
            after = bench.control.read_samples("up0")
            got = {vif: after[vif].sent_bytes - before[vif].sent_bytes for vif in (1, 2, 3)}
            if all(abs(sent / sum(got.values()) - 1 / 3) < 0.03 for sent in got.values()):
                break
            assert time.monotonic() < end_s, got
    counter.close()


def test_what_reaches_a_vif_is_divided_among_its_classes(bench: Bench) -> None:
    bench.control.apply("up0", ingress_plan(20_000, LEAF_BYTES, None, CLASSES))
    with bench.flood({mark: marked(mark, mark, 6) for mark in (EF, 1, CS1)}, 20) as offered:
        bench.queues.assert_shares({REALTIME: 0.3, NORMAL: 0.6, BULK: 0.1})
        bench.control.apply("up0", ingress_plan(10_000, LEAF_BYTES, None, CLASSES))
        offered.offer(CS1, 0)
        bench.queues.assert_shares({REALTIME: 1 / 3, NORMAL: 2 / 3})


def test_changed_shares_take_hold_in_place_and_lose_nothing(bench: Bench) -> None:
    shares = (CLASSES, tuple(replace(one, share=share) for one, share in zip(CLASSES, (0.1, 0.2, 0.7), strict=True)))
    plans = [uplink(5000, {1: own}, guarantee_kbps=2000) for own in shares]
    bench.control.apply("up0", plans[0])
    counter, sender = Counter(bench.wire.far_path), packet_socket(bench.wire.near_path, "up0")
    frames = [marked(1, mark) for mark in (EF, 0, CS1)]
    for turn in range(20):
        for number in range(12):
            sender.send(frames[number % 3])
        made = bench.control.apply("up0", plans[turn % 2 == 0])  # while most of them still wait in their queues
        assert made and {step.verb for step in made} == {Verb.SET}
        assert not any(isinstance(step.item, HtbPlan) for step in made)
        assert counter.frames(DEADLINE_S, enough=12) == {1: 12}
    sender.close()
    counter.close()
    assert bench.control.read_samples("up0")[0].dropped_packets == 0
    bench.control.apply("up0", plans[1])
    with bench.flood({mark: marked(1, mark) for mark in (EF, 0, CS1)}, 6):
        bench.queues.assert_shares({REALTIME: 0.1, NORMAL: 0.2, BULK: 0.7})


def test_the_figures_of_a_vif_are_those_of_all_its_classes(bench: Bench) -> None:
    plan = uplink(10_000, {1: CLASSES}, others=[2])
    bench.control.apply("up0", plan)
    assert bench.control.read_samples("up0").keys() == {0, 1, 2}
    with bench.flood({mark: marked(1, mark) for mark in (EF, 0, CS1)} | {99: frame(2)}, 10):
        bench.queues.assert_shares({REALTIME: 0.3, NORMAL: 0.6, BULK: 0.1})
    end_s = time.monotonic() + DEADLINE_S
    while (samples := bench.control.read_samples("up0"))[0].backlog_bytes:
        assert time.monotonic() < end_s
    below = bench.queues.samples().values()
    for counted in ("sent_bytes", "sent_packets", "dropped_packets", "backlog_bytes"):
        assert getattr(samples[1], counted) == sum(getattr(one, counted) for one in below)
        assert getattr(samples[0], counted) == getattr(samples[1], counted) + getattr(samples[2], counted)
    assert samples[1].dropped_packets > 0


def test_a_backlog_in_a_class_is_the_vifs(bench: Bench) -> None:
    bench.control.apply("up0", uplink(100, {1: CLASSES}))
    sender = packet_socket(bench.wire.near_path, "up0")
    for _ in range(8):
        sender.send(marked(1, EF))
    sender.close()
    sample = bench.control.read_samples("up0")[1]
    assert sample.backlog_bytes + sample.sent_bytes == 8 * FRAME_BYTES and sample.backlog_bytes > 0


def test_a_tree_reads_back_and_what_others_did_to_it_is_undone(bench: Bench) -> None:
    control, plan = bench.control, uplink(20_000, {1: CLASSES}, others=[2])
    handle = f"{CLASS_MAJORS[1]:x}"

    def tc(*words: str) -> None:
        run("ip", "netns", "exec", bench.wire.near, "tc", *words)

    control.apply("up0", plan)
    assert control.apply("up0", plan) == []
    tc("class", "change", "dev", "up0", "parent", f"{handle}:ffff", "classid", f"{handle}:9", "htb", "rate", "1mbit")
    assert [step.place & 0xFFFF for step in control.apply("up0", plan)] == [BULK]
    tc("filter", "delete", "dev", "up0", "parent", f"{handle}:")
    assert [step.verb for step in control.apply("up0", plan)] == [Verb.STEER] + [Verb.SET] * 3
    tc("filter", "add", "dev", "up0", "parent", f"{handle}:", "prio", "9", "u32", "match", "u32", "0", "0")
    assert [step.verb for step in control.apply("up0", plan)] == [Verb.STEER] + [Verb.SET] * 3
    tc("qdisc", "delete", "dev", "up0", "parent", "7fff:1")
    assert isinstance(control.apply("up0", plan)[0].item, HtbPlan)
    assert control.apply("up0", plan) == []


def test_classes_come_and_go_and_leave_the_other_vifs_alone(bench: Bench) -> None:
    plain, divided = uplink(20_000, {}, others=[1, 2]), uplink(20_000, {1: CLASSES}, others=[2])
    bench.control.apply("up0", plain)
    for plan in (divided, plain, uplink(20_000, {1: CLASSES[:2]}, others=[2]), divided):
        made = bench.control.apply("up0", plan)
        assert made and all(step.place != 0x7FFF0002 for step in made)
        assert bench.control.apply("up0", plan) == []


POLICY = """
weir: 1
segments:
  office: {type: bridged, uplink: up0, subnets: [10.9.0.0/24, 'fd00:9::/64']}
links:
  up0: {capacity: 5 mbit}
classes: {realtime: {dscp: ef, share: 30 %}, normal: {share: 60 %}, bulk: {dscp: cs1, share: 10 %}}
policies:
  acme:
    children:
      web: {egress: {guarantee: 2 mbit}, ingress: {limit: 6 mbit}, rules: [allow: {class: bulk}]}
"""
OFFERED_MBIT, PAYLOAD_BYTES = 5, 1400  # by each; a busy switch takes all of it


@contextmanager
def sending(senders: Sequence[socket.socket], data: Sequence[bytes], rate_mbit: float) -> Iterator[None]:
    """What each sends, from a process of its own, at this rate."""

    def send() -> None:
        start_s, sent = time.monotonic(), 0
        while True:
            while sent * len(data[0]) * 8e-6 < rate_mbit * (time.monotonic() - start_s):
                sent += 1
                for sender, one in zip(senders, data, strict=True):
                    with suppress(OSError):
                        sender.send(one)
            time.sleep(0.001)

    process = multiprocessing.get_context("fork").Process(target=send, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
        for sender in senders:
            sender.close()


def udp_socket(place: Path, version: int, code_point: int) -> socket.socket:
    with namespace.entered(place):
        opened = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    if version == 4:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, code_point << 2)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, code_point << 2)
    opened.connect(("10.9.0.99" if version == 4 else "fd00:9::99", 9))
    return opened


def test_classes_of_the_policy_reach_queues_behind_a_real_switch(host: Host) -> None:
    host.start()
    host.request(vif("web1", 7), policy=POLICY)
    host.await_state("web1", "ready")
    host.ovs.ofctl("add-flow", "br-weir", "actions=NORMAL")
    name = f"{host.ovs.namespace}-web1"
    for address in ("10.9.0.99", "fd00:9::99"):
        inside(None, "ip", "-n", name, "neigh", "add", address, "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    shares = {REALTIME: 0.3, NORMAL: 0.6, BULK: 0.1}
    own, outer = namespace.named(name), namespace.named(host.ovs.namespace)
    with ClassCounters(outer, "up0") as queues:
        for version in (4, 6):
            senders = [udp_socket(own, version, mark) for mark in (EF, 0, CS1)]
            with sending(senders, [bytes(PAYLOAD_BYTES)] * 3, OFFERED_MBIT):
                queues.assert_shares(shares)
    frames = [marked(9, mark, 6, destination=bytes.fromhex("020000000007")) for mark in (EF, 0, CS1)]
    with (
        ClassCounters(outer, "wv7") as queues,
        sending([packet_socket(outer, "outside") for _ in frames], frames, OFFERED_MBIT),
    ):
        queues.assert_shares(shares)
