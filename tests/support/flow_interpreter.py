"""A small switch in Python that runs flow entries on packets, with connection tracking by zone, as Open vSwitch would.

A packet is a mapping of field to value. It knows unicast and flooded packets, VLAN tags, resubmit, learned entries, and
connections of TCP, UDP, ICMP queries and other protocols, and ICMP errors that are said to be about one; no fragments,
no time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from controller.dataplane.actions import (
    Action,
    Clone,
    Conjunction,
    Conntrack,
    Controller,
    DecrementTtl,
    Instructions,
    IsLarger,
    Learn,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
)
from controller.dataplane.entries import FlowBody, SwitchState
from controller.dataplane.fields import FIELDS
from controller.dataplane.protocols import (
    CT_INVALID,
    CT_NEW,
    CT_RELATED,
    CT_REPLY,
    CT_TRACKED,
    ETH_IPV4,
    VLAN_PRESENT,
)

CT_ESTABLISHED = 0x02
_XXREG3 = ("reg12", "reg13", "reg14", "reg15")
_REPLIES = {(1, 0): 8, (1, 14): 13, (1, 16): 15, (58, 129): 128}  # (protocol, type of reply) -> type of query
_QUERIES = {1: (0, 8, 13, 14, 15, 16), 58: (128, 129)}  # types that it can follow, with code 0
_PORTS = {6: ("tcp_src", "tcp_dst"), 17: ("udp_src", "udp_dst")}
_ICMP = {1: ("icmpv4_type", "icmpv4_code"), 58: ("icmpv6_type", "icmpv6_code")}

FRAME_BYTES = "frame_bytes"  # of a packet: its size, which no entry matches; else 0

Packet = dict[str, int]
Fields = tuple[tuple[str, int, int], ...]  # of a match: name, value, mask
Tuple = tuple[int, int, int, int, int]  # source, destination, protocol, and both ports or type and code


@dataclass(frozen=True, slots=True)
class Sent:
    port: int
    packet: Mapping[str, int]


class FlowInterpreter:
    """Connections, and what it learned, stay when `state` is replaced, as they do in a switch.

    metered: ids of the meters that packets went through; punted: ids of those that bound copies to the controller.
    hits: how many packets each entry has had, by table and cookie. zones: in which connections were looked up.
    """

    def __init__(self, state: SwitchState):
        self._connections: set[tuple[int, Tuple]] = set()
        self._learned: dict[tuple[int, int, Fields], FlowBody] = {}
        self._coming: dict[int, SwitchState] = {}
        self._about: Tuple | None = None
        self.metered: list[int] = []
        self.punted: list[int] = []
        self.hits: Counter[tuple[int, int]] = Counter()
        self.zones: list[int] = []
        self.hold(state)

    def hold_from_lookup(self, number: int, state: SwitchState) -> None:
        """`state` takes the place of what there is when a connection is looked up for the number-th time from now."""
        self._coming[len(self.zones) + number] = state

    def hold(self, state: SwitchState) -> None:
        self._held = state
        self._tables: dict[int, list[tuple[int, Fields, FlowBody]]] = defaultdict(list)
        for key, body in state.flows.items():
            self._tables[key.table].append((key.priority, key.match.fields, body))
        for (table, priority, fields), body in self._learned.items():
            self._tables[table].append((priority, fields, body))
        for entries in self._tables.values():
            entries.sort(key=lambda entry: -entry[0])

    def send(self, in_port: int, **fields: int) -> list[Sent]:
        """What leaves the switch when this packet enters it."""
        sent: list[Sent] = []
        self._run(0, {"in_port": in_port, **fields}, sent)
        return sent

    def send_error(self, in_port: int, about: Mapping[str, int], **fields: int) -> list[Sent]:
        """The same for an ICMP error about a packet that the sender of the error was sent."""
        self._about = _tuple(about)
        sent = self.send(in_port, **fields)
        self._about = None
        return sent

    def _run(self, table: int, packet: Packet, sent: list[Sent]) -> None:
        body = self._winner(table, packet)
        if body is None:
            return
        self.hits[table, body.cookie] += 1
        instructions = body.instructions
        if instructions.meter_id is not None:
            self.metered.append(instructions.meter_id)
        self._apply(instructions.apply, packet, sent)
        if instructions.goto is not None:
            self._run(instructions.goto, packet, sent)

    def _apply(self, actions: Sequence[Action], packet: Packet, sent: list[Sent]) -> None:
        for action in actions:
            match action:
                case Output(port):
                    if port != packet["in_port"]:
                        sent.append(Sent(packet["in_port"] if port is None else port, dict(packet)))
                case Learn():
                    self._learn(action, packet)
                case Resubmit(onwards):
                    self._run(onwards, packet, sent)
                case Conntrack(zone, onwards, commit):
                    self._track(zone if isinstance(zone, int) else packet[zone] & 0xFFFF, packet, commit, onwards, sent)
                case Clone(copied):
                    self._apply(copied, dict(packet), sent)
                case Controller(_, meter_id):
                    self.punted.append(meter_id)
                case _:
                    _change(packet, action)

    def _learn(self, learn: Learn, packet: Packet) -> None:
        def known(source: int | str) -> int:
            return source if isinstance(source, int) else _value(packet, source)

        fields = tuple(sorted((name, known(source), FIELDS[name].all_ones) for name, source in learn.matches))
        key = learn.table, learn.priority, fields
        others = Counter((table, body.cookie) for (table, _, _), body in self._learned.items())
        if key in self._learned or others[learn.table, learn.cookie] < learn.most:
            sets = tuple(SetField(name, known(source)) for name, source in learn.sets)
            self._learned[key] = FlowBody(learn.cookie, Instructions(apply=sets))
            self.hold(self._held)

    def _winner(self, table: int, packet: Packet) -> FlowBody | None:
        for _, entries in groupby(self._tables[table], key=lambda entry: entry[0]):
            matching = [body for _, fields, body in entries if _matches(packet, fields)]
            plain = [body for body in matching if not _clauses(body)]
            if plain:
                instructions = {one.instructions for one in plain}
                assert len(instructions) == 1, f"one priority of table {table} disagrees on {packet}"
                return plain[0]
            whole = [number for number in _fulfilled(matching) if self._decides(table, packet, number) is not None]
            if whole:
                return self._decides(table, packet, whole[0])
        return None

    def _decides(self, table: int, packet: Packet, conjunction: int) -> FlowBody | None:
        return self._winner(table, {**packet, "conj_id": conjunction}) if "conj_id" not in packet else None

    def _track(self, zone: int, packet: Packet, commit: bool, onwards: int | None, sent: list[Sent]) -> None:
        if commit:
            self._connections.add((zone, _tuple(packet)))
        if onwards is None:
            return
        self.zones.append(zone)
        if len(self.zones) in self._coming:
            self.hold(self._coming.pop(len(self.zones)))
        tracked = {name: value for name, value in packet.items() if not name.startswith("ct_")}
        self._run(onwards, tracked | self._state(zone, packet), sent)
        for name in [name for name in packet if name.startswith("ct_")]:
            del packet[name]

    def _state(self, zone: int, packet: Packet) -> Packet:
        mine = _tuple(packet)
        if self._about is not None:
            return self._state_of_error(zone, packet, self._about)
        source, destination, protocol, first, second = mine
        is_icmp = protocol in _ICMP and (protocol == 1) == (packet["eth_type"] == ETH_IPV4)
        if is_icmp and not (second == 0 and first in _QUERIES[protocol]):
            return {"ct_state": CT_TRACKED | CT_INVALID}
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

    def _state_of_error(self, zone: int, packet: Packet, about: Tuple) -> Packet:
        source, destination, protocol, first, second = about
        back = (destination, source, protocol, second, first)
        if (zone, about) in self._connections:  # it goes against what it is about
            return _conntrack_fields(packet, about, CT_TRACKED | CT_RELATED | CT_REPLY)
        if (zone, back) in self._connections:
            return _conntrack_fields(packet, back, CT_TRACKED | CT_RELATED)
        return {"ct_state": CT_TRACKED | CT_INVALID}


def _matches(packet: Packet, fields: Fields) -> bool:
    return all(_value(packet, name) & mask == value for name, value, mask in fields)


def _change(packet: Packet, action: Action) -> None:
    match action:
        case SetField(name, value):
            _put(packet, "in_port" if name == "came_in_by" else name, value)
        case Move(source, target):
            _put(packet, target, _value(packet, source))
        case DecrementTtl():
            packet["ip_ttl"] -= 1
        case IsLarger(frame_bytes, register, bit):
            is_larger = packet.get(FRAME_BYTES, 0) > frame_bytes
            packet[register] = packet.get(register, 0) & ~(1 << bit) | is_larger << bit
        case PushVlan():
            packet["vlan_vid"] = VLAN_PRESENT
        case PopVlan():
            packet["vlan_vid"] = 0


def _value(packet: Packet, name: str) -> int:
    if name == "xxreg3":
        return int.from_bytes(b"".join(packet.get(part, 0).to_bytes(4, "big") for part in _XXREG3), "big")
    return packet.get(name, 0)


def _put(packet: Packet, name: str, value: int) -> None:
    if name != "xxreg3":
        packet[name] = value
        return
    for place, part in enumerate(reversed(_XXREG3)):
        packet[part] = value >> 32 * place & 0xFFFFFFFF


def _clauses(body: FlowBody) -> list[Conjunction]:
    return [action for action in body.instructions.apply if isinstance(action, Conjunction)]


def _fulfilled(matching: Iterable[FlowBody]) -> list[int]:
    """The conjunctions of which every clause is matched."""
    clauses: dict[tuple[int, int], set[int]] = defaultdict(set)
    for body in matching:
        for part in _clauses(body):
            clauses[part.id, part.of].add(part.clause)
    return [number for (number, of), found in clauses.items() if len(found) == of]


def _tuple(packet: Mapping[str, int]) -> Tuple:
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
