"""Packets by hypothesis that ask the router for a way, in cases whose segments are routed, or some of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from hypothesis import strategies as st

from policies.identity import Party
from policies.model import IPAddress
from tests.support.bridges import GATEWAY_MAC, ROUTER_MAC
from tests.support.case_bridges import mac_of
from tests.support.random_packets import Trip, packets
from tests.support.random_policies import ELSEWHERE, HERE, OUTSIDE, ROUTED_SEGMENTS, Case, cases

_BESIDES = ("10.0.0.255", "10.1.0.0", "192.0.2.9", "169.254.0.9", "127.0.0.1", "10.0.0.254")
_BESIDES6 = ("2001:db8:1::9", "fe80::9", "::1")


@st.composite
def routed_cases_with_trips(draw: st.DrawFn, most: int) -> tuple[Case, list[Trip]]:
    case = draw(cases(kinds=ROUTED_SEGMENTS))
    return case, draw(st.lists(routed_trips(case), min_size=most // 2, max_size=most))


@st.composite
def routed_trips(draw: st.DrawFn, case: Case) -> Trip:
    """To a VIF here, from any other or from outside. One in six goes to an address that is not the receiver's, or with
    a TTL of 2 or 1, or from outside with an address that may not come from there."""
    here = [party for party in case.parties if party.name in HERE]
    receiver = draw(st.sampled_from(here))
    far = [party for party in here if party.segment != receiver.segment]
    near = [party for party in here if party.segment == receiver.segment and party != receiver]
    sender = draw(st.sampled_from([*far * 3, *near, None]))
    version = draw(st.sampled_from([4, 6]))
    strangers = [address for address in map(ip_address, OUTSIDE + _BESIDES + _BESIDES6) if address.version == version]
    strangers += [a for party in case.parties if party.name in ELSEWHERE for a in _own(party, version)]
    to = draw(st.sampled_from(_own(receiver, version) if draw(st.integers(0, 5)) else strangers))
    source = draw(st.sampled_from(strangers if sender is None else _own(sender, version)))
    packet = draw(packets(source, to))
    return Trip(sender, receiver, replace(packet, ttl=draw(st.sampled_from([64, 64, 64, 64, 2, 1]))))


def sent_to(trip: Trip) -> int:
    """The MAC that its sender chooses for it, as far as it can know."""
    if trip.sender is not None and trip.receiver is not None and trip.sender.segment == trip.receiver.segment:
        return int(mac_of(trip.receiver).replace(":", ""), 16)
    if trip.sender is None:
        return ROUTER_MAC
    return GATEWAY_MAC


def _own(party: Party, version: int) -> list[IPAddress]:
    """Link-local ones too, which are not routed."""
    return sorted(address for address in party.addresses if address.version == version)
