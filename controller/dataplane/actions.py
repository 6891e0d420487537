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
    """Sends the packet through connection tracking. zone: a number, or the register whose low 16 bits name it.

    table: where the tracked packet continues (None: the packet goes on here, untracked state unchanged).
    """

    zone: str | int
    table: int | None = None
    commit: bool = False


@dataclass(frozen=True, slots=True)
class Clone:
    """Does the actions on a copy, and goes on with the packet as it was, registers and all.

    Never for a meter: where Open vSwitch thinks that it can undo the actions it makes no copy, and the meter drops the
    packet itself.
    """

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Conjunction:
    """The only action of an entry that matches one clause, `clause` (from 1) of `of`, of the conjunction `id`.

    A packet that matches an entry of each clause at one priority is then looked up as one with conj_id = id.
    """

    id: int
    clause: int
    of: int


@dataclass(frozen=True, slots=True)
class Controller:
    """A copy to the controller, which sees the entry's cookie; meter_id bounds the copies and not the packets."""

    max_bytes: int
    meter_id: int


Action = Output | SetField | PushVlan | PopVlan | Resubmit | Conntrack | Clone | Conjunction | Controller


@dataclass(frozen=True, slots=True)
class Instructions:
    """In the order in which the switch runs them: meter, apply, goto. All empty: drop."""

    meter_id: int | None = None
    apply: tuple[Action, ...] = ()
    goto: int | None = None


DROP = Instructions()
