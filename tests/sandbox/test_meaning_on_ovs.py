"""What a real switch does is what the policy says: compiled tables in Open vSwitch against the plain interpreter.

First packets by ofproto/trace: verdict, deciding rule, class and DSCP, rates, copies, audited rules. What takes real
packets has modules of its own. WEIR_LAWS=search tries other cases each time, and ten times as many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dataplane.cookies import CookieKind, Origin, decode
from controller.dataplane.entries import MeterBody
from controller.dataplane.meter_ids import RULE_METERS
from controller.dataplane.pipeline import EGRESS_VERDICT, INGRESS_VERDICT, check
from controller.dataplane.protocols import VLAN_PRESENT
from controller.dataplane.trace_output import Departure, Trace
from policies.model import Action, Rule
from policies.semantics import Packet, Verdict
from tests.support.case_bridges import PORTS, mac_of, port_of, vlan_at
from tests.support.dummy_switch import DummySwitch
from tests.support.law_on_ovs import OWN_DSCP, Wires, cases_with_trips, law
from tests.support.random_packets import QUERIES, UNTRACKED, Trip
from tests.support.random_policies import PORTS as NAMED_PORTS
from tests.support.random_policies import Case

LEAST_PAIRS = 20_000
_FIELDS = {6: "tcp", 17: "udp", 132: "sctp"}
_ICMP = {1: "icmpv4", 58: "icmpv6"}
pairs: Counter[str] = Counter()


@pytest.fixture(scope="module")
def switch() -> Iterator[DummySwitch]:
    with DummySwitch(PORTS) as made:
        yield made


@law(310)
@given(drawn=cases_with_trips(10), turn=st.integers(0, 4))
def test_first_packets_fare_as_the_policy_says(switch: DummySwitch, drawn: tuple[Case, list[Trip]], turn: int) -> None:
    case, some = drawn
    every = [other for trip in some for other in variations(trip, turn)]
    wires = Wires.of(switch, case)
    assert check(wires.state) == []
    traces = switch.trace_all((port_of(trip.sender), fields(trip, case)) for trip in every)
    for trip, trace in zip(every, traces, strict=True):
        assert seen(trace, wires) == said(trip, wires), f"{trip}\n{trace.text}"
        pairs["traced"] += 1


def test_enough_pairs_were_traced() -> None:
    """A guard that is itself guarded: the law above has tried as many as it claims."""
    assert pairs["traced"] >= LEAST_PAIRS, pairs


def variations(trip: Trip, turn: int) -> Iterator[Trip]:
    """The same ends with other protocols and ports, at and beside the bounds that policies name."""
    yield trip
    packet = replace(trip.packet, icmp_type=None, icmp_code=None)
    for place, port in enumerate(NAMED_PORTS):
        if place % 5 == turn:
            other = NAMED_PORTS[(place * 7 + 3) % len(NAMED_PORTS)]
            for protocol in _FIELDS:
                yield replace(trip, packet=replace(packet, protocol=protocol, source_port=other, destination_port=port))
    bare = replace(packet, source_port=None, destination_port=None)
    icmp = 1 if isinstance(packet.source, IPv4Address) else 58
    for kind in (*(kind for of, kind in QUERIES if of == icmp), *UNTRACKED[icmp]):
        yield replace(trip, packet=replace(bare, protocol=icmp, icmp_type=kind, icmp_code=turn % 2))


def fields(trip: Trip, case: Case) -> dict[str, int]:
    packet, vlan = trip.packet, vlan_at(case, port_of(trip.sender))
    version = packet.source.version
    found = {
        "eth_src": int(mac_of(trip.sender).replace(":", ""), 16),
        "eth_dst": int(mac_of(trip.receiver).replace(":", ""), 16),
        "vlan_vid": 0 if vlan is None else VLAN_PRESENT | vlan,
        "eth_type": 0x0800 if version == 4 else 0x86DD,
        f"ipv{version}_src": int(packet.source),
        f"ipv{version}_dst": int(packet.destination),
        "ip_proto": packet.protocol,
        "ip_dscp": OWN_DSCP,
    }
    return found | _layer4(packet)


def _layer4(packet: Packet) -> dict[str, int]:
    if packet.protocol in _FIELDS:
        name = _FIELDS[packet.protocol]
        return {f"{name}_src": packet.source_port or 0, f"{name}_dst": packet.destination_port or 0}
    if packet.protocol in _ICMP:
        name = _ICMP[packet.protocol]
        return {f"{name}_type": packet.icmp_type or 0, f"{name}_code": packet.icmp_code or 0}
    return {}


def said(trip: Trip, wires: Wires) -> Mapping[str, object]:
    """What the trace should show, by the oracle."""
    delivery, port = wires.deliver(trip), port_of(trip.receiver)
    sides = (delivery.egress, delivery.ingress)
    audited = [rule for side in sides if side is not None for rule in side.audited]
    rates = [rate for side in sides if side is not None for rate in _rates(side.limit_kbps, side.packets_pps)]
    return {
        "arrives": (Departure(port, delivery.dscp, vlan_at(wires.case, port)),) if delivery.passes else (),
        "egress": _decider(delivery.egress, wires),
        "ingress": _decider(delivery.ingress, wires),
        "audited": sorted(wires.bridge.rule_numbers[rule.identity] for rule in audited),
        "rates": sorted(rates + [rate for rule in audited for rate in _rates(rule.limit_kbps, rule.packets_pps)]),
        "copied": any(side is not None and (side.log or side.action is Action.REJECT) for side in sides),
    }


def seen(trace: Trace, wires: Wires) -> Mapping[str, object]:
    hit = {table: [decode(cookie) for cookie in trace.cookies(table.id)] for table in (EGRESS_VERDICT, INGRESS_VERDICT)}
    audited = [one.of for found in hit.values() for one in found if one and one.kind is CookieKind.AUDIT]
    rates = []
    for number in trace.meters:
        if number in RULE_METERS:
            body = wires.state.meters[number]
            rates.append(("kbps", body.rate_kbps) if isinstance(body, MeterBody) else ("pps", body.rate_pps))
    return {
        "arrives": trace.outputs,
        "egress": _hit(hit[EGRESS_VERDICT]),
        "ingress": _hit(hit[INGRESS_VERDICT]),
        "audited": sorted(audited),
        "rates": sorted(rates),
        "copied": trace.to_controller,
    }


def _hit(found: list[Origin | None]) -> int | None:
    """The rule's number, 0 for `unmatched`, None when no verdict was asked for."""
    deciding = [one for one in found if one and one.kind in (CookieKind.VERDICT, CookieKind.UNMATCHED)]
    assert len(deciding) <= 1
    if not deciding:
        return None
    return 0 if deciding[0].kind is CookieKind.UNMATCHED else deciding[0].of


def _decider(verdict: Verdict | None, wires: Wires) -> int | None:
    if verdict is None:
        return None
    rule: Rule | None = verdict.rule
    return 0 if rule is None else wires.bridge.rule_numbers[rule.identity]


def _rates(limit_kbps: int | None, packets_pps: int | None) -> list[tuple[str, int]]:
    rates = (("kbps", limit_kbps), ("pps", packets_pps))
    return [(unit, rate) for unit, rate in rates if rate is not None]
