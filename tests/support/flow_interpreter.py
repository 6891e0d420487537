"""A small switch in Python that runs flow entries on packets, with connection tracking by zone, as Open vSwitch would.

A packet is a mapping of field to value. It knows unicast and flooded packets, VLAN tags, resubmit, and connections of
TCP, UDP, ICMP queries and other protocols; no fragments, no ICMP errors, no time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from controller.dataplane.actions import Conntrack, Instructions, Output, PopVlan, PushVlan, Resubmit, SetField
from controller.dataplane.entries import FlowBody, SwitchState
from controller.dataplane.protocols import CT_INVALID, CT_NEW, CT_REPLY, CT_TRACKED, ETH_IPV4, VLAN_PRESENT

CT_ESTABLISHED = 0x02
_REPLIES = {(1, 0): 8, (1, 14): 13, (1, 16): 15, (58, 129): 128}  # (protocol, type of reply) -> type of query
_PORTS = {6: ("tcp_src", "tcp_dst"), 17: ("udp_src", "udp_dst")}
_ICMP = {1: ("icmpv4_type", "icmpv4_code"), 58: ("icmpv6_type", "icmpv6_code")}

Packet = dict[str, int]
Tuple = tuple[int, int, int, int, int]  # source, destination, protocol, and both ports or type and code


@dataclass(frozen=True, slots=True)
class Sent:
    port: int
    packet: Mapping[str, int]


class FlowInterpreter:
    """Connections stay when `state` is replaced, as they do in a switch."""

    def __init__(self, state: SwitchState):
        self._connections: set[tuple[int, Tuple]] = set()
        self.hold(state)

    def hold(self, state: SwitchState) -> None:
        self._tables: dict[int, list[tuple[int, tuple[tuple[str, int, int], ...], FlowBody]]] = defaultdict(list)
        for key, body in state.flows.items():
            self._tables[key.table].append((key.priority, key.match.fields, body))
        for entries in self._tables.values():
            entries.sort(key=lambda entry: -entry[0])

    def send(self, in_port: int, **fields: int) -> list[Sent]:
        """What leaves the switch when this packet enters it."""
        sent: list[Sent] = []
        self._run(0, {"in_port": in_port, **fields}, sent)
        return sent

    def _run(self, table: int, packet: Packet, sent: list[Sent]) -> None:
        instructions = self._winner(table, packet)
        if instructions is None:
            return
        for action in instructions.apply:
            match action:
                case Output(port):
                    if port != packet["in_port"]:
                        sent.append(Sent(port, dict(packet)))
                case SetField(name, value):
                    packet[name] = value
                case PushVlan():
                    packet["vlan_vid"] = VLAN_PRESENT
                case PopVlan():
                    packet["vlan_vid"] = 0
                case Resubmit(onwards):
                    self._run(onwards, packet, sent)
                case Conntrack(register, onwards, commit):
                    self._track(packet[register] & 0xFFFF, packet, commit, onwards, sent)
        if instructions.goto is not None:
            self._run(instructions.goto, packet, sent)

    def _winner(self, table: int, packet: Packet) -> Instructions | None:
        winners = [
            (priority, body.instructions)
            for priority, fields, body in self._tables[table]
            if all(packet.get(name, 0) & mask == value for name, value, mask in fields)
        ]
        best = [instructions for priority, instructions in winners if priority == winners[0][0]]
        assert all(one == best[0] for one in best), f"two entries of one priority in table {table} disagree on {packet}"
        return best[0] if best else None

    def _track(self, zone: int, packet: Packet, commit: bool, onwards: int | None, sent: list[Sent]) -> None:
        if commit:
            self._connections.add((zone, _tuple(packet)))
        if onwards is None:
            return
        tracked = {name: value for name, value in packet.items() if not name.startswith("ct_")}
        self._run(onwards, tracked | self._state(zone, packet), sent)
        for name in [name for name in packet if name.startswith("ct_")]:
            del packet[name]

    def _state(self, zone: int, packet: Packet) -> Packet:
        mine = _tuple(packet)
        source, destination, protocol, first, second = mine
        query = _REPLIES.get((protocol, first))
        numbers = (second, first) if protocol in _PORTS else (first if query is None else query, second)
        back = (destination, source, protocol, *numbers)
        if (zone, mine) in self._connections and query is None:
            return _conntrack_fields(packet, mine, CT_TRACKED | CT_ESTABLISHED)
        if (zone, back) in self._connections and (query is not None or protocol not in _ICMP):
            return _conntrack_fields(packet, back, CT_TRACKED | CT_ESTABLISHED | CT_REPLY)
        if query is not None:
            return {"ct_state": CT_TRACKED | CT_INVALID}
        return _conntrack_fields(packet, mine, CT_TRACKED | CT_NEW)


def _tuple(packet: Packet) -> Tuple:
    version = "ipv4" if packet["eth_type"] == ETH_IPV4 else "ipv6"
    protocol = packet["ip_proto"]
    names = _PORTS.get(protocol) or _ICMP.get(protocol)
    first, second = (packet[name] for name in names) if names else (0, 0)
    return packet[f"{version}_src"], packet[f"{version}_dst"], protocol, first, second


def _conntrack_fields(packet: Packet, original: Tuple, state: int) -> Packet:
    family = "ct_nw" if packet["eth_type"] == ETH_IPV4 else "ct_ipv6"
    return {
        "ct_state": state,
        f"{family}_src": original[0],
        f"{family}_dst": original[1],
        "ct_nw_proto": original[2],
        "ct_tp_src": original[3],
        "ct_tp_dst": original[4],
    }
