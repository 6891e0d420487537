"""What the router of a real switch does is what the language says: by ofproto/trace, for random packets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given

from controller.dataplane.pipeline import check
from tests.sandbox.test_meaning_on_ovs import fields, said, seen
from tests.support.case_bridges import PORTS, port_of
from tests.support.dummy_switch import DummySwitch
from tests.support.law_on_ovs import Wires, law
from tests.support.random_packets import Trip
from tests.support.random_policies import Case
from tests.support.random_routes import routed_cases_with_trips, sent_to

pairs: Counter[str] = Counter()


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    with DummySwitch(PORTS) as made:
        yield made


@law(200)
@given(drawn=routed_cases_with_trips(20))
def test_packets_are_routed_as_the_policy_says(switch: DummySwitch, drawn: tuple[Case, list[Trip]]) -> None:
    case, some = drawn
    wires = Wires.of(switch, case)
    assert check(wires.state) == []
    traces = switch.trace_all((port_of(trip.sender), on_its_way(trip, case)) for trip in some)
    for trip, trace in zip(some, traces, strict=True):
        delivery = wires.deliver(trip)
        expected, found = dict(said(trip, wires)), dict(seen(trace, wires))
        if delivery.lost is not None:  # whether the controller is asked about it is no matter of the policy
            expected.pop("copied"), found.pop("copied")
        assert found == expected, f"{trip}\n{trace.text}"
        assert ("dec_ttl" in trace.text) == bool(delivery.routers) or delivery.lost is not None
        pairs["lost" if delivery.lost else "routed" if delivery.routers else "other"] += 1


def test_enough_was_routed() -> None:
    assert pairs["routed"] >= 100 and pairs["lost"] >= 500, pairs


def on_its_way(trip: Trip, case: Case) -> dict[str, int]:
    return {**fields(trip, case), "eth_dst": sent_to(trip), "ip_ttl": trip.packet.ttl}
