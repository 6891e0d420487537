"""What the demo claims, what it measured, and whether the claim holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    text: str
    wanted: str
    measured: str
    holds: bool


def mbit(kbps: float) -> str:
    return f"{kbps / 1000:.1f}"


def near(text: str, measured_kbps: float, wanted_kbps: float, tolerance: float) -> Claim:
    """A rate that must be what was promised, give or take a part of it."""
    holds = abs(measured_kbps - wanted_kbps) <= tolerance * wanted_kbps
    return Claim(text, f"{mbit(wanted_kbps)} Mbit/s ±{tolerance:.0%}", f"{mbit(measured_kbps)} Mbit/s", holds)


def at_least(text: str, measured_kbps: float, wanted_kbps: float) -> Claim:
    holds = measured_kbps >= wanted_kbps
    return Claim(text, f"at least {mbit(wanted_kbps)} Mbit/s", f"{mbit(measured_kbps)} Mbit/s", holds)


def at_most_s(text: str, measured_s: float, wanted_s: float) -> Claim:
    return Claim(text, f"at most {wanted_s:.1f} s on end", f"{measured_s:.1f} s", measured_s <= wanted_s)


def none_of(text: str, found: Sequence[str]) -> Claim:
    """Something of which there must be none."""
    measured = "none" if not found else f"{len(found)}: {'; '.join(found[:3])}"
    return Claim(text, "none", measured, not found)


def verdict(claims: Sequence[Claim]) -> str:
    """A line a claim, and one for all of them."""
    lines = [
        f"{'holds' if claim.holds else 'DOES NOT HOLD':15}{claim.text}: {claim.measured} (wanted: {claim.wanted})"
        for claim in claims
    ]
    broken = sum(not claim.holds for claim in claims)
    total = f"all {len(claims)} claims hold" if not broken else f"{broken} of {len(claims)} claims DO NOT HOLD"
    return "\n".join([*lines, total])
