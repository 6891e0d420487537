"""What the loop has moved of a VIF's numbers within the bounds of its policy, and what is in force then. Pure.

A guarantee begins where it is written, a buffer at its max, processor time at its min. What was moved holds within the
bounds that the policy has now; where it has none, what is written holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from policies.model import Bandwidth, Direction, Node
from policies.own_numbers import Own, with_own
from policies.units import rate_text

PERMILLE = 1000  # of a datapath core


@dataclass(frozen=True, slots=True)
class Scaled:
    """None: where it begins."""

    egress_kbps: int | None = None
    ingress_kbps: int | None = None
    buffer_bytes: int | None = None
    cpu_permille: int | None = None

    def guarantee_kbps(self, direction: Direction) -> int | None:
        return self.egress_kbps if direction is Direction.EGRESS else self.ingress_kbps

    def with_guarantee(self, direction: Direction, kbps: int | None) -> Scaled:
        return (
            replace(self, egress_kbps=kbps) if direction is Direction.EGRESS else replace(self, ingress_kbps=kbps)
        )  # fmt: skip


UNSCALED = Scaled()  # nothing moved
_NAMES = tuple(field.name for field in fields(Scaled))


def scaled_of(numbers: Mapping[str, int]) -> Scaled:
    """From the column `scaled` of a VIF."""
    return Scaled(*map(numbers.get, _NAMES)) if numbers else UNSCALED


def columns_of(scaled: Scaled) -> dict[str, int]:
    """The way back."""
    both = {name: getattr(scaled, name) for name in _NAMES}
    return {name: number for name, number in both.items() if number is not None}


@dataclass(frozen=True, slots=True)
class Range:
    """Within which a number moves, and where it begins."""

    least: int
    most: int
    begin: int

    def at(self, moved: int | None) -> int:
        return self.begin if moved is None else min(max(moved, self.least), self.most)


def guarantee_range(leaf: Node, written: Bandwidth) -> Range | None:
    """In kbit/s. written: of the VIF in one direction, see `with_own`. None: what is written stays."""
    if leaf.autoscale is None or not written.guarantee_kbps:
        return None
    span = leaf.autoscale.guarantee_kbps
    most = int(span.most) if written.limit_kbps is None else min(int(span.most), written.limit_kbps)
    least = min(int(span.least), most)
    return Range(least, most, min(max(written.guarantee_kbps, least), most))


def buffer_range(leaf: Node) -> Range | None:
    """In bytes; None: nothing moves it."""
    span = leaf.buffer_bytes
    return None if span is None or span.least == span.most else Range(int(span.least), int(span.most), int(span.most))


def cpu_range(leaf: Node) -> Range | None:
    """In thousandths of a datapath core; None: nothing moves it."""
    if leaf.cpu is None or leaf.cpu.least == leaf.cpu.most:
        return None
    least, most = (max(1, round(part * PERMILLE)) for part in (leaf.cpu.least, leaf.cpu.most))
    return Range(least, most, least)


def bandwidth_in_force(leaf: Node, direction: Direction, own: Own, scaled: Scaled = UNSCALED) -> Bandwidth:
    """Of a VIF of the leaf that has these numbers of its own."""
    written = with_own(leaf.bandwidth(direction), own)
    bounds = guarantee_range(leaf, written)
    if bounds is None:
        return written
    kbps = bounds.at(scaled.guarantee_kbps(direction))
    return written if kbps == written.guarantee_kbps else replace(written, guarantee_kbps=kbps)


def buffer_in_force(leaf: Node, scaled: Scaled) -> int | None:
    """In bytes; None: the policy says nothing."""
    bounds = buffer_range(leaf)
    if bounds is not None:
        return bounds.at(scaled.buffer_bytes)
    return None if leaf.buffer_bytes is None else int(leaf.buffer_bytes.most)


def cpu_in_force(leaf: Node, scaled: Scaled) -> float | None:
    """As a part of a datapath core; None: the policy says nothing."""
    bounds = cpu_range(leaf)
    if bounds is not None:
        return bounds.at(scaled.cpu_permille) / PERMILLE
    return None if leaf.cpu is None else leaf.cpu.most


def outside(leaf: Node, direction: Direction, own: Own) -> Iterator[str]:
    """Why a VIF of the leaf cannot have this guarantee of its own: `problem. Remedy.`"""
    if leaf.autoscale is None or not own.guarantee_kbps:
        return
    span, way = leaf.autoscale.guarantee_kbps, direction.value
    if not span.least <= own.guarantee_kbps <= span.most:
        least, most = rate_text(int(span.least)), rate_text(int(span.most))
        yield (
            f"its own {way} guarantee of {rate_text(own.guarantee_kbps)} is not within {least} to {most}, where policy "
            f"'{leaf.path}' moves it. Ask for guarantee={least} at least and {most} at most, or change its autoscale."
        )
