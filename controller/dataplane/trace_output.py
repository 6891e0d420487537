"""What `ofproto/trace` prints, as values: which entries a packet met, and what the datapath would do with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_STEP = re.compile(r"( *)(\d+)\. (?:No match\.|(?:(.*), )?priority (\d+)(?:, cookie (0x[0-9a-f]+))?)$")
_FIRST_TOS, _FIRST_VLAN = re.compile(r",nw_tos=(\d+)"), re.compile(r",dl_vlan=(\d+)")
_FAULTS = (">>>> ", "Translation failed")
_TOS = re.compile(r"(?:tos|tclass)=(0x[0-9a-f]+|\d+)(?:/(0x[0-9a-f]+))?")
_VID = re.compile(r"vid=(\d+)")
_NOTES = ("-> ", ">> ", "thaw", "Resuming ")
_NOTHING_MORE = "drop"  # stands also behind each conntrack action, whatever follows it
_TABLES_AFTER = 3  # lines: one empty, the bridge's name, a rule below it
_TOS_MASK = 0xFC
_WITH_INNER = ("clone(", "sample(", "actions(")
_HARMLESS = (
    "ct(", "recirc(", "meter(", "userspace(", "trunc(", "set(eth(", "set(arp(", "set(icmp(", "set(icmpv6(", "set(nd(",
    "set(nd_ext(", "set(skb_priority(", "sample=",
)  # fmt: skip
_HARMLESS_WORDS = {"ct", "ct_clear", "drop"}


class TraceError(ValueError):
    """The switch could not finish the trace, or printed what this module does not know."""


@dataclass(frozen=True, slots=True)
class TraceStep:
    """A table that a packet came through. cookie: 0 when the entry has none; priority, match: None on a miss.

    actions: as printed, those of a clone after it once more; none: the packet was dropped.
    """

    table: int
    cookie: int
    priority: int | None
    match: str | None
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Departure:
    """The packet as it leaves a port of the datapath, which counts an output to the port it came from as none.

    vlan: id of the outer tag, None without.
    """

    port: int
    dscp: int
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """steps, outputs: in the order of the trace, the packet itself and then what each conntrack action sent on.

    meters: OpenFlow ids of the meters that steps used; those of copies to the controller are not among them.
    text: all that was printed.
    """

    steps: tuple[TraceStep, ...]
    outputs: tuple[Departure, ...]
    meters: tuple[int, ...]
    to_controller: bool
    text: str = field(repr=False, compare=False)

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(departure.port for departure in self.outputs)

    def cookies(self, table: int) -> tuple[int, ...]:
        """Of the entries that were hit in a table."""
        return tuple(step.cookie for step in self.steps if step.table == table and step.priority is not None)


def parse_trace(text: str) -> Trace:
    """Raises TraceError."""
    if any(fault in text for fault in _FAULTS):
        raise TraceError(f"the switch gave the packet up, the end says why; mend the entries that led there:\n{text}")
    blocks = [_block(part) for part in text.split("Flow: ")[1:]]
    if not blocks:
        raise TraceError(f"this is no trace: {text!r}")
    steps = tuple(step for block in blocks for step in _steps(block.tables))
    words = [word for step in steps for word in step.actions]
    return Trace(
        steps=steps,
        outputs=tuple(departure for block in blocks for departure in _departures(block)),
        meters=tuple(int(word.removeprefix("meter:")) for word in words if word.startswith("meter:")),
        to_controller=any("controller(reason=" in block.actions for block in blocks),
        text=text,
    )


class _Block(NamedTuple):
    """What became of the packet, or of what a conntrack action sent on. flow: as it came. actions: the datapath's."""

    flow: str
    tables: list[str]
    actions: str


def _block(part: str) -> _Block:
    flow, _, rest = part.partition("\n")
    tables, final, end = rest.partition("\n\nFinal flow: ")
    _, found, actions = end.partition("\nDatapath actions: ")
    if not (final and found):
        raise TraceError(f"a part of this trace lacks tables or datapath actions: {part}")
    return _Block(flow, tables.split("\n")[_TABLES_AFTER:], actions.split("\n", 1)[0])


@dataclass(slots=True)
class _OpenStep:
    """A step whose actions are being read. actions_indent: None before the first one."""

    indent: int
    step: tuple[int, int, int | None, str | None]
    actions: list[str] = field(default_factory=list)
    actions_indent: int | None = None

    def owns(self, indent: int) -> bool:
        """Of a step, everything stands at one indent, deeper than its own; of what it resubmits to, deeper still."""
        return indent > self.indent if self.actions_indent is None else indent >= self.actions_indent


def _steps(lines: list[str]) -> list[TraceStep]:
    steps: list[_OpenStep] = []
    stack: list[_OpenStep] = []
    for line in lines:
        word = line.lstrip()
        begins = _STEP.match(line) if word[:1].isdigit() else None
        if begins:
            indent = len(begins[1]) - len(begins[1]) % 4  # the table's number is right-aligned
            priority = None if begins[4] is None else int(begins[4])
            match = None if priority is None else begins[3] or ""
            stack.append(_OpenStep(indent, (int(begins[2]), int(begins[5] or "0", 16), priority, match)))
            steps.append(stack[-1])
            continue
        if word == _NOTHING_MORE or word.startswith(_NOTES):
            continue
        indent = len(line) - len(word)
        while stack and not stack[-1].owns(indent):
            stack.pop()
        if stack:  # else an action of the packet-out that is traced
            stack[-1].actions_indent = stack[-1].actions_indent or indent
            stack[-1].actions.append(word)
    return [TraceStep(*one.step, tuple(one.actions)) for one in steps]


def _departures(block: _Block) -> Iterator[Departure]:
    tos, vlan = _FIRST_TOS.search(block.flow), _FIRST_VLAN.search(block.flow)
    return _walk(block.actions, Departure(0, int(tos[1]) >> 2 if tos else 0, int(vlan[1]) if vlan else None))


def _walk(actions: str, packet: Departure) -> Iterator[Departure]:
    """packet: how it enters the actions; its port means nothing."""
    for word in _split(actions):
        if word.isdigit():
            yield Departure(int(word), packet.dscp, packet.vlan)
        elif word.startswith(_WITH_INNER):
            yield from _walk(word[word.index("(") + 1 : -1], packet)
        elif word.startswith("check_pkt_len("):  # of both ends of it one leads to a port at most
            for branch in _split(word[word.index("(") + 1 : -1]):
                if branch.startswith(("gt(", "le(")):
                    yield from _walk(branch[3:-1], packet)
        elif word.startswith(("set(ipv4(", "set(ipv6(")):
            packet = Departure(0, _dscp_after(word, packet.dscp), packet.vlan)
        elif word.startswith(("push_vlan(", "set(vlan(")):
            vid = _VID.search(word)
            packet = Departure(0, packet.dscp, int(vid[1]) if vid else packet.vlan)
        elif word == "pop_vlan":
            packet = Departure(0, packet.dscp, None)
        elif word not in _HARMLESS_WORDS and not word.startswith(_HARMLESS):
            raise TraceError(f"unknown datapath action {word!r} in {actions!r}. It takes a newer version of Weir")


def _dscp_after(word: str, dscp: int) -> int:
    tos = _TOS.search(word)
    if tos is None:
        return dscp
    mask = int(tos[2], 16) if tos[2] else _TOS_MASK
    return ((dscp << 2 & ~mask) | (int(tos[1], 0) & mask & _TOS_MASK)) >> 2


def _split(actions: str) -> Iterator[str]:
    """At the commas outside all brackets."""
    depth = start = 0
    for at, letter in enumerate(actions):
        if letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif letter == "," and not depth:
            yield actions[start:at]
            start = at + 1
    yield actions[start:]
