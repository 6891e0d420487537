"""Which limits of inner nodes no queue keeps."""

from __future__ import annotations

import pytest

from policies.hierarchy import Member
from policies.parser import parse
from policies.unqueued import unqueued

TEXT = """\
weir: 1
segments:
  office: {type: bridged, uplink: wan}
  branch: {type: bridged, uplink: wan, vlan: 7}
  side: {type: bridged, uplink: lan}
  lab: {type: internal, subnets: [10.2.0.0/24]}
  front: {type: routed, subnets: [10.3.0.0/24]}
  back: {type: routed, subnets: [10.4.0.0/24]}
  edge: {type: routed, subnets: [10.5.0.0/24], uplink: wan, vlan: 9, address: [192.0.2.2/24], via: [192.0.2.1]}
  SECOND
links: {wan: {capacity: 60 mbit}, lan: {capacity: 60 mbit, hosts: [h1]}}
policies:
  team:
    egress: {limit: 24 mbit}
    children: {a: {egress: {limit: 2 mbit}}, b: {}}
  crew:
    ingress: {limit: 18 mbit}
    children: {squad: {egress: {limit: 9 mbit}, children: {c: {}}}}
  free: {children: {d: {egress: {limit: 1 mbit}, ingress: {limit: 1 mbit}}}}
  sink: {}
"""
POLICIES = parse({"p.yaml": TEXT.replace("SECOND", "other: {type: internal}")})
TWO_WAYS = "other: {type: routed, subnets: [10.6.0.0/24], uplink: lan, vlan: 8, address: [198.51.100.2/24]}"
UPLINKS = {"office": "wan", "branch": "wan", "side": "lan", "lab": None, "front": "wan", "back": "wan"}
LOCAL = "VIF 'v1' can send to other VIFs of the same host, past its uplinks"


def vif(number: int, policy: str, segment: str = "office", chassis: str | None = "h1") -> Member:
    return Member(number, f"v{number}", policy, UPLINKS[segment], chassis, segment=segment)


def told(*members: Member) -> dict[str, str]:
    """Problems by path."""
    return {finding.path: finding.problem for finding in unqueued(POLICIES, members)}


def why(*members: Member) -> str:
    found = told(*members)["policies.team.egress.limit"]
    return found.removeprefix("24 mbit is kept by the loop and not by a queue: ")


def test_what_all_crosses_one_uplink_is_queued_there() -> None:
    assert told() == {}
    assert told(vif(1, "team/a")) == {}
    assert told(vif(1, "team/a", "office"), vif(2, "team/b", "branch")) == {}
    assert told(vif(1, "team/a"), vif(2, "sink", chassis="h2")) == {}


def test_vifs_of_one_host_meet_before_the_uplink() -> None:
    assert why(vif(1, "team/a"), vif(2, "team/b"), vif(3, "team/b", "branch")) == LOCAL.replace(
        "'v1'", "'v1' and 1 more"
    )
    assert why(vif(1, "team/a", "lab"), vif(2, "sink", "lab")) == LOCAL
    assert told(vif(1, "team/a", "lab"), vif(2, "sink", "lab", "h2")) == {}


def test_all_routed_segments_of_a_host_share_a_router() -> None:
    assert why(vif(1, "team/a", "front"), vif(2, "sink", "back")) == LOCAL
    assert told(vif(1, "team/a", "front"), vif(2, "sink", "office")) == {}


def test_each_uplink_of_each_host_has_queues_of_its_own() -> None:
    through_two = "the VIFs below it send through 2 uplinks, each with a queue of its own"
    assert why(vif(1, "team/a"), vif(2, "team/b", chassis="h2")) == through_two
    assert why(vif(1, "team/a"), vif(2, "team/b", "side")) == through_two


def test_an_uplink_without_capacity_has_no_queues() -> None:
    unknown = "an uplink without a known capacity has no queues ('lan' of host 'h2')"
    assert why(vif(1, "team/a", "side", "h2")) == unknown
    both = why(vif(1, "team/a", "side", "h2"), vif(2, "sink", "side", "h2"))
    assert both == f"{LOCAL}, and {unknown}"


def test_a_router_with_two_ways_out_chooses_by_destination() -> None:
    policies = parse({"p.yaml": TEXT.replace("SECOND", TWO_WAYS)})
    (found,) = unqueued(policies, [vif(1, "team/a", "front")])
    assert "the router of VIF 'v1' has 2 uplinks" in found.problem
    assert unqueued(policies, [vif(1, "team/a", "office")]) == []


@pytest.mark.parametrize("number", [1, 3])
def test_what_reaches_vifs_never_shares_a_queue(number: int) -> None:
    members = [vif(one, "crew/squad/c", chassis=f"h{one}") for one in range(1, number + 1)]
    assert "what reaches several VIFs" in told(*members)["policies.crew.ingress.limit"]


def test_bounds_in_packets_are_each_hosts_own() -> None:
    text = TEXT.replace("SECOND", "other: {type: internal}")
    text = text.replace("egress: {limit: 24 mbit}", "egress: {packets: 3000 pps}\n    ingress: {packets: 1500 pps}")
    policies = parse({"p.yaml": text.replace("egress: {limit: 2 mbit}", "egress: {packets: 10 pps}")})

    def told_of(*members: Member) -> dict[str, str]:
        return {found.path: found.problem for found in unqueued(policies, members)}

    here, beside, there = vif(1, "team/a"), vif(2, "team/b"), vif(3, "team/b", chassis="h2")
    assert told_of(here, beside, vif(4, "sink", chassis="h2"), vif(5, "team/a", chassis=None)) == {}
    assert told_of(here, beside, there) == {
        "policies.team.egress.packets": "3 kpps is held by each of 2 hosts for itself: together up to 6 kpps",
        "policies.team.ingress.packets": "1500 pps is held by each of 2 hosts for itself: together up to 3 kpps",
    }


def test_limits_of_leaves_hold_by_themselves() -> None:
    assert told(vif(1, "free/d"), vif(2, "free/d"), vif(3, "sink")) == {}


def test_nodes_at_every_level_are_looked_at() -> None:
    assert set(told(vif(1, "crew/squad/c"), vif(2, "sink"))) == {
        "policies.crew.ingress.limit", "policies.crew.children.squad.egress.limit",
    }  # fmt: skip


def test_vifs_without_a_host_or_a_leaf_do_not_count() -> None:
    astray = [vif(2, "team/b", chassis=None), vif(3, "gone"), vif(4, "team")]
    assert told(vif(1, "team/a"), *astray) == {}


def test_a_finding_is_one_line_that_says_what_to_do() -> None:
    (found,) = unqueued(POLICIES, [vif(1, "team/a"), vif(2, "sink")])
    assert not found.is_refusal and str(found).startswith("p.yaml:")
    assert "limit the leaves below it" in found.remedy and "\n" not in str(found)
