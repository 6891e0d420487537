from __future__ import annotations

import pytest

from lab.tenants import Tenant, flows, policy_text
from policies.parser import parse

TENANTS = (Tenant("red", 1, 1, 12_000), Tenant("green", 3, 2, 6_000))


def test_the_law_gives_guarantees_and_the_rest_by_weight_of_tenants() -> None:
    """Beyond 12 and 2 x 6 of 60 Mbit/s there are 36: a quarter to red's one VIF, three quarters to green's two."""
    of_vif = {one.vif: one.vif_kbps for one in flows(TENANTS)}
    assert of_vif == pytest.approx({"red1": 21_000, "green1": 19_500, "green2": 19_500})


def test_classes_divide_guarantee_and_share() -> None:
    found = {(one.vif, one.kind): (one.guarantee_kbps, one.share_kbps) for one in flows(TENANTS)}
    assert found["red1", "fast"] == pytest.approx((4_800, 8_400))
    assert found["red1", "normal"] == pytest.approx((7_200, 12_600))


def test_every_flow_has_its_port() -> None:
    ports = [one.port for one in flows(TENANTS)]
    assert len(set(ports)) == len(ports) == 6


def test_the_policy_promises_the_same() -> None:
    found = parse({"policy.yaml": policy_text(TENANTS, "wan", "10.1.0.0/24")})
    assert found is not None
