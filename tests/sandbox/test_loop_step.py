"""What one VIF leaves of an inner limit, the other has within two ticks of the loop, and gives it back within two.

Traffic between VIFs of one host shares no queue: only the loop divides it. Its ticks are counted, not seconds: on a
machine that is busy they come late.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.loop_ticks import LoopTicks
from lab.site import Site
from lab.udp import UdpSender
from lab.window_receiver import WindowReceiver
from lab.windows import Arrivals

POLICY = """\
weir: 1
segments:
  yard: {type: internal, subnets: [10.2.0.0/24]}
policies:
  sink: {unmatched: allow}
  floor:
    unmatched: allow
    egress: {limit: 16 mbit}
    children:
      left: {egress: {guarantee: 4 mbit, limit: 30 mbit}}
      right: {egress: {guarantee: 4 mbit, limit: 30 mbit}}
"""
LIMIT_KBPS, HALF_KBPS, FLOOD_KBPS = 16_000, 8_000, 30_000
PORT = {"left": 7001, "right": 7002}
TURNS, TICKS = 4, 2
APPLIED_S = 0.5  # after a tick, until what it has decided is in force on a host that is busy
SPAN_S, NEAR = 0.5, 0.06


@dataclass(frozen=True, slots=True)
class Ground:
    site: Site
    ticks: LoopTicks
    receiver: WindowReceiver
    left: UdpSender
    right: UdpSender

    def arrived(self, name: str) -> Arrivals:
        return self.receiver.ports[PORT[name]]

    def ticks_until(self, wanted_kbps: float, since_s: float) -> int:
        """How many ticks the loop needed until `left` has so much."""
        for count in range(1, 3 * TICKS + 1):
            over_s = self.ticks.await_next(since_s, count)
            for start_s in (over_s, over_s + APPLIED_S):
                self.receiver.await_time(start_s + SPAN_S)
                if self.arrived("left").kbps(start_s, start_s + SPAN_S) == pytest.approx(wanted_kbps, rel=NEAR):
                    return count
        raise AssertionError(f"left does not have {wanted_kbps} kbit/s after {3 * TICKS} ticks")


@pytest.fixture(scope="module")
def ground(policy: Path) -> Iterator[Ground]:
    with Site(policy, "10.1.0.100/24") as site, ExitStack() as ends:
        sink = site.add_vif("sink", "sink", "yard")
        for name in PORT:
            site.add_vif(name, f"floor/{name}", "yard")
            site.await_neighbour(name, sink.address)
        receiver = ends.enter_context(WindowReceiver(sink.namespace, list(PORT.values())))
        ticks = ends.enter_context(LoopTicks(site.system.asked))
        senders = [ends.enter_context(site.sender_at(name, port, to=sink.address)) for name, port in PORT.items()]
        yield Ground(site, ticks, receiver, *senders)


def test_a_share_is_taken_and_given_back_within_two_ticks(ground: Ground) -> None:
    ground.left.offer(FLOOD_KBPS)
    ground.ticks_until(HALF_KBPS, ground.right.offer(FLOOD_KBPS).at_s)
    taken, given_back = [], []
    for _ in range(TURNS):
        taken.append(ground.ticks_until(LIMIT_KBPS, ground.right.offer(0).at_s))
        given_back.append(ground.ticks_until(HALF_KBPS, ground.right.offer(FLOOD_KBPS).at_s))
    for needed in (taken, given_back):
        assert sorted(needed)[-2] <= TICKS, (taken, given_back)  # of the turns one may meet a machine that stands still


def test_who_returns_has_its_guarantee_at_once(ground: Ground) -> None:
    """It does not wait for a tick: what it may have stays its own while it sleeps."""
    ground.left.offer(FLOOD_KBPS)
    ground.ticks_until(LIMIT_KBPS, ground.right.offer(0).at_s)
    back_s = ground.right.offer(FLOOD_KBPS).at_s
    ground.receiver.await_time(back_s + 1.0)
    assert min(ground.arrived("right").windows(back_s, back_s + 1.0, 0.25)) >= 0.97 * 4_000
