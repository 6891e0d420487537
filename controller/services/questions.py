"""What a packet that a switch sends up asks: read from its cookie and registers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from controller.dataplane.asks import Ask
from controller.dataplane.cookies import CookieKind, decode
from controller.dataplane.registers import ASK, MARK, MOST_BYTES, NEXT_HOP4, SEGMENT, SOURCE_VIF, TARGET_PATH
from controller.services import ip
from policies.model import IPAddress

OUTSIDE = 0  # in place of a VIF's number


@dataclass(frozen=True, slots=True)
class Question:
    """vif: number of the one that asks, or whose addresses it is about; or OUTSIDE. is_own: whether that VIF sent it.
    segment: number of the one that the packet was in, or was routed to.

    next_hop: of a packet on its way out. dscp: that it shall leave with; None: its own. most_bytes: of a packet that is
    too large for where it goes: what that takes.
    """

    ask: Ask
    vif: int
    segment: int
    in_port: int
    frame: bytes
    is_own: bool = True
    next_hop: IPAddress | None = None
    dscp: int | None = None
    most_bytes: int = 0


def is_question(cookie: int) -> bool:
    origin = decode(cookie)
    return origin is not None and origin.kind is CookieKind.SERVICE


def question(cookie: int, registers: Mapping[str, int], in_port: int, frame: bytes) -> Question | None:
    """None: nobody knows what it asks. registers: without those that are 0."""
    origin, ask = decode(cookie), registers.get(ASK, 0)
    if origin is None or origin.kind is not CookieKind.SERVICE or ask not in Ask._value2member_map_:
        return None
    mark = registers.get(MARK, 0)
    return Question(
        ask=Ask(ask),
        vif=origin.number,
        segment=registers.get(SEGMENT, 0),
        in_port=in_port,
        frame=frame,
        is_own=registers.get(SOURCE_VIF, OUTSIDE) != OUTSIDE,
        next_hop=_next_hop(registers, frame) if ask == Ask.NEIGHBOUR else None,
        dscp=mark - 1 if 1 <= mark <= 64 else None,
        most_bytes=registers.get(MOST_BYTES, 0) if ask == Ask.TOO_BIG else 0,
    )


def _next_hop(registers: Mapping[str, int], frame: bytes) -> IPAddress | None:
    if frame[12 : ip.HEADER_BYTES] == ip.IPV4:
        return IPv4Address(registers[NEXT_HOP4]) if NEXT_HOP4 in registers else None
    if frame[12 : ip.HEADER_BYTES] == ip.IPV6:
        parts = (registers.get(register, 0).to_bytes(4, "big") for register in TARGET_PATH)  # as NEXT_HOP6 lies there
        return IPv6Address(b"".join(parts))
    return None
