"""Numbers for what a policy names and for VIFs. Pure.

The numbers of segments are never given twice. The others must fit: a rule's into the 24 bits that a cookie has for it,
those of VIFs and nodes into the minor and major numbers of queue classes, a VIF's into a conntrack zone too. They are
given out in a circle, so that one comes back only after all others have had their turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from policies.model import PolicySet

VIF = "vif"  # key in next_number; the others are the kinds of identifiers
CIRCLES = {
    VIF: range(1, 0xC000),  # as of nodes: see host/queue_plan
    "node": range(1, 0x3FFE),
    "rule": range(1, 1 << 24),  # see dataplane/cookies
}


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
    """The numbers of what `policies` names: those there were, new ones for what is new, none for what has gone.

    Raises NoNumberLeft.
    """
    wanted = sorted(set(named(policies)))
    after = {name: numbers[name] for name in wanted if name in numbers and _fits(name[0], numbers[name])}
    taken: dict[str, set[int]] = defaultdict(set)
    following = dict(next_number)
    for (kind, _), number in after.items():
        taken[kind].add(number)
    for kind, key in wanted:
        if (kind, key) not in after:
            number = next_free(kind, following.get(kind, 1), taken[kind].__contains__)
            after[kind, key], following[kind] = number, number_after(kind, number)
            taken[kind].add(number)
    return after, following


def _fits(kind: str, number: int) -> bool:
    """Older versions numbered rules without end."""
    return kind not in CIRCLES or number in CIRCLES[kind]


class NoNumberLeft(ValueError):
    """All numbers of a circle are in use."""


def next_free(kind: str, start: int, is_taken: Callable[[int], bool]) -> int:
    """The first free number from `start` on, going round where the kind's numbers are a circle. Raises NoNumberLeft."""
    circle = CIRCLES.get(kind)
    if circle is None:
        return start
    for step in range(len(circle)):
        number = circle[(start - circle.start + step) % len(circle)]
        if not is_taken(number):
            return number
    raise NoNumberLeft(f"all {len(circle):,} numbers for {kind}s are in use. Delete what is not needed.")


def number_after(kind: str, number: int) -> int:
    circle = CIRCLES.get(kind)
    return number + 1 if circle is None or number + 1 in circle else circle.start
