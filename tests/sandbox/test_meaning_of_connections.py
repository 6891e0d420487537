"""Connections, their replies and errors, and fragments, as real packets: Open vSwitch against the plain interpreter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.case_bridges import PORTS, port_of
from tests.support.dummy_switch import DummySwitch
from tests.support.frames import TCP, UDP
from tests.support.law_on_ovs import (
    Wires,
    answer_to,
    cases_with_trips,
    comes_from_itself,
    confirmed,
    expected,
    frame_of,
    law,
)
from tests.support.random_packets import (
    ANSWER,
    ANSWER_DATA,
    CONFIRM,
    OPEN,
    Trip,
    error,
    fragments,
    reply,
    trips,
)
from tests.support.random_policies import Case, changes

LEAST = {"sent": 1800, "answered": 120, "errors": 150, "fragmented": 140, "kept": 70, "closed": 80, "opened": 80}
MOST_REPEATED = 3
pairs: Counter[str] = Counter()
numbers = count(1001)  # of fragmented packets: pieces of one may wait for others for long, and come out much later


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    with DummySwitch(PORTS) as made:
        yield made


@law(200)
@given(drawn=cases_with_trips(8))
def test_connections_fare_as_the_policy_says(switch: DummySwitch, drawn: tuple[Case, list[Trip]]) -> None:
    case, some = drawn
    wires = Wires.of(switch, case)

    def check(trip: Trip) -> None:
        switch.forget_connections()
        if opens(wires, trip):
            pairs["answered"] += 1
            check_errors(wires, trip)

    for one in some:
        confirmed(partial(check, one), pairs)


@st.composite
def changes_with_trips(draw: st.DrawFn) -> tuple[Case, Case, list[Trip]]:
    before, after = draw(changes())
    some = draw(st.lists(trips(before), min_size=5, max_size=9, unique_by=connection))
    return before, after, some


@law(160)
@given(drawn=changes_with_trips())
def test_connections_go_on_as_the_policy_says_that_is_in_force_by_then(
    switch: DummySwitch, drawn: tuple[Case, Case, list[Trip]]
) -> None:
    confirmed(partial(change_under_connections, switch, *drawn), pairs)


def change_under_connections(switch: DummySwitch, before: Case, after: Case, some: list[Trip]) -> None:
    switch.forget_connections()
    first = Wires.of(switch, before)
    opened = [opens(first, trip) for trip in some]
    second = Wires.of(switch, after, first.bridge)
    for trip, is_open in zip(some, opened, strict=True):
        if not is_open:
            pairs["opened"] += opens(second, trip)
            continue
        goes_on = second.deliver(trip)
        sent = second.arrivals(trip.sender, frame_of(trip, CONFIRM))
        assert sent == expected(goes_on, trip.receiver), trip
        check_answer(second, trip, answer_to(trip, reply(trip.packet) or trip.packet, ANSWER_DATA))
        check_errors(second, trip)
        pairs["kept" if goes_on.passes else "closed"] += 1


@law(60)
@given(drawn=cases_with_trips(6))
def test_fragments_fare_as_the_whole_packet(switch: DummySwitch, drawn: tuple[Case, list[Trip]]) -> None:
    case, some = drawn
    wires = Wires.of(switch, case)

    def check(one: Trip) -> None:
        packet = replace(one.packet, protocol=UDP, icmp_type=None, icmp_code=None)
        packet = replace(packet, source_port=packet.source_port or 1024, destination_port=packet.destination_port or 53)
        trip = replace(one, packet=packet)
        switch.forget_connections()
        delivery, number = wires.deliver(trip), next(numbers)
        mark = number.to_bytes(4, "big")
        pieces = fragments(frame_of(trip, payload=mark * 750), 1400, number)
        left = [arrived for part in pieces for arrived in wires.send(trip.sender, part)]
        sent = [port for port, data in left if mark in data]
        assert sent == ([port_of(trip.receiver)] * 3 if delivery.passes else []), trip
        pairs["fragmented"] += 1

    for trip in some:
        confirmed(partial(check, trip), pairs)


def test_enough_was_sent() -> None:
    """A guard that is itself guarded: the laws above have tried as much as they claim."""
    assert {kind: pairs[kind] for kind, least in LEAST.items() if pairs[kind] < least} == {}, pairs
    assert pairs["repeated"] <= MOST_REPEATED, pairs


def connection(trip: Trip) -> object:
    """The same for a packet and its reply."""
    packet = trip.packet
    ends = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
    return packet.protocol, frozenset(ends)


def opens(wires: Wires, trip: Trip) -> bool:
    """Whether the trip's packet and the reply to it passed, as they should have by the oracle."""
    delivery = wires.deliver(trip)
    sent = wires.arrivals(trip.sender, frame_of(trip, OPEN))
    assert sent == expected(delivery, trip.receiver), trip
    pairs["sent"] += 1
    back = reply(trip.packet)
    if not delivery.passes or back is None or not comes_from_itself(trip):
        return False
    check_answer(wires, trip, answer_to(trip, back, ANSWER))
    return True


def check_answer(wires: Wires, trip: Trip, answer: bytes) -> None:
    assert wires.arrivals(trip.receiver, answer) == expected(wires.deliver_reply(trip), trip.sender), trip


def check_errors(wires: Wires, trip: Trip) -> None:
    """Of either side, about what the other has sent: they pass as long as the connection may."""
    back = reply(trip.packet)
    if back is None or trip.packet.protocol not in (TCP, UDP):
        return
    passes = wires.deliver(trip).passes
    for sender, target, sent in (
        (trip.receiver, trip.sender, error(frame_of(trip, CONFIRM), trip.packet.destination)),
        (trip.sender, trip.receiver, error(answer_to(trip, back, ANSWER_DATA), trip.packet.source)),
    ):
        told = wires.send(sender, sent)
        assert [port for port, _ in told] == ([port_of(target)] if passes else []), f"error of {sender}, {trip}"
    pairs["errors"] += 1
