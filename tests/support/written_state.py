"""States written by hand, and the packets that are sent through them."""

from __future__ import annotations

from controller.dataplane.actions import Action, Instructions
from controller.dataplane.entries import FlowBody, FlowKey, Meter, PacketMeterBody, SwitchState
from controller.dataplane.match import FieldValue, match
from controller.dataplane.protocols import CT_NEW, CT_TRACKED, ETH_IPV4, ETH_IPV6, UDP
from tests.support import frames

NEW, KNOWN = (CT_TRACKED | CT_NEW,) * 2, (CT_TRACKED, CT_TRACKED | CT_NEW)  # ct_state, for a match
ONE_PACKET = PacketMeterBody(1, 1)
_MAC = {1: "02:00:00:00:00:01", 2: "02:00:00:00:00:02"}
_MORE_FRAGMENTS = 0x2000


class State:
    """A state that is written entry by entry; the cookie of each is its place, from 1."""

    def __init__(self, **meters: Meter):
        self.flows: dict[FlowKey, FlowBody] = {}
        self.meters = {int(name[1:]): body for name, body in meters.items()}

    def on(self, table: int, /, *actions: Action, goto: int | None = None, **fields: FieldValue) -> State:
        """An entry of priority 10."""
        return self.entry(FlowKey(table, 10, match(**fields)), Instructions(None, actions, goto))

    def entry(self, key: FlowKey, instructions: Instructions) -> State:
        self.flows[key] = FlowBody(len(self.flows) + 1, instructions)
        return self

    def state(self) -> SwitchState:
        return SwitchState(self.flows, self.meters)


def packet4(source: str, destination: str, ports: tuple[int, int], protocol: int = UDP) -> bytes:
    body = frames.transport(source, destination, protocol, ports, b"weir")
    return frames.ether(_MAC[1], _MAC[2], ETH_IPV4, frames.ipv4(source, destination, protocol, body))


def packet6(source: str, destination: str, ports: tuple[int, int]) -> bytes:
    body = frames.transport(source, destination, UDP, ports, b"weir")
    return frames.ether(_MAC[1], _MAC[2], ETH_IPV6, frames.ipv6(source, destination, UDP, body))


THERE, BACK = packet4("10.0.0.1", "10.0.0.2", (1000, 53)), packet4("10.0.0.2", "10.0.0.1", (53, 1000))
FIELDS = {"eth_type": ETH_IPV4, "ip_proto": UDP, "ipv4_src": 0x0A000001, "ipv4_dst": 0x0A000002, "udp_dst": 53}


def fragments(size: int = 1480) -> list[bytes]:
    """A UDP datagram to port 53 in three fragments, the first two with `size` bytes after the IP header."""
    whole = frames.transport("10.0.0.1", "10.0.0.2", UDP, (1000, 53), bytes(2 * size + 40))
    starts = (0, size, 2 * size)
    flags = (_MORE_FRAGMENTS, _MORE_FRAGMENTS, 0)
    bodies = [
        frames.ipv4("10.0.0.1", "10.0.0.2", UDP, whole[at : at + size], at // 8 | flag)
        for at, flag in zip(starts, flags, strict=True)
    ]
    return [frames.ether(_MAC[1], _MAC[2], ETH_IPV4, body) for body in bodies]
