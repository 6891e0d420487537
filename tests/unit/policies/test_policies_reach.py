"""Whether a packet comes from one interface to another, as the oracle has it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from policies.identity import Party
from policies.parser import parse
from policies.reach import Reach, is_of_one_link, reach

POLICIES = parse(
    {
        "p.yaml": """
weir: 1
segments:
  front: {type: routed, subnets: [10.20.0.0/24, 'fd20::/64']}
  back: {type: routed, subnets: [10.21.0.0/24, 'fd21::/64'], gateway: [10.21.0.254]}
  edge: {type: routed, subnets: [10.22.0.0/24], uplink: wan, address: [192.0.2.2/24, '2001:db8::2/64', 'fe80::2/64'],
         via: [192.0.2.1]}
  office: {type: bridged, uplink: wan, vlan: 7, subnets: [10.40.0.0/24]}
  lab: {type: internal, subnets: [10.30.0.0/24]}
policies: {open: {}}
"""
    }
)


def party(name: str, number: int, segment: str, *addresses: str) -> Party:
    own = frozenset(map(ip_address, (f"fe80::{number}", *addresses)))
    return Party(name=name, number=number, policy="open", segment=segment, addresses=own, users=frozenset(), labels=())


FRONT = party("front1", 1, "front", "10.20.0.11", "fd20::11")
SAME = party("front2", 2, "front", "10.20.0.12", "fd20::12")
BACK = party("back1", 3, "back", "10.21.0.11", "fd21::11")
OFFICE = party("office1", 4, "office", "10.40.0.11")
LAB, LAB2 = party("lab1", 5, "lab", "10.30.0.11"), party("lab2", 6, "lab", "10.30.0.12")
BEYOND4, BEYOND6 = "198.51.100.7", "2001:db8:ffff::7"


def reached(
    sender: Party | None, receiver: Party | None, source: str, destination: str, ttl: int = 64, policies=POLICIES
) -> Reach:  # type: ignore[no-untyped-def]
    return reach(policies, sender, receiver, (ip_address(source), ip_address(destination)), ttl)


def test_what_is_between_neighbours_is_not_routed() -> None:
    for number in (130, 134, 135, 137, 143):
        assert is_of_one_link(6, 58, number) and not is_of_one_link(4, 1, number)
    assert is_of_one_link(4, 2, None) and not is_of_one_link(6, 2, None) and not is_of_one_link(6, 58, 128)
    assert [port for port in range(1024) if is_of_one_link(4, 17, port)] == [67, 68]
    assert [port for port in range(1024) if is_of_one_link(6, 17, port)] == [546, 547]
    assert not is_of_one_link(4, 6, 67) and not is_of_one_link(6, 17, 67)
    ends = ip_address("10.20.0.11"), ip_address("10.21.0.11")
    assert reach(POLICIES, FRONT, BACK, ends, 64, of_one_link=True).lost == "what is between neighbours is not routed"
    assert reach(POLICIES, LAB, LAB2, ends, 64, of_one_link=True) == Reach()


@pytest.mark.parametrize("destination", ["10.20.0.12", "198.51.100.7", "224.0.0.1"])
def test_within_a_segment_a_packet_goes_to_whom_its_sender_chose(destination: str) -> None:
    assert reached(FRONT, SAME, "10.20.0.11", destination, ttl=1) == Reach()
    assert reached(LAB, LAB2, "10.30.0.11", destination, ttl=0) == Reach()


@pytest.mark.parametrize(
    ("source", "destination"), [("10.20.0.11", "10.21.0.11"), ("fd20::11", "fd21::11"), ("10.99.0.1", "10.21.0.11")]
)
def test_between_routed_segments_it_goes_through_one_router(source: str, destination: str) -> None:
    """A sender's own address is nothing to the router: antispoofing has seen to that."""
    assert reached(FRONT, BACK, source, destination) == Reach(1)
    assert reached(FRONT, BACK, source, destination, ttl=2) == Reach(1)
    for ttl in (0, 1):
        assert reached(FRONT, BACK, source, destination, ttl) == Reach(1, "its TTL is used up")


@pytest.mark.parametrize(
    ("sender", "receiver", "source", "destination"),
    [
        (FRONT, LAB, "10.20.0.11", "10.30.0.11"),
        (LAB, FRONT, "10.30.0.11", "10.20.0.11"),
        (OFFICE, FRONT, "10.40.0.11", "10.20.0.11"),
        (LAB, OFFICE, "10.30.0.11", "10.40.0.11"),
    ],
)
def test_only_routed_segments_are_joined(sender: Party, receiver: Party, source: str, destination: str) -> None:
    assert reached(sender, receiver, source, destination) == Reach(0, "one of their segments is not routed")


def test_a_router_brings_it_only_to_who_has_the_destination() -> None:
    for destination in ("10.21.0.12", "10.20.0.11"):
        lost = reached(FRONT, BACK, "10.20.0.11", destination)
        assert lost == Reach(1, "VIF back1 does not have its destination")


@pytest.mark.parametrize(
    "never",
    ["0.0.0.9", "127.0.0.1", "169.254.3.4", "224.0.0.251", "255.255.255.255", "::", "::1", "fe80::3", "ff02::1"],
)
def test_some_addresses_are_routed_neither_from_nor_to(never: str) -> None:
    other = {4: ("10.20.0.11", BEYOND4), 6: ("fd20::11", BEYOND6)}[ip_address(never).version]
    for receiver in (BACK, None):
        assert reached(FRONT, receiver, other[0], never) == Reach(1, "such addresses are not routed")
        assert reached(FRONT, receiver, never, other[1]) == Reach(1, "such addresses are not routed")
    assert reached(None, FRONT, never, other[0]) == Reach(1, "such addresses are not routed")


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        (BEYOND4, None),
        ("192.0.2.1", None),
        ("10.30.0.11", "its source is inside, and it comes from outside"),  # of an internal segment
        ("10.40.0.11", None),  # a bridged segment is outside too
        ("10.20.0.99", "its source is inside, and it comes from outside"),
        ("10.22.0.1", "its source is inside, and it comes from outside"),
        ("192.0.2.2", "its source is inside, and it comes from outside"),
    ],
)
def test_from_outside_comes_what_says_that_it_does(source: str, lost: str | None) -> None:
    assert reached(None, BACK, source, "10.21.0.11") == Reach(1, lost)


@pytest.mark.parametrize(
    ("destination", "lost"),
    [
        (BEYOND4, None),
        ("192.0.2.1", None),
        ("2001:db8::77", None),  # on the uplink itself
        (BEYOND6, "no way out leads there"),
        ("10.21.0.77", "its destination is inside"),
        ("10.21.0.254", "its destination is inside"),
        ("192.0.2.2", "its destination is inside"),
        ("192.0.2.255", "to a whole network nothing is routed"),
        ("192.0.2.0", "to a whole network nothing is routed"),
    ],
)
def test_to_the_outside_leads_a_network_of_an_uplink_or_the_next_router(destination: str, lost: str | None) -> None:
    source = "10.20.0.11" if "." in destination else "fd20::11"
    assert reached(FRONT, None, source, destination) == Reach(1, lost)


def test_ttl_counts_on_the_way_out_and_in_and_what_is_lost_anyway_says_so() -> None:
    assert reached(FRONT, None, "10.20.0.11", BEYOND4, ttl=1) == Reach(1, "its TTL is used up")
    assert reached(None, FRONT, BEYOND4, "10.20.0.11", ttl=1) == Reach(1, "its TTL is used up")
    assert reached(FRONT, None, "fd20::11", BEYOND6, ttl=1) == Reach(1, "no way out leads there")


def test_a_bridged_segment_has_an_outside_of_its_own_and_an_internal_one_none() -> None:
    for source, destination in (("10.40.0.11", BEYOND4), ("10.40.0.11", "169.254.1.1")):
        assert reached(OFFICE, None, source, destination, ttl=1) == Reach()
    assert reached(None, OFFICE, BEYOND4, "10.40.0.11") == Reach()
    assert reached(LAB, None, "10.30.0.11", BEYOND4) == Reach(0, "its segment has no outside")
    assert reached(None, LAB, BEYOND4, "10.30.0.11") == Reach(0, "its segment has no outside")
    assert reached(None, None, BEYOND4, "10.20.0.11") == Reach()


def test_a_router_without_a_way_out_has_no_outside() -> None:
    only = parse(
        {"p.yaml": "weir: 1\nsegments: {front: {type: routed, subnets: [10.20.0.0/24]}}\npolicies: {open: {}}"}
    )
    assert reached(None, FRONT, BEYOND4, "10.20.0.11", policies=only) == Reach(1, "the router has no way out")
    assert reached(FRONT, None, "10.20.0.11", BEYOND4, policies=only) == Reach(1, "no way out leads there")
