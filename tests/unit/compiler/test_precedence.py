"""Priorities stand in the order in which rules decide, wherever in the tree they are from."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, pairwise

import pytest

from controller.compiler.precedence import INVALID, UNMATCHED, UNMATCHED_REPLY, TooManyRules, placed
from policies.model import MOST_LEVELS, Action, Direction, Node, PolicySet, Position, Rule
from policies.resolve import ancestry, resolve
from policies.rules import MOST_RULES

AT = Position("policy.yaml", 1, 1)
_serial = count()


def rules(number: int) -> tuple[Rule, ...]:
    return tuple(Rule(f"rule-{next(_serial)}", Action.ALLOW, frozenset(Direction), AT) for _ in range(number))


def spine() -> PolicySet:
    """A node of each level below the other, and beside each but the first a leaf; every list has three rules."""
    nodes: dict[str, Node] = {}
    parent, path = None, "n1"
    for level in range(1, MOST_LEVELS + 1):
        below = (f"{path}/n{level + 1}", f"{path}/leaf") if level < MOST_LEVELS else ()
        nodes[path] = Node(path, AT, parent, below, mandatory=rules(3), default=rules(3))
        if below:
            leaf = Node(f"{path}/leaf", AT, path, mandatory=rules(3), rules=rules(3), default=rules(3))
            nodes[leaf.path] = leaf
            parent, path = path, below[0]
    nodes[path] = replace(nodes[path], rules=rules(3))
    return PolicySet(nodes=nodes)


def test_priorities_are_in_the_order_of_the_rules_at_every_leaf() -> None:
    policies = spine()
    leaves = [node.path for node in policies.nodes.values() if node.is_leaf]
    assert {policies.nodes[path].level for path in leaves} == set(range(2, MOST_LEVELS + 1))
    for path in leaves:
        at = {rule.identity: priority for node in ancestry(policies, path) for rule, priority in placed(node)}
        priorities = [at[rule.identity] for rule in resolve(policies, path).rules]
        assert priorities == sorted(set(priorities), reverse=True) and len(priorities) == len(at)


def test_the_longest_lists_of_the_deepest_tree_keep_apart() -> None:
    """The bands of a leaf's path are full, and still in order, above `unmatched` and below what is no rule's."""
    paths = ["/".join("n" * level) for level in range(1, MOST_LEVELS + 1)]
    (one,) = rules(1)
    full = {
        "mandatory": (one,) * MOST_RULES["mandatory"],
        "rules": (one,) * MOST_RULES["rules"],
        "default": (one,) * MOST_RULES["default"],
    }
    found: dict[tuple[str, int], range] = {}
    for level, path in enumerate(paths, start=1):
        node = Node(path, AT, **{key: some for key, some in full.items() if key != "rules" or level == MOST_LEVELS})
        priorities = iter([priority for _, priority in placed(node)])
        for key in full:
            if key != "rules" or level == MOST_LEVELS:
                band = [next(priorities) for _ in full[key]]
                found[key, level] = range(band[0], band[-1] - 1, -1)
                assert band == list(found[key, level])
    levels = range(1, MOST_LEVELS + 1)
    order = [
        *(found["mandatory", level] for level in levels),
        found["rules", MOST_LEVELS],
        *(found["default", level] for level in reversed(levels)),
    ]
    assert all(above[-1] > below[0] for above, below in pairwise(order))
    assert order[0][0] < INVALID and order[-1][-1] > UNMATCHED_REPLY > UNMATCHED
    assert INVALID < 1 << 16


@pytest.mark.parametrize("name", MOST_RULES)
def test_more_rules_than_priorities_are_refused(name: str) -> None:
    node = Node("acme", AT, **{name: rules(1) * (MOST_RULES[name] + 1)})
    with pytest.raises(TooManyRules, match=rf"acme: {name}: {MOST_RULES[name] + 1:,} rules, of which .* told apart"):
        list(placed(node))
