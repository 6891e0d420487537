"""Instructions and actions on the wire, OpenFlow's own and Open vSwitch's (NX). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from controller.dataplane.actions import (
    Action,
    Conntrack,
    Instructions,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
)
from controller.openflow import oxm
from controller.openflow.wire import NICIRA_EXPERIMENTER, WireError, padded

_OUTPUT, _PUSH_VLAN, _POP_VLAN, _SET_FIELD, _EXPERIMENTER = 0, 17, 18, 25, 0xFFFF
_GOTO, _APPLY, _METER = 1, 4, 6
_NX_RESUBMIT_TABLE, _NX_CT = 14, 35
_ETHERTYPE_VLAN = 0x8100
_SAME_IN_PORT = 0xFFF8  # NX resubmit: keep the packet's in_port
_CT_COMMIT = 1
_CT_NO_TABLE = 0xFF
_ZONE_BITS = 0 << 6 | (16 - 1)  # offset 0, 16 bits of the register

_TYPE_LENGTH = struct.Struct("!HH")
_OUTPUT_ACTION = struct.Struct("!HHIH6x")
_VLAN_ACTION = struct.Struct("!HHH2x")
_RESUBMIT_ACTION = struct.Struct("!HHIHHB3x")
_CT_ACTION = struct.Struct("!HHIHHIHB3xH")
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
        actions = b"".join(map(_encode_action, instructions.apply))
        parts.append(_APPLY_INSTRUCTION.pack(_APPLY, _APPLY_INSTRUCTION.size + len(actions)) + actions)
    if instructions.goto is not None:
        parts.append(_GOTO_INSTRUCTION.pack(_GOTO, _GOTO_INSTRUCTION.size, instructions.goto))
    return b"".join(parts)


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
            actions = [_decode_action(*action) for action in _parts(part[_APPLY_INSTRUCTION.size :])]
            apply = tuple(action for action in actions if action is not None)
            if len(apply) < len(actions):
                return ForeignInstructions(found=data)
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
            return _OUTPUT_ACTION.pack(_OUTPUT, _OUTPUT_ACTION.size, port, 0)
        case SetField(field, value):
            body = padded(_TYPE_LENGTH.pack(_SET_FIELD, 0) + oxm.encode_field(field, value))
            return _TYPE_LENGTH.pack(_SET_FIELD, len(body)) + body[_TYPE_LENGTH.size :]
        case PushVlan():
            return _VLAN_ACTION.pack(_PUSH_VLAN, _VLAN_ACTION.size, _ETHERTYPE_VLAN)
        case PopVlan():
            return _VLAN_ACTION.pack(_POP_VLAN, _VLAN_ACTION.size, 0)
        case Resubmit(table):
            size = _RESUBMIT_ACTION.size
            nicira = (NICIRA_EXPERIMENTER, _NX_RESUBMIT_TABLE)
            return _RESUBMIT_ACTION.pack(_EXPERIMENTER, size, *nicira, _SAME_IN_PORT, table)
        case Conntrack(zone_register, table, commit):
            return _CT_ACTION.pack(
                _EXPERIMENTER,
                _CT_ACTION.size,
                NICIRA_EXPERIMENTER,
                _NX_CT,
                _CT_COMMIT if commit else 0,
                oxm.nxm_header(zone_register),
                _ZONE_BITS,
                _CT_NO_TABLE if table is None else table,
                0,
            )


def _decode_action(kind: int, part: bytes) -> Action | None:
    """None for an action that Weir does not write."""
    if kind == _OUTPUT and len(part) == _OUTPUT_ACTION.size:
        return Output(_OUTPUT_ACTION.unpack(part)[2])
    if kind == _SET_FIELD:
        field = oxm.decode_field(part[_TYPE_LENGTH.size :])
        return None if field is None else SetField(*field)
    for known in (PushVlan(), PopVlan()):
        if part == _encode_action(known):
            return known
    if kind == _EXPERIMENTER and len(part) == _RESUBMIT_ACTION.size:
        resubmit = Resubmit(_RESUBMIT_ACTION.unpack(part)[5])
        return resubmit if part == _encode_action(resubmit) else None
    if kind == _EXPERIMENTER and len(part) == _CT_ACTION.size:
        return _decode_conntrack(part)
    return None


def _decode_conntrack(part: bytes) -> Conntrack | None:
    flags, zone, _, table = _CT_ACTION.unpack(part)[4:8]
    register = oxm.decode_field(zone.to_bytes(4, "big") + bytes(4))
    if register is None:
        return None
    conntrack = Conntrack(register[0], None if table == _CT_NO_TABLE else table, bool(flags & _CT_COMMIT))
    return conntrack if part == _encode_action(conntrack) else None
