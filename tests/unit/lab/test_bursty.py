"""The bursty day: its law against the reference of the allocator's own laws, its policy, what a record comes to."""

from __future__ import annotations

import random

import pytest

from lab.bursty import (
    CAPACITY_KBPS,
    INGRESS,
    LIMIT_KBPS,
    LOCAL,
    TENANTS,
    UPLINK,
    day,
    flooded,
    flows,
    path_of,
    policy_text,
)
from lab.plain_law import Claim, divided
from lab.static_meters import on_paper, raised
from policies.parser import parse
from tests.support.bursty_days import record


def test_the_law_of_the_languages_own_example() -> None:
    endless = [Claim(60_000, guarantee, weight) for guarantee, weight in ((30_000, 1), (10_000, 3), (0, 1))]
    assert divided(60_000, endless) == pytest.approx([34_000, 22_000, 4_000])


def test_what_nobody_wants_is_left() -> None:
    assert divided(60_000, [Claim(5_000, 30_000, 1), Claim(7_000, 0, 2)]) == pytest.approx([5_000, 7_000])
    assert divided(0, [Claim(5_000, 0, 1)]) == [0.0]


def test_when_all_flood_every_place_is_full_and_nobody_below_its_guarantee() -> None:
    shares = flooded()
    for place, capacity_kbps in CAPACITY_KBPS.items():
        here = [flow for flow in flows() if flow.place == place]
        assert sum(shares[flow.vif] for flow in here) == pytest.approx(capacity_kbps)
        assert all(shares[flow.vif] >= flow.guarantee_kbps for flow in here)


def test_a_day_is_the_same_for_the_same_seed_and_wants_too_much_at_times() -> None:
    one = day(1, 2.0)
    assert one == day(1, 2.0) != day(2, 2.0)
    assert one.hours == 24 and one.duration_s == 48.0
    for place, capacity_kbps in CAPACITY_KBPS.items():
        vifs = [flow.vif for flow in flows() if flow.place == place]
        wanted = [sum(one.at(hour)[vif] for vif in vifs) for hour in range(24)]
        assert max(wanted) > 1.3 * capacity_kbps and min(wanted) < 0.5 * capacity_kbps
    assert one.steps("bulk1")[4] == (2.0, one.at(4)["bulk1"])


def test_the_policy_promises_what_the_law_counts_with() -> None:
    policies = parse({"policy.yaml": policy_text("wan", "10.1.0.0/24", "10.2.0.0/24")})
    for tenant in TENANTS:
        bandwidth = policies.nodes[path_of(tenant)]
        own = bandwidth.ingress if tenant.place == INGRESS else bandwidth.egress
        assert own is not None
        assert (own.guarantee_kbps, own.limit_kbps) == (tenant.guarantee_kbps, LIMIT_KBPS)
    assert policies.links["wan"].capacity_kbps == CAPACITY_KBPS[UPLINK]


def test_who_gets_what_the_law_gives_is_the_optimum() -> None:
    found = record()
    assert found.utilisation() == pytest.approx(1.0, abs=0.01)
    assert found.short_s() == 0 and not found.disturbed()
    assert found.fairness() == pytest.approx(1.0, abs=1e-3)
    assert all(found.over_s(place) == 0 for place in CAPACITY_KBPS)
    assert set(found.settling_s(UPLINK)) == {0.0}


def test_who_gets_less_is_short_and_unequal_and_never_settles() -> None:
    found = record(0.5, frozenset({"render1"}))
    assert found.utilisation(UPLINK) == pytest.approx(1.0, abs=0.01) and found.utilisation(LOCAL) < 0.95
    awake = [share for share in found.day.wanted_kbps["render1"] if share > 0]
    assert 1 <= found.short_s() <= len(awake)
    assert found.fairness() < 0.95
    assert max(found.settling_s(LOCAL)) == float("inf")


def test_an_uplink_that_carries_too_little_is_the_machine() -> None:
    found = record(0.9, frozenset(flow.vif for flow in flows()))
    assert len(found.disturbed()) > 15
    assert found.short_s(leaving_out=range(24)) == 0


def test_meters_on_paper_lose_use_or_guarantees() -> None:
    found = record()
    low, factor = found.utilisation(came=on_paper(found, 1.0)), raised(found, 0.97)
    assert low < 0.7 and found.short_s(on_paper(found, 1.0)) == 0
    assert factor > 3 and found.utilisation(came=on_paper(found, factor)) >= 0.97
    assert found.short_s(on_paper(found, factor)) > 10


def test_no_meter_lets_more_through_than_there_is() -> None:
    found, factor = record(), random.Random(1).uniform(2, 10)
    for rates in on_paper(found, factor):
        for place, capacity_kbps in CAPACITY_KBPS.items():
            assert sum(rates[vif] for vif in found.vifs(place)) <= capacity_kbps * 1.000001
