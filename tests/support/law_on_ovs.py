"""What the laws about a real switch share: how many examples, and frames of a case on its wires."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from controller.compiler.bridge import Bridge
from controller.compiler.compile import compile_bridge
from controller.dataplane.entries import SwitchState
from policies.identity import Party
from policies.semantics import Delivery, Packet, deliver, deliver_reply
from tests.support.case_bridges import bridge_of_case, mac_of, port_of, vlan_at
from tests.support.dummy_switch import DummySwitch
from tests.support.random_packets import OPEN, TcpPart, Trip, frame, tagged, trips
from tests.support.random_policies import Case, cases

SEARCHES = os.environ.get("WEIR_LAWS") == "search"  # other cases each time, and ten times as many
OWN_DSCP = 20  # of every packet as it is sent
Arrivals = list[tuple[int, int]]  # (port, DSCP), by port


def law(examples: int) -> settings:
    return settings(
        max_examples=examples * 10 if SEARCHES else examples,
        deadline=None,
        derandomize=not SEARCHES,
        suppress_health_check=list(HealthCheck),
    )


def confirmed(check: Callable[[], None], pairs: Counter[str]) -> None:
    """What differs has to differ again. On a busy machine the switch loses one packet in ten thousand or so.

    pairs: counts the repetitions, so that a guard sees when they become many.
    """
    try:
        check()
    except AssertionError:
        pairs["repeated"] += 1
        check()


@st.composite
def cases_with_trips(draw: st.DrawFn, most: int) -> tuple[Case, list[Trip]]:
    case = draw(cases())
    return case, draw(st.lists(trips(case), min_size=most // 3, max_size=most))


@dataclass(frozen=True)
class Wires:
    """A switch that holds a case."""

    switch: DummySwitch
    case: Case
    bridge: Bridge
    state: SwitchState

    @staticmethod
    def of(switch: DummySwitch, case: Case, before: Bridge | None = None) -> Wires:
        """before: of the case that the switch has held, and whose connections may go on."""
        bridge = bridge_of_case(case, before)
        state = compile_bridge(bridge)
        switch.hold(state)
        return Wires(switch, case, bridge, state)

    def send(self, sender: Party | None, whole: bytes) -> list[tuple[int, bytes]]:
        """What leaves, untagged. Raises AssertionError for a frame with another tag than its port wants."""
        port = port_of(sender)
        left = self.switch.send(port, tagged(whole, vlan_at(self.case, port)))
        return [(to, untagged(data, vlan_at(self.case, to))) for to, data in left]

    def arrivals(self, sender: Party | None, whole: bytes) -> Arrivals:
        return [(port, dscp_of(data)) for port, data in self.send(sender, whole)]

    def deliver(self, trip: Trip) -> Delivery:
        return deliver(self.case.policies, self.case.identities, trip.sender, trip.receiver, trip.packet, OWN_DSCP)

    def deliver_reply(self, trip: Trip) -> Delivery:
        """To the connection that the trip began."""
        about = self.case.policies, self.case.identities, trip.sender, trip.receiver, trip.packet
        return deliver_reply(*about, OWN_DSCP)


def frame_of(trip: Trip, tcp: TcpPart = OPEN, payload: bytes = b"") -> bytes:
    return frame(trip.packet, mac_of(trip.sender), mac_of(trip.receiver), OWN_DSCP, tcp, payload)


def answer_to(trip: Trip, back: Packet, tcp: TcpPart) -> bytes:
    return frame(back, mac_of(trip.receiver), mac_of(trip.sender), OWN_DSCP, tcp)


def expected(delivery: Delivery, receiver: Party | None) -> Arrivals:
    return [(port_of(receiver), delivery.dscp)] if delivery.passes else []


def comes_from_itself(trip: Trip) -> bool:
    """Whether a reply would come from an address of the receiver, so that anti-spoofing lets it go."""
    return trip.receiver is None or trip.packet.destination in trip.receiver.addresses


def untagged(data: bytes, vlan: int | None) -> bytes:
    """Raises AssertionError for another tag than that one (None: for any)."""
    tag = int.from_bytes(data[14:16], "big") & 0xFFF if data[12:14] == b"\x81\x00" else None
    assert tag == vlan, f"a frame with tag {tag} instead of {vlan}: {data.hex()}"
    return data if tag is None else data[:12] + data[16:]


def dscp_of(data: bytes) -> int:
    return data[15] >> 2 if data[12:14] == b"\x08\x00" else (data[14] & 0xF) << 2 | data[15] >> 6
