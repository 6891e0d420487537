"""Who may have how much of what is guaranteed to nobody."""

from __future__ import annotations

from policies.hierarchy import Member
from policies.parser import parse
from policies.scaling import Scaled
from policies.surplus import fitted

AUTOSCALE = "autoscale: {guarantee: {min: 5 mbit, max: 90 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}"
POLICIES = parse(
    {
        "p": f"""
weir: 1
links: {{wan: {{capacity: 100 mbit}}}}
policies:
  acme:
    egress: {{guarantee: 60 mbit}}
    children:
      one: {{egress: {{guarantee: 10 mbit}}, {AUTOSCALE}}}
      three: {{egress: {{guarantee: 10 mbit, weight: 3}}, {AUTOSCALE}}}
      fixed: {{egress: {{guarantee: 20 mbit}}}}
  free: {{egress: {{guarantee: 10 mbit}}, {AUTOSCALE}}}
"""
    }
)


def vif(number: int, policy: str, moved_kbps: int | None = None, chassis: str = "h1") -> Member:
    return Member(number, f"v{number}", policy, "wan", chassis, scaled=Scaled(egress_kbps=moved_kbps))


def in_force(*members: Member) -> list[int]:
    found = fitted(POLICIES, members)
    assert [one.number for one in found] == [one.number for one in members]
    return [one.scaled.egress_kbps or 0 for one in found]


def test_what_is_free_may_be_had() -> None:
    assert in_force(vif(1, "acme/one", 50_000), vif(2, "acme/three")) == [50_000, 0]


def test_what_is_free_below_a_node_is_shared_by_weight_and_no_more() -> None:
    """60 - 20 Mbit/s are promised to nobody."""
    assert in_force(vif(1, "acme/one", 90_000), vif(2, "acme/three", 90_000)) == [20_000, 40_000]
    assert in_force(vif(1, "acme/one", 90_000), vif(2, "acme/three", 20_000)) == [40_000, 20_000]


def test_who_is_promised_something_has_it_at_once() -> None:
    assert in_force(vif(1, "acme/one", 60_000)) == [60_000]
    assert in_force(vif(1, "acme/one", 60_000), vif(2, "acme/fixed")) == [40_000, 0]
    assert in_force(vif(1, "acme/one", 60_000), *(vif(n, "acme/fixed") for n in (2, 3))) == [20_000, 0, 0]
    assert in_force(vif(1, "acme/one", 60_000), *(vif(n, "acme/fixed") for n in (2, 3, 4))) == [10_000, 0, 0, 0]


def test_who_gave_some_of_his_up_leaves_it_to_others() -> None:
    assert in_force(vif(1, "acme/one", 60_000), vif(2, "acme/three", 5_000)) == [55_000, 5_000]


def test_a_link_bounds_those_that_no_node_reserves_for() -> None:
    """90 Mbit/s may be reserved, of which acme has 60 whoever is below it."""
    assert in_force(vif(1, "acme/one", 60_000), vif(2, "free", 90_000)) == [60_000, 30_000]
    assert in_force(vif(1, "free", 80_000), vif(2, "free", 80_000, "h2")) == [80_000, 80_000]
    assert in_force(vif(1, "free", 80_000), vif(2, "free", 80_000)) == [45_000, 45_000]


def test_more_promised_than_there_is_leaves_nothing_over() -> None:
    crowd = [vif(number, "free", 20_000) for number in range(1, 12)]
    assert in_force(*crowd) == [10_000] * 11
