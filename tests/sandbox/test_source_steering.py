"""What a router sends finds its sender's class by source address, on a real kernel: each frame is seen in its class."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from controller.host.class_queues import ClassShare
from controller.host.qdisc import TrafficControl
from controller.host.queue_ids import CLASS_MAJORS, DEFAULT_MINOR, ROOT_MAJOR
from controller.host.queue_plan import Sender, uplink_plan
from controller.host.queue_tree import AddressPlan, HtbPlan, QueuePlan, RouterPlan, Verb, changes
from policies.hierarchy import Branch, Leaf, Member
from policies.model import IPAddress
from tests.support import frames
from tests.support.class_counters import DEADLINE_S, ClassCounters
from tests.support.frame_flood import Wire, mac_of, packet_socket, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ROUTER = 0x06AB_CDEF_3412
TO = {4: "198.51.100.9", 6: "2001:db8::9"}
OUTER = ROOT_MAJOR << 16
IPV4, EXPERIMENT = 0x0800, 0x88B5  # what a sender may say that it sends
# VIFs 1 and 2 have the same last byte, 3 and 4 the same last 8 bytes, 5 the address of 1 on a segment of its own
ADDRESSES: Mapping[int, tuple[str, ...]] = {
    1: ("10.1.0.7", "fd01::7"),
    2: ("10.1.1.7", "10.1.2.200"),
    3: ("fd01:0:0:1::7", "fd01::aaaa:1"),
    4: ("fd01:0:0:2::7",),
}
BRIDGED = 5


def sender(number: int) -> Sender:
    if number == BRIDGED:
        return Sender(mac_of(number))
    return Sender(ROUTER, (), frozenset(map(ipaddress.ip_address, ADDRESSES[number])))


def leaf(number: int) -> Leaf:
    return Leaf(Member(number, f"vif{number}", "p"), 0, None, 1.0, None, None)


def tree(*direct: int, below: tuple[int, ...] = (), senders: Mapping[int, Sender] | None = None) -> QueuePlan:
    """below: those of a tenant."""
    tenants = (Branch("a", 0, None, 1.0, (), tuple(map(leaf, below))),) if below else ()
    root = Branch("", 0, None, 1.0, tenants, tuple(map(leaf, direct)))
    known = senders or {number: sender(number) for number in (*direct, *below)}
    return uplink_plan(root, 100_000, known, {"a": 1}, 90_000)


def frame(source: str, mac: int = ROUTER, vlan: int | None = None) -> bytes:
    address = ipaddress.ip_address(source)
    datagram = frames.udp(5000, 5001, b"steered")
    packet = (frames.ipv4 if address.version == 4 else frames.ipv6)(source, TO[address.version], frames.UDP, datagram)
    text = ":".join(f"{mac:012x}"[at : at + 2] for at in range(0, 12, 2))
    return frames.ether(text, "02:ff:ff:ff:ff:ff", {4: IPV4, 6: 0x86DD}[address.version], packet, vlan=vlan)


@pytest.fixture
def wire() -> Iterator[Wire]:
    one = Wire(f"ws{os.getpid()}")
    try:
        one.make()
        yield one
    finally:
        one.remove()


@pytest.fixture
def control(wire: Wire) -> Iterator[TrafficControl]:
    with TrafficControl(wire.near_path) as one:
        yield one


def sent(control: TrafficControl) -> dict[int, int]:
    """Frames by VIF, 0: those of nobody."""
    samples = {vif: one.sent_packets for vif, one in control.read_samples("up0").items()}
    samples[0] -= sum(count for vif, count in samples.items() if vif)
    return {vif: count for vif, count in samples.items() if count}


def await_sent(control: TrafficControl, expected: Mapping[int, int]) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while sent(control) != expected:
        assert time.monotonic() < end_s, (sent(control), expected)


@pytest.mark.parametrize(("protocol", "vlan"), [(0, None), (0, 7), (IPV4, 7), (EXPERIMENT, None), (EXPERIMENT, 7)])
@pytest.mark.parametrize("nested", [False, True])
def test_an_address_leads_to_its_class_wherever_the_kernel_lets_the_packet_begin(
    wire: Wire, control: TrafficControl, protocol: int, vlan: int | None, nested: bool
) -> None:
    """With a protocol given it begins with the tag."""
    control.apply("up0", tree(BRIDGED, below=tuple(ADDRESSES)) if nested else tree(*ADDRESSES, BRIDGED))
    out = packet_socket(wire.near_path, "up0", protocol)
    for vif, addresses in ADDRESSES.items():
        for address in addresses:
            for _ in range(vif):
                out.send(frame(address, vlan=vlan))
    expected = {vif: vif * len(addresses) for vif, addresses in ADDRESSES.items()}
    await_sent(control, expected)
    for stranger in ("10.1.0.8", "10.2.0.7", "fd01::8", "fd01:0:0:3::7", "fd02::7"):
        out.send(frame(stranger, vlan=vlan))
    await_sent(control, {**expected, 0: 5})
    for address in ("10.1.0.7", "fd01::7"):  # on a segment of their own others may have what the router's have
        out.send(frame(address, mac_of(BRIDGED), vlan))
        out.send(frame(address, mac_of(9), vlan))
        out.send(frame(address, ROUTER ^ 0x0001_0000_0000, vlan))
    out.close()
    await_sent(control, {**expected, 0: 9, BRIDGED: 2})


def test_what_a_router_says_of_itself_belongs_to_nobody(wire: Wire, control: TrafficControl) -> None:
    control.apply("up0", tree(*ADDRESSES))
    own = "06:ab:cd:ef:34:12"
    out = packet_socket(wire.near_path, "up0")
    for vlan in (None, 7):
        asked = frames.arp(1, own, "10.1.0.7", "10.1.0.9")  # where an address of IPv4 would stand
        out.send(frames.ether(own, "ff:ff:ff:ff:ff:ff", 0x0806, asked, vlan=vlan))
        out.send(frames.ether(own, "02:ff:ff:ff:ff:ff", IPV4, b"\x45\x00", vlan=vlan))
    out.close()
    await_sent(control, {0: 4})


def test_classes_stand_below_a_vif_that_is_told_by_its_address(wire: Wire, control: TrafficControl) -> None:
    classes = ClassShare(0.3, (46,)), ClassShare(0.7)
    control.apply("up0", tree(1, senders={1: replace(sender(1), classes=classes)}))
    out = packet_socket(wire.near_path, "up0")
    marked = bytearray(frame("10.1.0.7"))
    marked[15] = 46 << 2
    with ClassCounters(wire.near_path, "up0") as queues:
        for _ in range(3):
            out.send(bytes(marked))
        out.send(frame("fd01::7"))
        out.close()
        sizes = {1 + 46: 3 * len(marked), DEFAULT_MINOR: len(frame("fd01::7"))}
        end_s = time.monotonic() + DEADLINE_S
        while queues.sent() != sizes:
            assert time.monotonic() < end_s, (queues.sent(), sizes)
    assert CLASS_MAJORS[1] << 16 in {
        qdisc.handle for qdisc in tree(1, senders={1: replace(sender(1), classes=classes)}).qdiscs.values()
        if isinstance(qdisc, HtbPlan)
    }  # fmt: skip


def test_vifs_come_and_go_and_nothing_is_made_anew(control: TrafficControl) -> None:
    control.apply("up0", tree(BRIDGED))
    for plan, items in (
        (tree(BRIDGED, 1), {AddressPlan: 2, RouterPlan: 4}),
        (tree(BRIDGED, 1, 4), {AddressPlan: 1, RouterPlan: 0}),
        (tree(BRIDGED, 4), {AddressPlan: 2, RouterPlan: 2}),  # nobody has an address of IPv4 any more
        (tree(BRIDGED), {AddressPlan: 1, RouterPlan: 2}),
    ):
        made = control.apply("up0", plan)
        assert all(step.verb is not Verb.STEER and step.place != OUTER | BRIDGED for step in made)
        assert {kind: sum(isinstance(step.item, kind) for step in made) for kind in items} == items
        assert control.apply("up0", plan) == []


def test_another_address_is_one_filter_more_at_each_level(control: TrafficControl) -> None:
    control.apply("up0", tree(2, below=(1,)))
    more = replace(sender(1), addresses=frozenset({*(sender(1).addresses or ()), ipaddress.ip_address("10.1.0.99")}))
    made = control.apply("up0", tree(2, below=(1,), senders={1: more, 2: sender(2)}))
    assert [(step.verb, type(step.item)) for step in made] == [(Verb.SET, AddressPlan)] * 2


def test_what_others_did_to_the_filters_is_undone(wire: Wire, control: TrafficControl) -> None:
    plan = tree(*ADDRESSES, BRIDGED)

    def tc(*words: str) -> str:
        return run("ip", "netns", "exec", wire.near, "tc", "filter", *words)

    control.apply("up0", plan)
    shown = tc("show", "dev", "up0", "parent", "7fff:")
    link = next(line for line in shown.splitlines() if "link 2:" in line).split(" fh ")[1].split()[0]
    tc("delete", "dev", "up0", "parent", "7fff:", "protocol", "all", "prio", "1", "handle", link, "u32")
    assert [type(step.item) for step in control.apply("up0", plan)] == [RouterPlan]
    rule = next(line for line in shown.splitlines() if "flowid 7fff:3" in line).split(" fh ")[1].split()[0]
    tc("delete", "dev", "up0", "parent", "7fff:", "protocol", "all", "prio", "1", "handle", rule, "u32")
    assert [type(step.item) for step in control.apply("up0", plan)] == [AddressPlan]
    match = "match", "ip", "src", "10.1.0.7/32"
    tc(
        "add",
        "dev",
        "up0",
        "parent",
        "7fff:",
        "protocol",
        "all",
        "prio",
        "1",
        "u32",
        "ht",
        "2:7:",
        *match,
        "flowid",
        "7fff:2",
    )
    assert control.apply("up0", plan)[0].verb is Verb.STEER
    tc("delete", "dev", "up0", "parent", "7fff:")
    assert control.apply("up0", plan)[0].verb is Verb.STEER
    assert control.apply("up0", plan) == []
    assert changes(plan, control._read("up0", control._index("up0")).plan) == ()


MANY = 1000


def many(count: int) -> QueuePlan:
    """20 tenants, each with as many VIFs of both IP versions."""
    senders, leaves = dict[int, Sender](), dict[int, list[Leaf]]()
    for number in range(1, count + 1):
        own: set[IPAddress] = {ipaddress.ip_address((10 << 24) + number), ipaddress.ip_address((0xFD << 120) + number)}
        senders[number] = Sender(ROUTER, (), frozenset(own))
        leaves.setdefault(number % 20, []).append(leaf(number))
    tenants = tuple(Branch(f"t{one}", 0, None, 1.0, (), tuple(below)) for one, below in sorted(leaves.items()))
    numbers = {f"t{one}": 1 + one for one in leaves}
    return uplink_plan(Branch("", 0, None, 1.0, tenants, ()), 1_000_000, senders, numbers, 4554)


def test_a_thousand_vifs_are_built_in_few_system_calls_and_one_more_is_six_messages(
    control: TrafficControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    send = control._socket._send
    monkeypatch.setattr(control._socket, "_send", lambda requests: (calls.append(len(requests)), send(requests))[1])
    plan = many(MANY)
    made = control.apply("up0", plan)
    # class, queue, and a filter for each of two addresses at each of two levels; of what is around it not 30 a tenant
    assert 6 * MANY < len(made) < 6 * MANY + 20 * 30
    assert len(calls) < len(made) / 20
    made = control.apply("up0", many(MANY + 1))
    assert len(made) == 6 and {step.verb for step in made} == {Verb.SET}
    assert control.apply("up0", many(MANY + 1)) == []
    made = control.apply("up0", plan)
    assert len(made) == 5 and {step.verb for step in made} == {Verb.DELETE}  # a class goes with its queue
    assert control.read_samples("up0").keys() == set(range(MANY + 1))


def test_no_bucket_is_searched_for_long() -> None:
    """A frame is compared with those of its bucket alone."""
    per_bucket: dict[tuple[int, int, int], int] = {}
    for item in many(MANY).filters:
        if isinstance(item, AddressPlan):
            key = item.qdisc, item.version, item.address & 0xFF
            per_bucket[key] = per_bucket.get(key, 0) + 1
    assert max(per_bucket.values()) <= -(-MANY // 256)
