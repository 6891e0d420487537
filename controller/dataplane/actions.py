"""What a flow entry does, as values. The codec alone knows how they look on the wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    port: int


@dataclass(frozen=True, slots=True)
class SetField:
    """Sets a whole field, register or header (`dataplane.fields`)."""

    field: str
    value: int


@dataclass(frozen=True, slots=True)
class PushVlan:
    """Pushes an 802.1Q tag; its id follows as SetField("vlan_vid", 0x1000 | id)."""


@dataclass(frozen=True, slots=True)
class PopVlan:
    pass


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Runs a table with the packet as it is now, then goes on with the next action."""

    table: int


@dataclass(frozen=True, slots=True)
class Conntrack:
    """Sends the packet through connection tracking in the zone that the low 16 bits of a register name.

    table: where the tracked packet continues (None: the packet goes on here, untracked state unchanged).
    """

    zone_register: str
    table: int | None = None
    commit: bool = False


Action = Output | SetField | PushVlan | PopVlan | Resubmit | Conntrack


@dataclass(frozen=True, slots=True)
class Instructions:
    """In the order in which the switch runs them: meter, apply, goto. All empty: drop."""

    meter_id: int | None = None
    apply: tuple[Action, ...] = ()
    goto: int | None = None


DROP = Instructions()
