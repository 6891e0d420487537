"""What the router does to a packet is what the language says of it: compiled tables against the oracle."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from controller.compiler.compile import compile_bridge
from controller.dataplane.meter_ids import SERVICE_METERS
from controller.dataplane.pipeline import check
from controller.dataplane.protocols import VLAN_PRESENT
from policies.semantics import Packet, deliver, deliver_reply
from tests.support.case_bridges import bridge_of_case, mac_of, port_of, vlan_at
from tests.support.flow_interpreter import FlowInterpreter, Sent
from tests.support.random_packets import Trip
from tests.support.random_policies import Case
from tests.support.random_routes import routed_cases_with_trips, sent_to
from tests.support.vif_packets import fields

OWN_DSCP = 20
seen: Counter[str] = Counter()
REPLIES = {(1, 8): 0, (1, 13): 14, (58, 128): 129}


@settings(deadline=None, max_examples=150, derandomize=True)
@given(routed_cases_with_trips(8))
def law(drawn: tuple[Case, list[Trip]]) -> None:
    case, some = drawn
    state = compile_bridge(bridge_of_case(case))
    assert check(state) == []
    for trip in some:
        switch = FlowInterpreter(state)
        assert arrival(send(switch, trip, case)) == said(case, trip), trip
        delivery = deliver(case.policies, case.identities, trip.sender, trip.receiver, trip.packet, OWN_DSCP)
        seen["passes" if delivery.passes and delivery.routers else "lost" if delivery.lost else "other"] += 1
        asked = [meter for meter in switch.punted if meter in SERVICE_METERS]
        assert len(asked) <= (delivery.lost is not None), "the controller is asked once, about what does not arrive"
        if trip.sender is not None and delivery.passes and is_answered(trip):
            answered = deliver_reply(case.policies, case.identities, trip.sender, trip.receiver, trip.packet, OWN_DSCP)
            back = Trip(trip.receiver, trip.sender, reply_to(trip.packet))
            came = arrival(send(switch, back, case))
            seen["replies"] += 1
            assert came == ((port_of(trip.sender), answered.dscp, 64 - answered.routers) if answered.passes else None)


def said(case: Case, trip: Trip) -> tuple[int, int, int] | None:
    """Port, DSCP and TTL with which it arrives."""
    delivery = deliver(case.policies, case.identities, trip.sender, trip.receiver, trip.packet, OWN_DSCP)
    return (port_of(trip.receiver), delivery.dscp, trip.packet.ttl - delivery.routers) if delivery.passes else None


def send(switch: FlowInterpreter, trip: Trip, case: Case) -> list[Sent]:
    port = port_of(trip.sender)
    vlan = vlan_at(case, port)
    return switch.send(
        port,
        eth_src=int(mac_of(trip.sender).replace(":", ""), 16),
        eth_dst=sent_to(trip),
        vlan_vid=0 if vlan is None else VLAN_PRESENT | vlan,
        ip_dscp=OWN_DSCP,
        ip_ttl=trip.packet.ttl,
        **fields(trip.packet),
    )


def arrival(sent: list[Sent]) -> tuple[int, int, int] | None:
    assert len(sent) <= 1
    return (sent[0].port, sent[0].packet["ip_dscp"], sent[0].packet["ip_ttl"]) if sent else None


def is_answered(trip: Trip) -> bool:
    """Whether its receiver can reply, and the switch can tell the reply from a new packet.

    Connection tracking does not follow a query whose code is not 0.
    """
    packet, receiver = trip.packet, trip.receiver
    if receiver is None or packet.destination not in receiver.addresses:
        return False
    if packet.protocol in (1, 58):
        return (packet.protocol, packet.icmp_type) in REPLIES and not packet.icmp_code
    return packet.protocol != 132


def reply_to(packet: Packet) -> Packet:
    kind = REPLIES.get((packet.protocol, packet.icmp_type or 0))
    ends = packet.destination, packet.source
    return Packet(*ends, packet.protocol, packet.destination_port, packet.source_port, kind, packet.icmp_code)


def test_packets_are_routed_as_the_policy_says_and_replies_with_them() -> None:
    """The law has to have seen packets that pass, that are lost, and replies."""
    seen.clear()
    law()
    assert seen["passes"] >= 40 and seen["lost"] >= 100 and seen["replies"] >= 20, seen
