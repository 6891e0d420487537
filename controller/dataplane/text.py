"""Flow entries and meters as ovs-ofctl writes them: for people, golden files, and `ovs-ofctl --bundle add-flows`."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

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
    SetQueue,
)
from controller.dataplane.entries import FlowBody, FlowKey, Meter, MeterBody, PacketMeterBody, SwitchState
from controller.dataplane.fields import FIELDS
from controller.dataplane.match import Match
from controller.dataplane.pipeline import BY_ID
from controller.dataplane.protocols import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMP6, SCTP, TCP, UDP, VLAN_PRESENT

_PROTOCOLS = {
    (ETH_ARP, None): "arp",
    (ETH_IPV4, None): "ip",
    (ETH_IPV6, None): "ipv6",
    (ETH_IPV4, TCP): "tcp",
    (ETH_IPV4, UDP): "udp",
    (ETH_IPV4, SCTP): "sctp",
    (ETH_IPV4, ICMP): "icmp",
    (ETH_IPV6, TCP): "tcp6",
    (ETH_IPV6, UDP): "udp6",
    (ETH_IPV6, SCTP): "sctp6",
    (ETH_IPV6, ICMP6): "icmp6",
}
_NAMES = {  # ours to ovs-ofctl's, where they differ
    "eth_dst": "dl_dst",
    "eth_src": "dl_src",
    "eth_type": "dl_type",
    "ip_proto": "nw_proto",
    "ipv4_src": "nw_src",
    "ipv4_dst": "nw_dst",
    **{f"{protocol}_{end}": f"tp_{end}" for protocol in ("tcp", "udp", "sctp") for end in ("src", "dst")},
    **{f"icmpv{version}_{what}": f"icmp_{what}" for version in (4, 6) for what in ("type", "code")},
    "ipv6_nd_target": "nd_target",
    "ipv6_nd_sll": "nd_sll",
    "ipv6_nd_tll": "nd_tll",
    "ip_ttl": "nw_ttl",
}
# In an action a field stands alone, without a protocol that would say whose port or type it is.
_NAMES_ALONE = {
    ours: theirs for ours, theirs in _NAMES.items() if not theirs.startswith("tp_") and not ours.startswith("icmpv6")
} | {"came_in_by": "in_port", "in_port": "in_port_oxm"}  # one field of 16 bits, and of 32
_ORDER = {name: (not name.startswith("reg"), place) for place, name in enumerate(FIELDS)}  # of fields in a line
_LAST = (True, len(FIELDS))  # a field of somebody else's entry that Weir does not know
_CT_STATE = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")
_FRAGMENTS = {
    (1, 1): "yes",
    (1, 3): "first",
    (2, 2): "later",
    (3, 3): "later",
    (0, 2): "not_later",
    (0, 3): "no",
    (0, 1): "no",
}


def mac(value: int) -> str:
    return ":".join(f"{octet:02x}" for octet in value.to_bytes(6, "big"))


def _ipv4(value: int) -> str:
    return str(IPv4Address(value))


def _ipv6(value: int) -> str:
    return str(IPv6Address(value))


_WRITERS: dict[str, Callable[[int], str]] = {
    **dict.fromkeys(("eth_dst", "eth_src", "arp_sha", "arp_tha", "ipv6_nd_sll", "ipv6_nd_tll"), mac),
    **dict.fromkeys(("ipv4_src", "ipv4_dst", "arp_spa", "arp_tpa", "ct_nw_src", "ct_nw_dst"), _ipv4),
    **dict.fromkeys(("ipv6_src", "ipv6_dst", "ipv6_nd_target", "ct_ipv6_src", "ct_ipv6_dst"), _ipv6),
    **dict.fromkeys(("eth_type", "nd_reserved", "xxreg3", *(name for name in FIELDS if name.startswith("reg"))), hex),
}


def render(state: SwitchState, names: bool = True) -> str:
    """Every meter, then every flow entry, a line each, in the order in which the switch consults them."""
    lines = [meter_text(number, body) for number, body in sorted(state.meters.items())]
    return "".join(f"{line}\n" for line in [*lines, *flow_lines(state, names)])


def flow_lines(state: SwitchState, names: bool = True) -> list[str]:
    """By table, then from the highest priority down. names: tables by name; a switch not told them wants numbers."""
    by_turn = sorted(state.flows.items(), key=lambda flow: (flow[0].table, -flow[0].priority, flow[0].match))
    return [flow_text(key, body, names) for key, body in by_turn]


def flow_text(key: FlowKey, body: FlowBody, names: bool = True) -> str:
    return f"cookie={body.cookie:#x}, {key_text(key, names)} actions={instructions_text(body.instructions, names)}"


def key_text(key: FlowKey, names: bool = True) -> str:
    match = match_text(key.match)
    return f"table={_table(key.table, names)}, priority={key.priority}{',' if match else ''}{match}"


def meter_text(number: int, body: Meter) -> str:
    match body:
        case MeterBody(rate, burst):
            unit = "kbps"
        case PacketMeterBody(rate, burst):
            unit = "pktps"
    return f"meter={number},{unit},burst,stats,bands=type=drop,rate={rate},burst_size={burst}"


def match_text(match: Match) -> str:
    fields = {name: (value, mask) for name, value, mask in match.fields}
    protocol = _protocol(fields)
    words = [protocol] if protocol else []
    in_order = sorted(fields, key=lambda name: _ORDER.get(name, _LAST))
    return ",".join(words + [_field(name, *fields[name]) for name in in_order])


def _protocol(fields: dict[str, tuple[int, int]]) -> str | None:
    """The word for the protocol, whose fields are then taken out; None when there is none."""
    eth_type, ip_proto = (fields.get(name, (None, 0))[0] for name in ("eth_type", "ip_proto"))
    if eth_type is None:
        return None
    word = _PROTOCOLS.get((eth_type, ip_proto))
    if word is not None:
        fields.pop("ip_proto", None)
    word = word or _PROTOCOLS.get((eth_type, None))
    if word is not None:
        del fields["eth_type"]
    return word


def _field(name: str, value: int, mask: int) -> str:
    if name == "ct_state":
        return "ct_state=" + _flags(value, mask)
    if name not in FIELDS:
        return f"{name}={value:#x}/{mask:#x}"
    if name == "ip_frag" and (value, mask) in _FRAGMENTS:
        return "nw_frag=" + _FRAGMENTS[value, mask]
    if name == "vlan_vid" and mask == FIELDS[name].all_ones:
        return f"dl_vlan={value & ~VLAN_PRESENT}" if value & VLAN_PRESENT else "vlan_tci=0x0000/0x1fff"
    shown = _NAMES.get(name, name)
    write = _WRITERS.get(name)
    if mask == FIELDS[name].all_ones:
        return f"{shown}={write(value) if write else value}"
    if write in (_ipv4, _ipv6) and _prefix(mask, FIELDS[name].bits) is not None:
        return f"{shown}={write(value)}/{_prefix(mask, FIELDS[name].bits)}"
    return f"{shown}={write(value)}/{write(mask)}" if write else f"{shown}={value:#x}/{mask:#x}"


def _flags(value: int, mask: int) -> str:
    return "".join(("+" if value >> bit & 1 else "-") + name for bit, name in enumerate(_CT_STATE) if mask >> bit & 1)


def _prefix(mask: int, bits: int) -> int | None:
    """The length of the prefix that the mask is, None when it is none."""
    length = mask.bit_count()
    return length if mask == (1 << length) - 1 << bits - length else None


def _table(number: int, names: bool) -> str:
    return BY_ID[number].name if names and number in BY_ID else str(number)


def instructions_text(instructions: Instructions, names: bool = True) -> str:
    words = [f"meter:{instructions.meter_id}"] if instructions.meter_id is not None else []
    if instructions.apply:
        words.append(_actions(instructions.apply, names))
    if instructions.goto is not None:
        words.append(f"goto_table:{_table(instructions.goto, names)}")
    return ",".join(words) or "drop"


def _actions(actions: tuple[Action, ...], names: bool) -> str:
    return ",".join(_action(action, names) for action in actions) or "drop"


def _action(action: Action, names: bool) -> str:
    match action:
        case PushVlan():
            return "push_vlan:0x8100"
        case PopVlan():
            return "pop_vlan"
        case SetQueue(queue):
            return f"set_queue:{queue}"
        case Resubmit(table):
            return f"resubmit(,{_table(table, names)})"
        case Conntrack(zone, table, commit):
            onwards = [] if table is None else [f"table={_table(table, names)}"]
            register = f"zone={zone}" if isinstance(zone, int) else f"zone=NXM_NX_{zone.upper()}[0..15]"
            return f"ct({','.join([*(['commit'] if commit else []), *onwards, register])})"
        case Clone(actions):
            return f"clone({_actions(actions, names)})"
        case Conjunction(number, clause, of):
            return f"conjunction({number},{clause}/{of})"
        case Controller(max_bytes, meter_id):
            return f"controller(max_len={max_bytes},meter_id={meter_id})"
        case _:
            return _of_fields(action, names)


def _of_fields(action: Output | SetField | Move | DecrementTtl | IsLarger | Learn, names: bool) -> str:
    match action:
        case Output(port):
            return "in_port" if port is None else f"output:{port}"
        case SetField(name, value):
            write = _WRITERS.get(name)
            return f"set_field:{write(value) if write else value}->{_NAMES_ALONE.get(name, name)}"
        case Move(source, target):
            return f"move:{_part(source, source)}->{_part(target, source)}"
        case DecrementTtl():
            return "dec_ttl"
        case IsLarger(frame_bytes, register, bit):
            return f"check_pkt_larger({frame_bytes})->NXM_NX_{register.upper()}[{bit}]"
        case Learn():
            return f"learn({_learn(action, names)})"


def _learn(learn: Learn, names: bool) -> str:
    words = [f"table={_table(learn.table, names)}", f"idle_timeout={learn.idle_s}", f"priority={learn.priority}"]
    words += [f"cookie={learn.cookie:#x}", f"limit={learn.most}"]
    for target, source in learn.matches:
        if isinstance(source, int):
            words.append(f"{_NAMES_ALONE.get(target, target)}={_WRITERS.get(target, str)(source)}")
        else:
            words.append(f"{_part(target, source)}={_part(source, source)}")
    for target, source in learn.sets:
        shown = hex(source) if isinstance(source, int) else _part(source, source)
        words.append(f"load:{shown}->{_part(target, target if isinstance(source, int) else source)}")
    return ",".join(words)


def _part(field: str, source: str) -> str:
    """The field, or as many of its low bits as the source has."""
    bits = FIELDS[source].bits
    return f"{_NAMES_ALONE.get(field, field)}[{'' if bits == FIELDS[field].bits else f'0..{bits - 1}'}]"
