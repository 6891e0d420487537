"""Instructions and actions on the wire, OpenFlow's own and Open vSwitch's (NX). Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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
from controller.dataplane.fields import FIELDS
from controller.openflow import oxm
from controller.openflow.learn_codec import decode_learn, encode_learn
from controller.openflow.wire import NICIRA_EXPERIMENTER, WireError, padded

_OUTPUT, _PUSH_VLAN, _POP_VLAN, _SET_QUEUE, _DEC_TTL, _SET_FIELD, _EXPERIMENTER = 0, 17, 18, 21, 24, 25, 0xFFFF
_GOTO, _APPLY, _METER = 1, 4, 6
_NX_MOVE, _NX_RESUBMIT_TABLE, _NX_CONJUNCTION, _NX_CT, _NX_CONTROLLER2, _NX_CLONE, _NX_LEARN2, _NX_IS_LARGER = (
    6,
    14,
    34,
    35,
    37,
    42,
    45,
    49,
)
_IN_PORT = 0xFFFFFFF8  # OFPP_IN_PORT
_ETHERTYPE_VLAN = 0x8100
_SAME_IN_PORT = 0xFFF8  # NX resubmit: keep the packet's in_port
_CT_COMMIT = 1
_CT_NO_TABLE = 0xFF
_ZONE_BITS = 0 << 6 | (16 - 1)  # offset 0, 16 bits of the register
_MAX_LENGTH, _METER_ID = 0, 5  # properties of NX controller2
_WHOLE = 0xFFFF  # its maximum length that Open vSwitch leaves out
_MOST_NESTED = 4  # clones within clones that are read; Weir writes fewer

_TYPE_LENGTH = struct.Struct("!HH")
_OUTPUT_ACTION = struct.Struct("!HHIH6x")
_VLAN_ACTION = struct.Struct("!HHH2x")
_QUEUE_ACTION = struct.Struct("!HHI")
_MOVE_ACTION = struct.Struct("!HHIHHHHII")  # bits, first bit of the source, of the target; source, target
_RESUBMIT_ACTION = struct.Struct("!HHIHHB3x")
_CT_ACTION = struct.Struct("!HHIHHIHB3xH")
_NX_ACTION = struct.Struct("!HHIH")
_NX_PADDED_ACTION = struct.Struct("!HHIH6x")  # clone, followed by actions, and controller2, by properties
_IS_LARGER_ACTION = struct.Struct("!HHIHHHI6x")  # bytes, bit, register
_CONJUNCTION_ACTION = struct.Struct("!HHIHBBI")
_LENGTH_PROPERTY = struct.Struct("!HHH2x")
_METER_PROPERTY = struct.Struct("!HHI")
_GOTO_INSTRUCTION = struct.Struct("!HHB3x")
_METER_INSTRUCTION = struct.Struct("!HHI")
_APPLY_INSTRUCTION = struct.Struct("!HH4x")


@dataclass(frozen=True, slots=True)
class ForeignInstructions(Instructions):
    """Instructions, found under Weir's cookie, that Weir never writes: equal to nothing that it wants.

    found: the bytes, led by those of timeouts and flags.
    """

    found: bytes = b""


def encode_instructions(instructions: Instructions) -> bytes:
    parts = []
    if instructions.meter_id is not None:
        parts.append(_METER_INSTRUCTION.pack(_METER, _METER_INSTRUCTION.size, instructions.meter_id))
    if instructions.apply:
        actions = encode_actions(instructions.apply)
        parts.append(_APPLY_INSTRUCTION.pack(_APPLY, _APPLY_INSTRUCTION.size + len(actions)) + actions)
    if instructions.goto is not None:
        parts.append(_GOTO_INSTRUCTION.pack(_GOTO, _GOTO_INSTRUCTION.size, instructions.goto))
    return b"".join(parts)


def encode_actions(actions: Iterable[Action]) -> bytes:
    return b"".join(map(_encode_action, actions))


def decode_instructions(data: bytes) -> Instructions:
    """ForeignInstructions when there is something in them that Weir does not write. Raises WireError when cut short."""
    meter_id: int | None = None
    goto: int | None = None
    apply: tuple[Action, ...] = ()
    for kind, part in _parts(data):
        if kind == _METER and len(part) == _METER_INSTRUCTION.size:
            meter_id = _METER_INSTRUCTION.unpack(part)[2]
        elif kind == _GOTO and len(part) == _GOTO_INSTRUCTION.size:
            goto = _GOTO_INSTRUCTION.unpack(part)[2]
        elif kind == _APPLY and len(part) >= _APPLY_INSTRUCTION.size:
            actions = _decode_actions(part[_APPLY_INSTRUCTION.size :], _MOST_NESTED)
            if actions is None:
                return ForeignInstructions(found=data)
            apply = actions
        else:
            return ForeignInstructions(found=data)
    return Instructions(meter_id, apply, goto)


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, length, ...) structures in the data: type, and all bytes of each."""
    at = 0
    while at < len(data):
        if len(data) - at < _TYPE_LENGTH.size:
            raise WireError(f"an action or instruction is cut short: {data.hex()}")
        kind, length = _TYPE_LENGTH.unpack_from(data, at)
        if not _TYPE_LENGTH.size <= length <= len(data) - at:
            raise WireError(f"an action or instruction is cut short: {data.hex()}")
        yield kind, data[at : at + length]
        at += length


def _encode_action(action: Action) -> bytes:
    match action:
        case Output(port):
            return _OUTPUT_ACTION.pack(_OUTPUT, _OUTPUT_ACTION.size, _IN_PORT if port is None else port, 0)
        case SetField(field, value):
            body = padded(_TYPE_LENGTH.pack(_SET_FIELD, 0) + oxm.encode_field(field, value))
            return _TYPE_LENGTH.pack(_SET_FIELD, len(body)) + body[_TYPE_LENGTH.size :]
        case SetQueue(queue):
            return _QUEUE_ACTION.pack(_SET_QUEUE, _QUEUE_ACTION.size, queue)
        case DecrementTtl():
            return _VLAN_ACTION.pack(_DEC_TTL, _VLAN_ACTION.size, 0)
        case PushVlan():
            return _VLAN_ACTION.pack(_PUSH_VLAN, _VLAN_ACTION.size, _ETHERTYPE_VLAN)
        case PopVlan():
            return _VLAN_ACTION.pack(_POP_VLAN, _VLAN_ACTION.size, 0)
        case _:
            return _encode_nicira(action)


def _encode_nicira(action: Move | IsLarger | Learn | Resubmit | Conntrack | Conjunction | Clone | Controller) -> bytes:
    match action:
        case Move(source, target):
            return _encode_move(source, target)
        case IsLarger(frame_bytes, register, bit):
            return _nicira(_IS_LARGER_ACTION, _NX_IS_LARGER, frame_bytes, bit, oxm.nxm_header(register))
        case Learn():
            return _nicira(_NX_ACTION, _NX_LEARN2, followed_by=encode_learn(action))
        case Resubmit(table):
            return _nicira(_RESUBMIT_ACTION, _NX_RESUBMIT_TABLE, _SAME_IN_PORT, table)
        case Conntrack(zone, table, commit):
            onwards = _CT_NO_TABLE if table is None else table
            flags = _CT_COMMIT if commit else 0
            place = (0, zone) if isinstance(zone, int) else (oxm.nxm_header(zone), _ZONE_BITS)
            return _nicira(_CT_ACTION, _NX_CT, flags, *place, onwards, 0)
        case Conjunction(number, clause, of):
            return _nicira(_CONJUNCTION_ACTION, _NX_CONJUNCTION, clause - 1, of, number)
        case Clone(actions):
            return _nicira(_NX_PADDED_ACTION, _NX_CLONE, followed_by=encode_actions(actions))
        case Controller(max_bytes, meter_id):
            properties = _METER_PROPERTY.pack(_METER_ID, _METER_PROPERTY.size, meter_id)
            if max_bytes != _WHOLE:
                properties = _LENGTH_PROPERTY.pack(_MAX_LENGTH, _LENGTH_PROPERTY.size, max_bytes) + properties
            return _nicira(_NX_PADDED_ACTION, _NX_CONTROLLER2, followed_by=properties)


def _encode_move(source: str, target: str) -> bytes:
    """Raises ValueError for a source that is wider than the target."""
    bits = FIELDS[source].bits
    if bits > FIELDS[target].bits:
        raise ValueError(f"{source} is wider than {target}, which is to hold it")
    return _nicira(_MOVE_ACTION, _NX_MOVE, bits, 0, 0, oxm.nxm_header(source), oxm.nxm_header(target))


def _nicira(layout: struct.Struct, subtype: int, *fields: int, followed_by: bytes = b"") -> bytes:
    size = layout.size + len(followed_by)
    return layout.pack(_EXPERIMENTER, size, NICIRA_EXPERIMENTER, subtype, *fields) + followed_by


def _decode_actions(data: bytes, nested: int) -> tuple[Action, ...] | None:
    """None when there is one among them that Weir does not write. nested: how deep clones may be."""
    actions = []
    for kind, part in _parts(data):
        action = _decode_action(kind, part, nested)
        if action is None:
            return None
        actions.append(action)
    return tuple(actions)


def _decode_action(kind: int, part: bytes, nested: int) -> Action | None:
    """None for an action that Weir does not write."""
    if kind == _OUTPUT and len(part) == _OUTPUT_ACTION.size:
        port = _OUTPUT_ACTION.unpack(part)[2]
        return Output(None if port == _IN_PORT else port)
    if kind == _SET_QUEUE and len(part) == _QUEUE_ACTION.size:
        return SetQueue(_QUEUE_ACTION.unpack(part)[2])
    if kind == _SET_FIELD:
        field = oxm.decode_field(part[_TYPE_LENGTH.size :])
        return None if field is None else SetField(*field)
    if kind == _EXPERIMENTER and len(part) >= _RESUBMIT_ACTION.size:
        subtype = _NX_ACTION.unpack_from(part)[3]
        if subtype == _NX_CLONE:
            return _decode_clone(part, nested)
        decode = _NX_DECODERS.get(subtype)
        action = None if decode is None else decode(part)
        return action if action is not None and part == _encode_action(action) else None
    return next((known for known in (PushVlan(), PopVlan(), DecrementTtl()) if part == _encode_action(known)), None)


def _decode_clone(part: bytes, nested: int) -> Clone | None:
    head = _NX_PADDED_ACTION.size
    if nested == 0 or part[:head] != _NX_PADDED_ACTION.pack(_EXPERIMENTER, len(part), NICIRA_EXPERIMENTER, _NX_CLONE):
        return None
    actions = _decode_actions(part[head:], nested - 1)
    return None if actions is None else Clone(actions)


def _decode_move(part: bytes) -> Move | None:
    if len(part) != _MOVE_ACTION.size:
        return None
    bits, _, _, *headers = _MOVE_ACTION.unpack(part)[4:]
    source, target = map(oxm.field_of, headers)
    if source is None or target is None or not FIELDS[source].bits == bits <= FIELDS[target].bits:
        return None
    return Move(source, target)


def _decode_is_larger(part: bytes) -> IsLarger | None:
    if len(part) != _IS_LARGER_ACTION.size:
        return None
    frame_bytes, bit, header = _IS_LARGER_ACTION.unpack(part)[4:]
    register = oxm.field_of(header)
    return None if register is None else IsLarger(frame_bytes, register, bit)


def _decode_learn(part: bytes) -> Learn | None:
    return decode_learn(part[_NX_ACTION.size :])


def _decode_resubmit(part: bytes) -> Resubmit | None:
    return Resubmit(_RESUBMIT_ACTION.unpack(part)[5]) if len(part) == _RESUBMIT_ACTION.size else None


def _decode_conntrack(part: bytes) -> Conntrack | None:
    if len(part) != _CT_ACTION.size:
        return None
    flags, source, number, table = _CT_ACTION.unpack(part)[4:8]
    register = oxm.decode_field(source.to_bytes(4, "big") + bytes(4)) if source else (number, 0)
    if register is None:
        return None
    return Conntrack(register[0], None if table == _CT_NO_TABLE else table, bool(flags & _CT_COMMIT))


def _decode_conjunction(part: bytes) -> Conjunction | None:
    if len(part) != _CONJUNCTION_ACTION.size:
        return None
    clause, of, number = _CONJUNCTION_ACTION.unpack(part)[4:]
    return Conjunction(number, clause + 1, of)


def _decode_controller(part: bytes) -> Controller | None:
    """Of its properties Weir writes the meter, last, and the maximum length before it."""
    meter_at = len(part) - _METER_PROPERTY.size
    length_at = meter_at - _LENGTH_PROPERTY.size
    if meter_at < _NX_PADDED_ACTION.size:
        return None
    max_bytes = _WHOLE if length_at < _NX_PADDED_ACTION.size else _LENGTH_PROPERTY.unpack_from(part, length_at)[2]
    return Controller(max_bytes, _METER_PROPERTY.unpack_from(part, meter_at)[2])


_NX_DECODERS: dict[int, Callable[[bytes], Action | None]] = {
    _NX_MOVE: _decode_move,
    _NX_IS_LARGER: _decode_is_larger,
    _NX_LEARN2: _decode_learn,
    _NX_RESUBMIT_TABLE: _decode_resubmit,
    _NX_CT: _decode_conntrack,
    _NX_CONJUNCTION: _decode_conjunction,
    _NX_CONTROLLER2: _decode_controller,
}
