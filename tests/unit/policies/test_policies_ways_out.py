"""By which uplink what a VIF sends leaves."""

from __future__ import annotations

import pytest

from policies.model import PolicySet
from policies.parser import parse
from policies.ways_out import outward_uplink, ways_out

FRONT = "  front: {type: routed, subnets: [10.20.0.0/24]}\n"
OTHERS = "  office: {type: bridged, uplink: up0}\n  lab: {type: internal, subnets: [10.30.0.0/24]}\n"


def policies(*segments: str) -> PolicySet:
    return parse({"p.yaml": "weir: 1\nsegments:\n" + FRONT + OTHERS + "".join(segments) + "policies: {open: {}}\n"})


def way(name: str, number: int, via: str = "") -> str:
    own = f"address: [192.0.{number}.2/24, '2001:db8:{number}::2/64']"
    return f"  {name}: {{type: routed, subnets: [10.{number}.0.0/24], uplink: up{number}, {own}, {via}}}\n"


def test_what_is_not_routed_leaves_by_its_own_uplink() -> None:
    own = policies(way("edge", 1))
    assert outward_uplink(own, "office") == "up0"
    assert outward_uplink(own, "lab") is None and outward_uplink(own, "nowhere") is None


def test_what_is_routed_leaves_by_the_routers_way_out_whatever_its_segment() -> None:
    own = policies(way("edge", 1))
    assert outward_uplink(own, "front") == outward_uplink(own, "edge") == "up1"
    assert outward_uplink(policies(), "front") is None


@pytest.mark.parametrize(
    ("segments", "uplink"),
    [
        ((way("a", 1), way("b", 2)), "up1"),
        ((way("b", 1), way("a", 2)), "up2"),
        ((way("a", 1), way("b", 2, "via: ['2001:db8:2::1']")), "up2"),
        ((way("a", 1, "via: ['2001:db8:1::1']"), way("b", 2, "via: [192.0.2.1]")), "up2"),
    ],
)
def test_of_several_it_is_the_one_with_a_next_router_of_ipv4_first(segments: tuple[str, ...], uplink: str) -> None:
    own = policies(*segments)
    assert [found.name for found in ways_out(own)] == ["a", "b"]
    assert all(outward_uplink(own, segment) == uplink for segment in ("front", "a", "b"))
