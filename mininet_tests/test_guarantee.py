"""Contention on the link between the switches: guarantees first, the rest by weight, nothing left idle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mininet_tests.measure import SETTLE_S, Flow, await_rates, flows
from mininet_tests.network import WeirNetwork
from mininet_tests.two_switches import policy

CAPACITY_MBIT, OFFERED_MBIT = 30, 30.0
GUARANTEES_MBIT = (12, 6, 0)
WINDOW_S = 3.0
ALL_FLOOD = [pytest.approx(share, rel=0.1) for share in (14.4, 13.2, 2.4)]


@pytest.fixture(scope="module")
def contenders(network: WeirNetwork) -> Iterator[list[Flow]]:
    """h1 and h5 in one VLAN, h2 in the other, each to a host of its own on the other switch."""
    contents = {
        name: f"unmatched: allow, egress: {{guarantee: {guarantee} mbit, weight: {weight}}}"
        for name, guarantee, weight in zip(("h1", "h2", "h5"), GUARANTEES_MBIT, (1, 3, 1), strict=True)
    }
    network.apply(policy(capacity=f"{CAPACITY_MBIT} mbit", **contents))
    hosts = network.hosts
    with flows((hosts["h1"], hosts["h3"]), (hosts["h2"], hosts["h4"]), (hosts["h5"], hosts["h6"])) as made:
        yield made


def offer(contenders: list[Flow], offered_mbit: tuple[float, float, float]) -> float:
    """From when on it may be measured what they get."""
    return max(flow.offer(rate) for flow, rate in zip(contenders, offered_mbit, strict=True)) + SETTLE_S


def test_guarantees_hold_and_the_rest_divides_by_weight(contenders: list[Flow]) -> None:
    def is_right(shares: list[float]) -> bool:
        holds = all(share >= 0.95 * least for share, least in zip(shares, GUARANTEES_MBIT, strict=True))
        return holds and sum(shares) >= 0.93 * CAPACITY_MBIT and shares == ALL_FLOOD

    await_rates(contenders, offer(contenders, (OFFERED_MBIT,) * 3), WINDOW_S, is_right)


def test_what_one_leaves_the_others_take_until_it_returns(contenders: list[Flow]) -> None:
    left = [0, *(pytest.approx(share, rel=0.1) for share in (24, 6))]
    from_s = offer(contenders, (0.0, OFFERED_MBIT, OFFERED_MBIT))
    await_rates(contenders, from_s, WINDOW_S, lambda shares: shares == left)
    from_s = offer(contenders, (OFFERED_MBIT,) * 3)
    await_rates(contenders, from_s, WINDOW_S, lambda shares: shares == ALL_FLOOD)


def test_a_guarantee_that_is_not_used_is_lent(contenders: list[Flow]) -> None:
    lent = [pytest.approx(3, rel=0.05), *(pytest.approx(share, rel=0.1) for share in (6 + 21 * 3 / 4, 21 / 4))]
    from_s = offer(contenders, (3.0, OFFERED_MBIT, OFFERED_MBIT))
    await_rates(contenders, from_s, WINDOW_S, lambda shares: shares == lent)
