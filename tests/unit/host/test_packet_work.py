"""What packets cost, from counters of a datapath: which windows count, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.host.packet_cost import PacketCosts
from controller.host.packet_work import LEAST_PACKETS, Cost, PacketWork, Polling, Work, work_of
from ovsdb.rows import DATAPATH, DPDK, KERNEL, NO, USERSPACE
from policies.enforcement import PACKET_COST, PACKET_COST_OF, YES
from policies.packet_budget import ASSUMED_NS, ASSUMED_POLLING_NS

SHOWN = """\
pmd thread numa_id 0 core_id 1:
  packets received: 1602
  packet recirculations: 4
  avg. datapath passes per packet: 1.00
  phwol hits: 0
  idle cycles: 9000 (90.00%)
  processing cycles: 1000 (10.00%)
  avg cycles per packet: 6.24 (10000/1602)
  avg processing cycles per packet: 0.62 (1000/1602)
main thread:
  packets received: 8041
  packet recirculations: 16116
  avg. packets per output batch: 16.15
"""
S_NS = 1_000_000_000


def costs(*steps: tuple[float, int, int, int]) -> PacketWork:
    """steps: seconds, ns of the thread, packets, of them dropped; one after the other."""
    seen, now = PacketWork(), Work(0.0, 0, 0)
    seen.add(now)
    for window_s, ns, packets, dropped in steps:
        passes = now.passes + 3 * packets
        now = Work(now.at_s + window_s, now.main_ns + ns, now.main_packets + packets, passes, now.dropped + dropped)
        seen.add(now)
    return seen


def test_what_the_switch_prints_is_read() -> None:
    assert work_of(SHOWN, 3, 17, {"1": 50}, 2.0) == Work(2.0, 17, 8041, 25_763, 3, {"1": Polling(1602, 1000, 9000, 50)})
    assert work_of("main thread:\n  packets received: 5\n", 0, 1, {}, 0.0) == Work(0.0, 1, 5, 5)


def test_the_cost_is_the_median_of_windows_with_packets_enough() -> None:
    busy = [(1.0, 10_000 * ns, 10_000, 0) for ns in (9000, 11_000, 90_000)]
    assert costs(*busy[:2]).cost() is None
    assert costs(*busy).cost() == Cost(11_000, 30_000)
    few = (1.0, S_NS, LEAST_PACKETS // 6, 0)
    assert costs(*busy, *[few] * 5).cost() == Cost(11_000, 30_000)  # too slow to mean something


def test_a_window_goes_on_until_it_has_packets_enough() -> None:
    part = (1.0, 2000 * 12_000, 2000, 0)
    assert costs(*[part] * 9).cost() == Cost(12_000, 18_000)


def test_what_meters_drop_does_not_cheapen_what_passes() -> None:
    honest, flood = (1.0, 10_000 * 12_000, 10_000, 900), (1.0, 100_000 * 2000, 100_000, 90_000)
    assert costs(*[honest] * 3, *[flood] * 9).cost() == Cost(12_000, 30_000)


def test_what_the_thread_does_without_packets_is_taken_off() -> None:
    """The least of the quiet windows: in the others it may have done something of its own."""
    quiet, at_work, busy = (5.0, S_NS // 100, 10, 0), (5.0, S_NS, 0, 0), (1.0, 10_000 * 12_000, 10_000, 0)
    assert costs(quiet, at_work, *[busy] * 3).cost() == Cost(11_800, 30_000)
    assert costs((5.0, 5 * S_NS, 0, 0), *[busy] * 3).cost() == Cost(1200, 30_000)  # never to nothing


def test_polling_threads_count_what_is_not_idle() -> None:
    """Of their own processor time: the core's clock goes on while others have the core."""
    seen = PacketWork()
    begun = Work(0.0, 0, 0, 0, 0, {"1": Polling(), "2": Polling()})
    for number in range(4):
        core1 = Polling(200_000 * number, 250 * number, 750 * number, S_NS * number)
        core2 = Polling(9 * number, 0, 1000 * number, S_NS * number)
        seen.add(replace(begun, at_s=float(number), main_ns=S_NS * number, polling={"1": core1, "2": core2}))
    assert seen.cost() == Cost(1250, 600_000)


@pytest.mark.parametrize(
    "anew",
    [
        Work(3.0, 1, 5),
        Work(3.0, 2 * S_NS, 50_000, 0, -1),
        Work(3.0, 2 * S_NS, 50_000, 0, 0, {"1": Polling(9, 9, 9)}),
    ],
)
def test_counters_that_begin_anew_begin_a_window(anew: Work) -> None:
    seen = costs((1.0, S_NS, 10_000, 0))
    seen.add(anew)
    for number in range(1, 3):
        later = replace(anew, at_s=anew.at_s + number, main_ns=anew.main_ns + number * 60_000_000)
        seen.add(replace(later, main_packets=anew.main_packets + number * 6000))
    assert seen.cost() == Cost(10_000, 22_000)


def test_until_it_is_measured_it_is_assumed(tmp_path: Path) -> None:
    assert PacketCosts(tmp_path, USERSPACE).found({}, False, 0.0) == {PACKET_COST: str(ASSUMED_NS), PACKET_COST_OF: "0"}
    assert PacketCosts(tmp_path, USERSPACE).found({}, True, 0.0)[PACKET_COST] == str(ASSUMED_POLLING_NS)


def test_an_agent_goes_on_with_what_was_told_before(tmp_path: Path) -> None:
    told = {DATAPATH: USERSPACE, PACKET_COST: "9000", PACKET_COST_OF: "40000", "htb": YES}
    said = PacketCosts(tmp_path, USERSPACE).found(told, False, 0.0)
    assert said == {PACKET_COST: "9000", PACKET_COST_OF: "40000"}
    assumed = {**told, PACKET_COST_OF: "0"}
    assert PacketCosts(tmp_path, USERSPACE).found(assumed, False, 0.0)[PACKET_COST] == str(ASSUMED_NS)


def test_what_a_polling_datapath_costs_is_not_carried_over_to_one_that_sleeps(tmp_path: Path) -> None:
    told = {DATAPATH: USERSPACE, DPDK: YES, PACKET_COST: "400", PACKET_COST_OF: "40000"}
    assert PacketCosts(tmp_path, USERSPACE).found(told, False, 0.0)[PACKET_COST] == str(ASSUMED_NS)
    assert PacketCosts(tmp_path, USERSPACE).found(told, True, 0.0)[PACKET_COST] == "400"
    slept = {**told, DPDK: NO}
    assert PacketCosts(tmp_path, USERSPACE).found(slept, True, 0.0)[PACKET_COST] == str(ASSUMED_POLLING_NS)


def test_the_kernels_datapath_cannot_tell(tmp_path: Path) -> None:
    said = PacketCosts(tmp_path, KERNEL).found({}, False, 0.0)
    assert said == {PACKET_COST: "no: the kernel's softirq does the work, in whatever thread it interrupts"}
