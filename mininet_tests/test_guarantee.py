"""Contention on the link between the switches: guarantees first, the rest by weight, nothing left idle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mininet_tests.measure import SETTLE_S, Flow, flows, rates_mbit
from mininet_tests.network import WeirNetwork
from mininet_tests.topology import policy

CAPACITY_MBIT, OFFERED_MBIT = 30, 30.0
GUARANTEES_MBIT = (12, 6, 0)
WINDOW_S = 3.0


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


def shares_mbit(contenders: list[Flow], offered_mbit: tuple[float, float, float]) -> list[float]:
    started_s = max(flow.offer(rate) for flow, rate in zip(contenders, offered_mbit, strict=True))
    return rates_mbit(contenders, started_s + SETTLE_S, WINDOW_S)


def test_guarantees_hold_and_the_rest_divides_by_weight(contenders: list[Flow]) -> None:
    shares = shares_mbit(contenders, (OFFERED_MBIT,) * 3)
    assert sum(shares) >= 0.93 * CAPACITY_MBIT
    for share, guarantee in zip(shares, GUARANTEES_MBIT, strict=True):
        assert share >= 0.95 * guarantee
    assert shares == [pytest.approx(share, rel=0.1) for share in (14.4, 13.2, 2.4)]


def test_what_one_leaves_the_others_take_until_it_returns(contenders: list[Flow]) -> None:
    idle, *others = shares_mbit(contenders, (0.0, OFFERED_MBIT, OFFERED_MBIT))
    assert idle == 0
    assert others == [pytest.approx(share, rel=0.1) for share in (24, 6)]
    back = shares_mbit(contenders, (OFFERED_MBIT,) * 3)
    assert back == [pytest.approx(share, rel=0.1) for share in (14.4, 13.2, 2.4)]


def test_a_guarantee_that_is_not_used_is_lent(contenders: list[Flow]) -> None:
    modest, *others = shares_mbit(contenders, (3.0, OFFERED_MBIT, OFFERED_MBIT))
    assert modest == pytest.approx(3, rel=0.05)
    assert others == [pytest.approx(share, rel=0.1) for share in (6 + 21 * 3 / 4, 21 / 4)]
