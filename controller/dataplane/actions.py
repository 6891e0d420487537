"""What a flow entry does, as values. The codec alone knows how they look on the wire."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """port None: out where the packet came in, which no other output does."""

    port: int | None


@dataclass(frozen=True, slots=True)
class SetField:
    """Sets a whole field, register or header (`dataplane.fields`)."""

    field: str
    value: int


@dataclass(frozen=True, slots=True)
class Move:
    """Copies one whole field to another of the same width, or a narrower one to the low bits of a wider one."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class DecrementTtl:
    """Of IPv4 and IPv6. Not for a packet whose TTL is 1 or 0: match those before, for the switch would drop it here."""


@dataclass(frozen=True, slots=True)
class IsLarger:
    """Sets one bit of a register: whether the frame, its Ethernet header counted in, has more bytes."""

    frame_bytes: int
    register: str
    bit: int


@dataclass(frozen=True, slots=True)
class Learn:
    """Adds or renews an entry of `table`, which belongs to nobody but the switch: the reconciler never looks at it.

    matches, sets: field -> a value, or the name of the field of this packet whose value it takes.
    idle_s: seconds without a packet after which it goes; most: entries of this cookie, beyond which none is added.
    """

    table: int
    priority: int
    cookie: int
    matches: tuple[tuple[str, int | str], ...]
    sets: tuple[tuple[str, int | str], ...]
    idle_s: int
    most: int


@dataclass(frozen=True, slots=True)
class PushVlan:
    """Pushes an 802.1Q tag; its id follows as SetField("vlan_vid", 0x1000 | id)."""


@dataclass(frozen=True, slots=True)
class PopVlan:
    pass


@dataclass(frozen=True, slots=True)
class SetQueue:
    """Which queue of the port it goes to, among those of DPDK's policers; ports of other sorts do not look at it."""

    queue: int


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


Action = (
    Output | SetField | Move | DecrementTtl | IsLarger | Learn | PushVlan | PopVlan | Resubmit | Conntrack | Clone
    | Conjunction | Controller | SetQueue
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instructions:
    """In the order in which the switch runs them: meter, apply, goto. All empty: drop."""

    meter_id: int | None = None
    apply: tuple[Action, ...] = ()
    goto: int | None = None


DROP = Instructions()
