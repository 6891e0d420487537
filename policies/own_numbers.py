"""A VIF's own numbers in one direction, which stand in place of its leaf's and within them. Pure.

As written: 'guarantee=10 mbit,limit=50 mbit', either part alone, or 'none' for the leaf's numbers. A limit may be at
most the leaf's limit; a guarantee at most the limit that holds for the VIF. Whether all guarantees together can be kept
is for admission, see `policies.hierarchy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from policies.errors import BadValue
from policies.model import Bandwidth, Direction
from policies.units import rate_kbps, rate_text
from policies.wording import nearest, quoted

GUARANTEE, LIMIT = "guarantee", "limit"
NONE = "none"
EXAMPLE = "'guarantee=10 mbit,limit=50 mbit'"


@dataclass(frozen=True, slots=True)
class Own:
    """None: the leaf's number holds."""

    guarantee_kbps: int | None = None
    limit_kbps: int | None = None


INHERITED = Own()  # nothing of its own


def own_of(numbers: Mapping[str, int]) -> Own:
    """From the columns `egress` and `ingress` of a VIF."""
    return Own(numbers.get("guarantee_kbps"), numbers.get("limit_kbps"))


def columns_of(own: Own) -> dict[str, int]:
    """The way back."""
    both = {"guarantee_kbps": own.guarantee_kbps, "limit_kbps": own.limit_kbps}
    return {name: number for name, number in both.items() if number is not None}


def read_own(text: str) -> Own:
    """'' and 'none' are INHERITED. Raises BadValue."""
    if text.strip().lower() in ("", NONE):
        return INHERITED
    found: dict[str, int] = {}
    for part in text.split(","):
        word, separator, value = part.partition("=")
        key = word.strip().lower()
        if not separator or key not in (GUARANTEE, LIMIT):
            meant = nearest(key, (GUARANTEE, LIMIT))
            remedy = f"Write '{meant}={value.strip() or '10 mbit'}'" if meant else f"Write it as in {EXAMPLE}"
            raise BadValue(f"{quoted(part.strip())} is neither a guarantee nor a limit", remedy)
        if key in found:
            raise BadValue(f"{key} is given twice", "Give it once")
        found[key] = rate_kbps(value)
    if found.get(LIMIT) == 0:
        raise BadValue("a limit of 0 lets nothing pass", "Write a higher one, or deny by rules of the policy")
    return Own(found.get(GUARANTEE), found.get(LIMIT))


def with_own(leaf: Bandwidth, own: Own) -> Bandwidth:
    """The leaf's numbers with the VIF's in their place; a burst given as a time goes with the VIF's limit.

    Numbers that do not go with the leaf (nobody may write such, see `faults`) are cut to what it allows.
    """
    if own == INHERITED:
        return leaf
    limits = [limit for limit in (leaf.limit_kbps, own.limit_kbps) if limit is not None]
    limit_kbps = min(limits, default=None)
    guarantee_kbps = leaf.guarantee_kbps if own.guarantee_kbps is None else own.guarantee_kbps
    if limit_kbps is not None:
        guarantee_kbps = min(guarantee_kbps, limit_kbps)
    return replace(leaf, guarantee_kbps=guarantee_kbps, limit_kbps=limit_kbps)


def faults(leaf: Bandwidth, path: str, direction: Direction, own: Own) -> Iterator[str]:
    """Why a VIF of the leaf at `path` cannot have these numbers: `problem. Remedy.`"""
    way = direction.value
    if own.limit_kbps is not None and leaf.limit_kbps is not None and own.limit_kbps > leaf.limit_kbps:
        yield (
            f"its own {way} limit of {rate_text(own.limit_kbps)} is more than the {rate_text(leaf.limit_kbps)} of "
            f"policy '{path}'. Ask for at most limit={rate_text(leaf.limit_kbps)}, or raise the policy's limit."
        )
        return
    limit_kbps = leaf.limit_kbps if own.limit_kbps is None else own.limit_kbps
    if limit_kbps is None:
        return
    whose = f"of policy '{path}'" if own.limit_kbps is None else "of its own"
    if own.guarantee_kbps is not None and own.guarantee_kbps > limit_kbps:
        yield (
            f"its own {way} guarantee of {rate_text(own.guarantee_kbps)} is more than the {way} limit {whose}, "
            f"{rate_text(limit_kbps)}. Ask for at most guarantee={rate_text(limit_kbps)}, or for a higher limit."
        )
    elif own.guarantee_kbps is None and leaf.guarantee_kbps > limit_kbps:
        yield (
            f"its own {way} limit of {rate_text(limit_kbps)} is less than the {rate_text(leaf.guarantee_kbps)} that "
            f"policy '{path}' guarantees it. Ask for a lower guarantee with it, as in "
            f"'guarantee={rate_text(limit_kbps)},limit={rate_text(limit_kbps)}', or for a higher limit."
        )
