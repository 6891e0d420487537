"""Broadcast and multicast as real packets: each receiver of the segment judges for itself, and none for another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.identity import Party
from policies.semantics import Packet
from tests.support.case_bridges import PORTS, UPLINK_PORT, mac_of
from tests.support.dummy_switch import DummySwitch
from tests.support.frames import ICMP, ICMP6, UDP
from tests.support.law_on_ovs import OWN_DSCP, Arrivals, Wires, confirmed, expected, law
from tests.support.random_packets import Flood, Trip, flood_mac, floods, frame
from tests.support.random_policies import Case, case_of, cases

MOST_REPEATED = 3
LEAST = {"flooded": 1200, "received": 1500, "partly": 100}  # partly: some receivers get it and some do not
FRAMES = 60
CUT_ONE = """
weir: 1
segments:
  lab: {type: internal, subnets: [10.0.0.0/24, 'fd00::/64']}
  office: {type: bridged, uplink: wan, vlan: 120, subnets: [10.1.0.0/24, 'fd01::/64']}
policies:
  free: {rules: [{allow: {}}]}
  cut: {rules: [{allow: {direction: egress}}, {allow: {direction: ingress, RATE}}]}
"""
pairs: Counter[str] = Counter()


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    with DummySwitch(PORTS) as made:
        yield made


@st.composite
def cases_with_floods(draw: st.DrawFn) -> tuple[Case, list[Flood]]:
    case = draw(cases())
    return case, draw(st.lists(floods(case), min_size=6, max_size=12))


@law(200)
@given(drawn=cases_with_floods())
def test_each_receiver_gets_what_its_policy_says(switch: DummySwitch, drawn: tuple[Case, list[Flood]]) -> None:
    case, some = drawn
    wires = Wires.of(switch, case)

    def check(flood: Flood, wanted: Arrivals) -> None:
        switch.forget_connections()
        sent = wires.arrivals(flood.sender, frame(flood.packet, mac_of(flood.sender), flood.mac, OWN_DSCP))
        assert sorted(sent) == wanted, flood

    for flood in some:
        wanted = deliveries(wires, flood)
        confirmed(partial(check, flood, wanted), pairs)
        pairs["flooded"] += 1
        pairs["received"] += len(wanted)
        pairs["partly"] += 0 < len(wanted) < len(flood.receivers)


def deliveries(wires: Wires, flood: Flood) -> Arrivals:
    trips = [Trip(flood.sender, receiver, flood.packet) for receiver in flood.receivers]
    return sorted(arrival for trip in trips for arrival in expected(wires.deliver(trip), trip.receiver))


def test_enough_was_flooded() -> None:
    """A guard that is itself guarded: the law above has tried as much as it claims."""
    assert {kind: pairs[kind] for kind, least in LEAST.items() if pairs[kind] < least} == {}, pairs
    assert pairs["repeated"] <= MOST_REPEATED, pairs


ANY4, ANY6 = ip_address("0.0.0.0"), ip_address("::")
KINDS = [  # the source is filled in
    Packet(ANY4, ip_address("224.0.0.251"), UDP, 1024, 5432),
    Packet(ANY4, ip_address("255.255.255.255"), 47),
    Packet(ANY4, ip_address("224.0.0.1"), ICMP, icmp_type=9, icmp_code=0),
    Packet(ANY4, ip_address("10.0.0.255"), ICMP, icmp_type=10, icmp_code=0),
    Packet(ANY6, ip_address("ff02::fb"), UDP, 1024, 5432),
    Packet(ANY6, ip_address("ff02::1"), ICMP6, icmp_type=200, icmp_code=0),
]


@pytest.mark.parametrize("rate", ["packets: 1 pps", "limit: 1 kbit"])
@pytest.mark.parametrize(
    "packet", KINDS, ids=lambda packet: f"{packet.protocol}-{packet.icmp_type}-to-{packet.destination}"
)
@pytest.mark.parametrize(("sender", "cut"), [("a1", "a2"), ("a5", "a4"), ("b1", "b2"), (None, "b1"), (None, "b2")])
def test_a_rate_of_one_receiver_cuts_no_other(
    switch: DummySwitch, sender: str | None, cut: str, packet: Packet, rate: str
) -> None:
    leaves = {name: "cut" if name == cut else "free" for name in ("a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1")}
    case = case_of(CUT_ONE.replace("RATE", rate), leaves)
    parties = case.identities.parties
    party = None if sender is None else parties[sender]
    whole = frame(from_party(party, packet), mac_of(party), flood_mac(packet.destination), payload=bytes(1000))
    others = {one.number for name, one in parties.items() if name[0] == cut[0] and name not in (sender, cut)}
    others |= {UPLINK_PORT} if sender is not None and cut[0] == "b" else set()

    def check() -> None:
        switch.forget_connections()
        wires = Wires.of(switch, case)
        got = Counter(port for _ in range(FRAMES) for port, _ in wires.send(party, whole))
        assert {port: got[port] for port in others} == dict.fromkeys(others, FRAMES)
        assert got.keys() <= others | {parties[cut].number} and got[parties[cut].number] < FRAMES

    confirmed(check, pairs)


def from_party(party: Party | None, packet: Packet) -> Packet:
    """None: from outside."""
    if party is None:
        return replace(packet, source=ip_address("203.0.113.9" if packet.source.version == 4 else "2001:db8::9"))
    return replace(packet, source=min(a for a in party.addresses if a.version == packet.source.version))
