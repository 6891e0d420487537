"""What is measured: a network that is brought into an empty switch, then changes of it, each tried several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.worlds import FILE, at_address, at_vif, one_rule, snapshot, tree, vif
from controller.compiler.views import View
from ovsdb.rows import Snapshot

TIMES = 3  # that a change is made; the median counts
VIF, RULE, IDENTITY = "one VIF more", "one rule changed", "one identity bound"


@dataclass(frozen=True, slots=True)
class Change:
    """`label` says what differs between `after` and what was before it."""

    label: str
    after: Snapshot


@dataclass(frozen=True, slots=True)
class Sum:
    """One rule's parts, which must add up and not multiply."""

    members: int
    services: int
    prefixes: int

    @property
    def sum(self) -> int:
        return self.members + self.services + self.prefixes

    @property
    def product(self) -> int:
        return self.members * self.services * self.prefixes

    @property
    def law(self) -> int:
        """For each way in which a rule's packets show: all its parts, and one entry for what they come to together."""
        return len(View) * (self.sum + 1)


@dataclass(frozen=True, slots=True)
class Case:
    """build: the first state, and each change upon the one before. bare: the same without the rule of `of_rule`."""

    name: str
    title: str
    build: Callable[[], tuple[Snapshot, Iterator[Change]]]
    of_rule: Sum | None = None
    bare: Callable[[], Snapshot] | None = None


def _of_tree(vifs: int, leaves: int, rules: int, *labels: str) -> tuple[Snapshot, Iterator[Change]]:
    first = snapshot(tree(leaves, rules), [vif(number, leaves) for number in range(1, vifs + 1)])
    return first, _changes_of_tree(first, leaves, rules, labels)


def _changes_of_tree(now: Snapshot, leaves: int, rules: int, labels: Sequence[str]) -> Iterator[Change]:
    count = len(now.interfaces)
    for label in labels:
        for turn in range(1, TIMES + 1):
            number = count + turn
            if label == VIF:
                now = replace(now, interfaces={**now.interfaces, f"v{number}": vif(number, leaves)})
            elif label == RULE:
                now = replace(now, files={FILE: tree(leaves, rules, edit=turn)})
            else:
                now = replace(now, bindings=(*now.bindings, at_vif(turn, turn)))
            now = replace(now, cfg=now.cfg + 1)
            yield Change(label, now)


SUM = Sum(1000, 50, 200)


def _of_one_rule() -> tuple[Snapshot, Iterator[Change]]:
    bound = [at_address(number) for number in range(SUM.members - TIMES)]
    first = snapshot(one_rule(SUM.members, SUM.services, SUM.prefixes), [vif(1, 1)], bound)
    return first, _changes_of_group(first)


def _changes_of_group(now: Snapshot) -> Iterator[Change]:
    for number in range(SUM.members - TIMES, SUM.members):
        now = replace(now, cfg=now.cfg + 1, bindings=(*now.bindings, at_address(number)))
        yield Change(IDENTITY, now)


CASES = {
    case.name: case
    for case in (
        Case("leaf-each", "1,000 VIFs x 10 rules, a leaf each", lambda: _of_tree(1000, 1000, 10, VIF, RULE, IDENTITY)),
        Case(
            "ten-leaves", "1,000 VIFs x 10 rules, 10 leaves of 100", lambda: _of_tree(1000, 10, 10, VIF, RULE, IDENTITY)
        ),
        Case("one-leaf", "10,000 rules in one leaf, one VIF", lambda: _of_tree(1, 1, 10_000, RULE)),
        Case(
            "one-rule",
            f"one rule: {SUM.members:,} members x {SUM.services} services x {SUM.prefixes} prefixes",
            _of_one_rule,
            SUM,
            lambda: snapshot(one_rule(0, 0, 0), [vif(1, 1)]),
        ),
    )
}
