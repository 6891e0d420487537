"""Queue trees with the kernel's datapath, whose packets are many frames joined: what a policy says holds all the same.

Three instances send through a bridge in the kernel to an outside, TCP by cubic with segmentation left to others. What
leaves is measured again and again until it is as expected, or a deadline: the processor is emulated, and shared.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from controller.host.class_queues import ClassShare
from controller.host.joined_frames import for_joined_frames
from controller.host.qdisc import TrafficControl
from controller.host.queue_ids import CLASS_MINORS
from controller.host.queue_plan import Sender, ingress_plan, shaper_plan, uplink_plan
from controller.host.queue_tree import QueuePlan
from controller.host.wishes import SHAPER_QUEUE_BYTES
from lab.children import run, within
from lab.private_ovs import PrivateOvs
from lab.tcp import TcpSender, tcp_flow
from lab.udp import UdpSender
from policies.hierarchy import Branch, Leaf, Member
from policies.joined_packets import LEAST_JOINED_LEAF_BYTES
from tests.support.class_counters import ClassCounters
from tests.vm.support import await_handlers

pytestmark = pytest.mark.guest(deadline_s=480)
SENDERS, OUTSIDE = (1, 2, 3), 9
MODULES = ("openvswitch", "sch_htb", "sch_tbf", "sch_netem", "cls_u32", "tcp_cubic", "8021q")
ROUTER = 0x06AB_CDEF_3412
CAPACITY_KBPS, LIMIT_KBPS, SLOW_KBPS = 4_000, 3_000, 1_000
# acme: 0.5 Mbit/s guaranteed, weight 3; in it VIF 1 weighs 3 and VIF 2 one. VIF 3: 1 Mbit/s guaranteed, weight 1.
# Of the 2.5 Mbit/s that nobody is guaranteed acme gets three parts and VIF 3 one
SHARES_KBPS = {1: 1_780, 2: 595, 3: 1_625}
TOLERANCE, LEAST_PART, WINDOW_S, DEADLINE_S = 0.1, 0.6, 4.0, 90.0
LONGER_S = 600  # than any test takes
VLAN = 20


def name(number: int) -> str:
    return f"vt{number}"


def mac(number: int) -> int:
    return 0x0277_0000_0000 | number


def in_text(mac: int) -> str:
    return ":".join(f"{mac:012x}"[at : at + 2] for at in range(0, 12, 2))


def address(number: int) -> str:
    return f"10.9.0.{number}"


@pytest.fixture(scope="module")
def switch() -> Iterator[PrivateOvs]:
    """Bridge br0 in the kernel with a veth to each instance's namespace, and one to the outside, named as that."""
    for module in MODULES:
        run(["modprobe", module])
    await_handlers()
    with PrivateOvs() as ovs:
        ovs.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "protocols=OpenFlow13", "fail_mode=secure")
        ovs.ofctl("add-flow", "br0", "priority=0,actions=NORMAL")
        try:
            for number in (*SENDERS, OUTSIDE):
                _connect(ovs, number)
            tagged = ["ip", "link", "add", "link", "eth0", "name", "tagged", "type", "vlan", "id", str(VLAN)]
            run(within(name(OUTSIDE), tagged))
            run(within(name(OUTSIDE), ["ip", "link", "set", "tagged", "up"]))
            yield ovs
        finally:
            for number in (*SENDERS, OUTSIDE):
                run(["ip", "netns", "delete", name(number)], check=False)


def _connect(ovs: PrivateOvs, number: int) -> None:
    place = name(number)
    run(["ip", "netns", "add", place])
    peer = ["type", "veth", "peer", "name", "eth0", "address", in_text(mac(number)), "netns", place]
    ovs.run("ip", "link", "add", place, *peer)
    ovs.run("ip", "link", "set", place, "up")
    run(within(place, ["ip", "address", "add", f"{address(number)}/24", "dev", "eth0"]))
    run(within(place, ["ip", "link", "set", "eth0", "up"]))
    ovs.vsctl("add-port", "br0", place)


@pytest.fixture
def control(switch: PrivateOvs) -> Iterator[TrafficControl]:
    with TrafficControl(Path("/run/netns") / switch.namespace) as one:
        yield one
        for number in (*SENDERS, OUTSIDE):
            one.remove(name(number))


def leaf(number: int, guarantee_kbps: int = 0, weight: float = 1.0) -> Leaf:
    return Leaf(Member(number, name(number), "p"), guarantee_kbps, None, weight, None, None)


def tree(senders: Mapping[int, Sender]) -> QueuePlan:
    acme = Branch("acme", 500, None, 3.0, (), (leaf(1, weight=3.0), leaf(2)))
    root = Branch("", 0, None, 1.0, (acme,), (leaf(3, 1_000),))
    return for_joined_frames(uplink_plan(root, CAPACITY_KBPS, senders, {"acme": 1}, LEAST_JOINED_LEAF_BYTES))


def bridged(*classes: ClassShare) -> QueuePlan:
    return tree({number: Sender(mac(number), classes) for number in SENDERS})


@contextmanager
def tcp(senders: Sequence[int], receiver: int = OUTSIDE) -> Iterator[dict[int, TcpSender]]:
    """A connection from each, for longer than any test needs; they are stopped when the block ends."""
    with ExitStack() as ends:
        there = name(receiver), address(receiver)
        yield {
            one: ends.enter_context(tcp_flow(name(one), (*there, 5_300 + one), "cubic", LONGER_S)) for one in senders
        }


@contextmanager
def udp(kbps: Mapping[int, float], receiver: int = OUTSIDE) -> Iterator[None]:
    with ExitStack() as ends:
        for one, rate_kbps in kbps.items():
            ends.enter_context(UdpSender(name(one), address(receiver), 7_000 + one)).offer(rate_kbps)
        yield


def rising(read: Callable[[], Mapping[int, int]]) -> dict[int, float]:
    """By how much each counter of bytes rises in a window, in kbit/s; rather too little, when reading takes long."""
    from_s = time.monotonic()
    before = read()
    time.sleep(WINDOW_S)
    after = read()
    elapsed_s = time.monotonic() - from_s
    return {key: (after[key] - count) * 0.008 / elapsed_s for key, count in before.items()}


def sent(control: TrafficControl, device: str) -> dict[int, int]:
    """By each VIF, and as 0 by all: bytes of frames."""
    return {vif: sample.sent_bytes for vif, sample in control.read_samples(device).items()}


def assert_figures(measure: Callable[[], Mapping[int, float]], expected: Mapping[int, float]) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while True:
        got = measure()
        if all(got[key] == pytest.approx(figure, rel=TOLERANCE) for key, figure in expected.items()):
            return
        assert time.monotonic() < end_s, f"measured {got}, expected {dict(expected)}"


def assert_passes(
    control: TrafficControl, expected_kbps: Mapping[int, float], device: str = name(OUTSIDE), whole_kbps: int = 0
) -> None:
    """VIFs share as expected what passes in all, which is never more than there is, nor much less.

    Less, because a queue cannot make up for a processor that is taken away for longer than its bucket is deep.
    """
    whole_kbps = whole_kbps or CAPACITY_KBPS

    def shares() -> dict[int, float]:
        passed = rising(lambda: sent(control, device))
        assert passed[0] <= 1.05 * whole_kbps
        divided_kbps = max(passed[0], LEAST_PART * whole_kbps)
        return {vif: kbps / divided_kbps for vif, kbps in passed.items()}

    assert_figures(shares, {vif: kbps / whole_kbps for vif, kbps in expected_kbps.items()})


@contextmanager
def handled(switch: PrivateOvs, match: str, actions: str) -> Iterator[None]:
    """Packets that match, by actions of their own."""
    switch.ofctl("add-flow", "br0", f"priority=9,{match},actions={actions}")
    yield
    switch.ofctl("del-flows", "br0", match)


def test_guarantees_weights_and_levels_hold_for_joined_frames(control: TrafficControl) -> None:
    control.apply(name(OUTSIDE), bridged())
    with tcp(SENDERS):
        assert_passes(control, SHARES_KBPS)


def test_what_one_leaves_stays_within_its_tenant(control: TrafficControl) -> None:
    control.apply(name(OUTSIDE), bridged())
    with tcp([2, 3]):
        assert_passes(control, {2: 2_375, 3: 1_625})


@pytest.mark.parametrize(("is_routed", "is_tagged"), [(False, True), (True, False), (True, True)])
def test_senders_are_told_by_mac_or_address_with_and_without_a_tag(
    switch: PrivateOvs, control: TrafficControl, is_routed: bool, is_tagged: bool
) -> None:
    routed = {number: Sender(ROUTER, (), frozenset([ipaddress.ip_address(address(number))])) for number in SENDERS}
    control.apply(name(OUTSIDE), tree(routed) if is_routed else bridged())
    actions = [f"mod_dl_src:{in_text(ROUTER)}"] if is_routed else []
    actions += ["push_vlan:0x8100", f"set_field:{0x1000 | VLAN}->vlan_vid"] if is_tagged else []
    outwards = f"tcp,nw_dst={address(OUTSIDE)}"
    with handled(switch, outwards, ",".join([*actions, f"output:{name(OUTSIDE)}"])), tcp(SENDERS):
        assert_passes(control, SHARES_KBPS)


def test_classes_divide_what_their_vif_has(switch: PrivateOvs, control: TrafficControl) -> None:
    control.apply(name(OUTSIDE), bridged(ClassShare(0.75, (46,)), ClassShare(0.25)))
    marked, plain = 5_401, 5_402
    with handled(switch, f"tcp,tcp_dst={marked}", "set_field:46->ip_dscp,NORMAL"), ExitStack() as ends:
        for port in (marked, plain):
            there = name(OUTSIDE), address(OUTSIDE), port
            ends.enter_context(tcp_flow(name(1), there, "cubic", LONGER_S))
        counters = ends.enter_context(ClassCounters(Path("/run/netns") / switch.namespace, name(OUTSIDE)))

        def share() -> dict[int, float]:
            passed = rising(counters.sent)
            return {CLASS_MINORS + 46: passed[CLASS_MINORS + 46] / (sum(passed.values()) or 1)}

        assert_figures(share, {CLASS_MINORS + 46: 0.75})


def test_tcp_reaches_an_ingress_limit(control: TrafficControl) -> None:
    plan = ingress_plan(LIMIT_KBPS, LEAST_JOINED_LEAF_BYTES)
    assert plan is not None
    control.apply(name(1), for_joined_frames(plan))
    with tcp([OUTSIDE], receiver=1):
        assert_passes(control, {0: LIMIT_KBPS}, name(1), LIMIT_KBPS)


def test_tcp_over_a_long_path_gets_through_a_shaper_what_a_flood_gets(switch: PrivateOvs) -> None:
    """At the same time, so that a processor that others take away for a while is missed by both. Slow, so that what one
    connection has waiting lasts longer than that."""
    place = ["dev", "eth0", "root"]
    with ExitStack() as ends:
        inside = {one: ends.enter_context(TrafficControl(Path("/run/netns") / name(one))) for one in (1, 2)}
        for control in inside.values():
            control.apply("eth0", shaper_plan(SLOW_KBPS, SHAPER_QUEUE_BYTES))
            ends.callback(control.remove, "eth0")
        run(within(name(OUTSIDE), ["tc", "qdisc", "add", *place, "netem", "delay", "20ms", "loss", "0.1%"]))
        ends.callback(run, within(name(OUTSIDE), ["tc", "qdisc", "delete", *place]))
        ends.enter_context(tcp([1]))
        ends.enter_context(udp({2: 1.5 * SLOW_KBPS}))

        def ratio() -> dict[int, float]:
            passed = rising(lambda: {one: sent(control, "eth0")[0] for one, control in inside.items()})
            return {1: passed[1] / (passed[2] or 1)}

        assert_figures(ratio, {1: 1.0})
