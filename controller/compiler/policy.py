"""Tables egress_policy and ingress_policy: the rules of each leaf, a priority a rule.

A rule of one direction has entries in that direction's table for packets that open or continue a connection (by their
header) and in the other's for replies (by the connection's original tuple). So every packet is judged by today's rules,
and a rule that changes holds for connections that exist.

Connection tracking takes in a whole packet before it lets its fragments go on. The first is judged by the original
tuple, for the switch hides the ports in its header. Later ones have none: they pass where a rule that allows may have
allowed their packet; without its first fragment nobody can put it together. SCTP has no ports in the tuple: in
fragments it passes only by rules that name no port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.compiler.bridge import Bridge
from controller.compiler.flow import Flow, flow, goto, of_table
from controller.compiler.terms import Fields, Term, header, original_tuple, shows_other_protocol, terms, without_numbers
from controller.dataplane.actions import DROP, Instructions
from controller.dataplane.cookies import CookieKind
from controller.dataplane.pipeline import EGRESS_COMMIT, EGRESS_POLICY, INGRESS_COMMIT, INGRESS_POLICY, Table
from controller.dataplane.protocols import (
    CT_INVALID,
    CT_RELATED,
    CT_REPLY,
    CT_TRACKED,
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    SCTP,
)
from controller.dataplane.registers import SOURCE_NODE, TARGET_NODE
from policies.model import Action, Direction, Rule
from policies.resolve import ResolvedNode

Fragment = tuple[bool, Term]  # of a reply or not, and what shows of it

FIRST_RULE = 60_000  # priority of a node's first rule; the next one's is lower by one
_INVALID, _ERROR, _UNMATCHED = 65_000, 64_000, 1

# direction -> table, register of the node that judges there, where an allowed packet goes on
_STAGES = {
    Direction.EGRESS: (EGRESS_POLICY, SOURCE_NODE, EGRESS_COMMIT),
    Direction.INGRESS: (INGRESS_POLICY, TARGET_NODE, INGRESS_COMMIT),
}
_OPPOSITE = {Direction.EGRESS: Direction.INGRESS, Direction.INGRESS: Direction.EGRESS}
_ORIGINAL: Fields = {"ct_state": (0, CT_REPLY)}  # untracked ones too
# The switch lets the tuple be matched only where the packet cannot be invalid.
_ORIGINAL_TRACKED: Fields = {"ct_state": (CT_TRACKED, CT_TRACKED | CT_REPLY | CT_INVALID)}
_REPLY: Fields = {"ct_state": (CT_TRACKED | CT_REPLY, CT_TRACKED | CT_REPLY)}
_CONNECTION_ERROR = (CT_TRACKED | CT_RELATED, CT_TRACKED | CT_RELATED | CT_REPLY)


class TooManyRules(ValueError):
    """A leaf has more rules than a table has priorities."""


def flows(bridge: Bridge) -> Iterator[Flow]:
    """Raises TooManyRules."""
    for table, _, onwards in _STAGES.values():
        yield from _always(table, onwards)
    expanded: dict[str, list[Term]] = {}
    for path in sorted(bridge.nodes):
        node, number = bridge.nodes[path], bridge.node_numbers[path]
        if len(node.rules) >= FIRST_RULE - _UNMATCHED:
            raise TooManyRules(f"{path}: {len(node.rules)} rules; the most that can be told apart is {FIRST_RULE - 2}")
        for rule in node.rules:
            if rule.identity not in expanded:
                expanded[rule.identity] = terms(rule)
        for direction in Direction:
            yield _unmatched(node, number, direction)
            yield from _node(node, number, direction, expanded, bridge.rule_numbers)


def _always(table: Table, onwards: Table) -> Iterator[Flow]:
    """An invalid packet is dropped. An ICMP error of the direction in which its connection began has no rule of its own
    to be matched by: it passes, as its connection is known."""
    invalid = CT_TRACKED | CT_INVALID
    yield flow(table, _INVALID, {"ct_state": (invalid, invalid)}, of_table(table), DROP)
    yield flow(table, _ERROR, {"ct_state": _CONNECTION_ERROR}, of_table(table), goto(onwards))


def _unmatched(node: ResolvedNode, number: int, direction: Direction) -> Flow:
    table, register, _ = _STAGES[direction]
    origin = (CookieKind.UNMATCHED, number)
    return flow(table, _UNMATCHED, {register: number}, origin, _verdict(node.unmatched, direction))


def _node(
    node: ResolvedNode,
    number: int,
    direction: Direction,
    expanded: Mapping[str, list[Term]],
    rule_numbers: Mapping[str, int],
) -> Iterator[Flow]:
    """What of a leaf's rules stands in one table: rules of its direction, and replies of the other's rules."""
    table, register, _ = _STAGES[direction]
    fragments: set[Fragment] = set()
    for place, rule in enumerate(node.rules):
        origin, verdict = (CookieKind.RULE, rule_numbers[rule.identity]), _verdict(rule.action, direction)
        for fields in _matches(rule, direction, expanded[rule.identity], fragments):
            yield flow(table, FIRST_RULE - place, {register: number, **fields}, origin, verdict)


def _matches(rule: Rule, direction: Direction, rule_terms: list[Term], fragments: set[Fragment]) -> Iterator[Fields]:
    """fragments: those that earlier rules have decided already; this rule's are added."""
    if direction in rule.directions:
        for term in rule_terms:
            yield {**_ORIGINAL, **header(term)}
            if term.has_numbers and term.protocol != SCTP:
                yield {**_ORIGINAL_TRACKED, **original_tuple(term), "ip_frag": FIRST_FRAGMENT}
            if shows_other_protocol(term) or (term.has_numbers and rule.action is Action.ALLOW):
                yield from _later(False, term, fragments)
    if _OPPOSITE[direction] in rule.directions:
        for term in rule_terms:
            yield {**_REPLY, **original_tuple(term)}
            if term.has_numbers and rule.action is Action.ALLOW:
                yield from _later(True, term, fragments)


def _later(is_reply: bool, term: Term, fragments: set[Fragment]) -> Iterator[Fields]:
    fragment = is_reply, without_numbers(term)
    if fragment not in fragments:
        fragments.add(fragment)
        state = _REPLY if is_reply else _ORIGINAL_TRACKED
        yield {**state, **original_tuple(fragment[1]), "ip_frag": LATER_FRAGMENT}


def _verdict(action: Action, direction: Direction) -> Instructions:
    return goto(_STAGES[direction][2]) if action is Action.ALLOW else DROP
