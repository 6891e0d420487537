"""The priority of a rule in the policy tables: one a rule, in the order in which rules decide.

The tiers are bands of priorities, so a rule stands at the same place for every leaf that inherits it: `mandatory` of
the top level first and deeper ones after it, a leaf's own rules, `default` from the deepest level up to the top.
"""

from __future__ import annotations

from collections.abc import Iterator

from policies.model import MOST_LEVELS, Node, Rule
from policies.rules import MOST_RULES

NEVER, INVALID, UNMATCHED_REPLY, UNMATCHED = 65_001, 65_000, 2, 1
_MANDATORY = 59_999
_OWN = _MANDATORY - MOST_LEVELS * MOST_RULES["mandatory"]
_DEFAULT = _OWN - MOST_RULES["rules"]


class TooManyRules(ValueError):
    """A list of rules is longer than its band of priorities."""


def placed(node: Node) -> Iterator[tuple[Rule, int]]:
    """The node's rules, each with its priority. Raises TooManyRules."""
    above, below = node.level - 1, MOST_LEVELS - node.level
    for name, rules, first in (
        ("mandatory", node.mandatory, _MANDATORY - above * MOST_RULES["mandatory"]),
        ("rules", node.rules, _OWN),
        ("default", node.default, _DEFAULT - below * MOST_RULES["default"]),
    ):
        if len(rules) > MOST_RULES[name]:
            text = f"{node.path}: {name}: {len(rules):,} rules, of which {MOST_RULES[name]:,} can be told apart."
            raise TooManyRules(f"{text} Write fewer: a list in 'from', 'to' or 'service' means any of its items.")
        for place, rule in enumerate(rules):
            yield rule, first - place
