"""Numbers for what a policy names and for VIFs. Pure.

The numbers of segments, nodes and rules stand in flow entries and cookies and are never given twice. A VIF's number
also is a conntrack zone and so has 16 bits: it comes back only after all others have had their turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from policies.model import PolicySet

VIF_NUMBERS = range(1, 65535)
VIF = "vif"  # key in next_number; the others are the kinds of identifiers


def named(policies: PolicySet) -> Iterator[tuple[str, str]]:
    """(kind, key) of everything in a policy set that carries a number."""
    for segment in policies.segments:
        yield "segment", segment
    for path, node in policies.nodes.items():
        yield "node", path
        for rule in (*node.mandatory, *node.rules, *node.default):
            yield "rule", rule.identity


def renumber(
    policies: PolicySet, numbers: Mapping[tuple[str, str], int], next_number: Mapping[str, int]
) -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """The numbers of what `policies` names: those there were, new ones for what is new, none for what has gone."""
    after, following = {}, dict(next_number)
    for kind, key in sorted(set(named(policies))):
        number = numbers.get((kind, key))
        if number is None:
            number = following.get(kind, 1)
            following[kind] = number + 1
        after[kind, key] = number
    return after, following


def next_vif_number(start: int, is_free: Callable[[int], bool]) -> int | None:
    """The first free number from `start` on, going round; None when none is left."""
    offset = start - VIF_NUMBERS.start
    for step in range(len(VIF_NUMBERS)):
        number = VIF_NUMBERS[(offset + step) % len(VIF_NUMBERS)]
        if is_free(number):
            return number
    return None


def following_vif_number(number: int) -> int:
    return number + 1 if number + 1 in VIF_NUMBERS else VIF_NUMBERS.start


def vif_mac(system_id: str, number: int) -> str:
    """Locally administered; the low 16 bits are the number, the middle is the system's (6 hex digits).

    So hosts can classify by the low bits, and two systems on one outside network do not meet.
    """
    return ":".join(("02", *(f"{system_id}{number:04x}"[at : at + 2] for at in range(0, 10, 2))))
