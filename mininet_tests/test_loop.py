"""What a tenant may send from several hosts together: no queue is shared, so the loop divides it, and moves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.api import client
from lab.loop_ticks import LoopTicks
from mininet_tests.measure import Flow, await_rates, flows, rates_mbit
from mininet_tests.network import WeirNetwork
from mininet_tests.two_switches import policy

TOTAL_MBIT, FLOOD_MBIT = 12, 20.0
SHARES_MBIT = (4 + 2, 2 + 4)  # guarantees of 4 and 2, the 6 that are left by weight 1 : 2
TEAM = f"""\
  team:
    unmatched: allow
    egress: {{limit: {TOTAL_MBIT} mbit}}
    children:
      one: {{egress: {{guarantee: 4 mbit, weight: 1}}}}
      other: {{egress: {{guarantee: 2 mbit, weight: 2}}}}
"""
MEMBERS = {"h1": "team/one", "h3": "team/other"}
TURNS, TICKS, APPLIED_S, SPAN_S = 3, 2, 0.5, 1.0


@pytest.fixture(scope="module")
def team(network: WeirNetwork) -> Iterator[list[Flow]]:
    """h1 on one switch, h3 on the other, each sending to a neighbour on its own: neither crosses the link."""
    hosts = network.hosts
    network.apply(policy() + TEAM)
    try:
        for name, path in MEMBERS.items():
            network.weir("vif", "set", name, "--policy", path)
        with flows((hosts["h1"], hosts["h5"]), (hosts["h3"], hosts["h6"])) as made:
            yield made
    finally:
        for name in MEMBERS:
            network.weir("vif", "set", name, "--policy", name)
        network.apply(policy())


@pytest.fixture(scope="module")
def ticks(network: WeirNetwork) -> Iterator[LoopTicks]:
    with LoopTicks(lambda path: client.get(network.state.api_socket, path)) as counting:
        yield counting


def near(*shares: float) -> list[object]:
    return [pytest.approx(share, rel=0.06, abs=0.1) for share in shares]


def test_one_limit_for_what_two_hosts_send(team: list[Flow]) -> None:
    started_s = max(flow.offer(FLOOD_MBIT) for flow in team)
    await_rates(team, started_s, 3.0, lambda rates: rates == near(*SHARES_MBIT))


def test_what_one_host_leaves_the_other_has_within_two_ticks(team: list[Flow], ticks: LoopTicks) -> None:
    one, other = team
    one.offer(FLOOD_MBIT)
    await_rates(team, other.offer(FLOOD_MBIT), 1.0, lambda rates: rates == near(*SHARES_MBIT))
    needed = []
    for _ in range(TURNS):
        needed.append(ticks_until(team, ticks, other.offer(0), (TOTAL_MBIT, 0)))
        needed.append(ticks_until(team, ticks, other.offer(FLOOD_MBIT), SHARES_MBIT))
    assert sorted(needed)[-2] <= TICKS, needed  # of the turns one may meet a machine that stands still


def ticks_until(team: list[Flow], ticks: LoopTicks, since_s: float, shares: tuple[float, float]) -> int:
    """How many ticks the loop needs until these are the rates."""
    for count in range(1, 4 * TICKS):
        over_s = ticks.await_next(since_s, count)
        if any(rates_mbit(team, at_s, SPAN_S) == near(*shares) for at_s in (over_s, over_s + APPLIED_S)):
            return count
    raise AssertionError(f"the rates are not {shares} Mbit/s after {4 * TICKS - 1} ticks")
