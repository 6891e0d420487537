"""The rules that concern a bridge, each once: its number, priority and ends looked up; and what leaves make of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from controller.compiler.bridge import Bridge, BridgeVif
from controller.compiler.parts import Memo
from controller.compiler.precedence import placed
from controller.compiler.selector import Selector
from controller.compiler.views import Traffic, traffic
from controller.dataplane.match import FieldValue
from policies.classes import code_points, uses_classes
from policies.identity import Party
from policies.model import NORMAL, Action, Direction, Node, PolicySet, Rule
from policies.resolve import ancestry, resolve


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule of a node on the way to a leaf here. traffic: one for each of its directions."""

    number: int
    priority: int
    level: int  # of its node, from 1
    node: int  # number of its node
    is_audited: bool
    traffic: tuple[Traffic, ...]
    digest: bytes  # of what it decides, and over what


@dataclass(frozen=True, slots=True)
class Act:
    """What a rule does for each VIF of a leaf. mark: the DSCP it writes, None: none."""

    number: int
    action: Action
    directions: tuple[Direction, ...]
    is_audited: bool
    is_logged: bool
    mark: int | None
    limit_kbps: int | None
    packets_pps: int | None


@dataclass(frozen=True, slots=True)
class LeafView:
    """A leaf that VIFs here use. mark: the DSCP of what no rule names, None: it uses no classes.

    audited: numbers and traffic of its audited rules; path: numbers of the nodes from the top down to it.
    """

    node: int
    path: tuple[int, ...]
    unmatched: Action
    mark: int | None
    acts: tuple[Act, ...]
    audited: tuple[Placed, ...]
    digest: int  # 32 bits, of all that decides what leaves a VIF of this leaf


@dataclass(frozen=True, slots=True)
class Survey:
    """rules: of all nodes concerned. leaves: by path. marks: every DSCP that may be written here."""

    rules: tuple[Placed, ...]
    leaves: Mapping[str, LeafView]
    marks: tuple[int, ...]


def survey(bridge: Bridge, memo: Memo) -> Survey:
    """Raises TooManyRules, NoCodePointLeft, KeyError when a rule or node has no number."""
    selector = Selector(bridge.policies, bridge.identities)
    by_number = {party.number: party for party in bridge.identities.parties.values()}
    local: dict[str, list[Party]] = {}
    for vif in bridge.vifs:
        for node in ancestry(bridge.policies, vif.policy):
            local.setdefault(node.path, []).append(by_number[vif.number])
    rules: dict[str, Placed] = {}
    for path in sorted(local):
        node = bridge.policies.nodes[path]
        for rule, priority in placed(node):
            ends = partial(_ends, selector, rule, local[path])
            found = memo.value(("ends", rule.identity), rule, ends) if _names_addresses_alone(rule) else ends()
            rules[rule.identity] = _placed(bridge, node, rule, priority, found, memo)
    marks = _marks(bridge.policies)
    leaves = {path: _leaf(bridge, path, rules, marks, memo) for path in sorted({vif.policy for vif in bridge.vifs})}
    used = {act.mark for leaf in leaves.values() for act in leaf.acts} | {leaf.mark for leaf in leaves.values()}
    return Survey(tuple(rules.values()), leaves, tuple(sorted(mark for mark in used if mark is not None)))


def _names_addresses_alone(rule: Rule) -> bool:
    """Then its ends are the same whoever is where."""
    return all(end.is_address for ends in (rule.sources, rule.destinations) if ends is not None for end in ends)


def _ends(selector: Selector, rule: Rule, local: Sequence[Party]) -> tuple[Traffic, ...]:
    found = []
    for direction in sorted(rule.directions, key=lambda direction: direction.value):
        own, remote = rule.sources, rule.destinations
        if direction is Direction.INGRESS:
            own, remote = remote, own
        found.append(traffic(rule, direction, selector.own(own, local), selector.remote(remote)))
    return tuple(found)


def _placed(bridge: Bridge, node: Node, rule: Rule, priority: int, ends: tuple[Traffic, ...], memo: Memo) -> Placed:
    number = bridge.rule_numbers[rule.identity]
    digest = memo.value(("digest", number), ends, lambda: hashlib.sha256(repr(ends).encode()).digest())
    return Placed(number, priority, node.level, bridge.node_numbers[node.path], rule.audit, ends, digest)


def _leaf(bridge: Bridge, path: str, rules: Mapping[str, Placed], marks: Mapping[str, int], memo: Memo) -> LeafView:
    resolved = resolve(bridge.policies, path)
    has_classes = uses_classes(bridge.policies, path)
    acts = tuple(
        _act(rule, rules[rule.identity].number, marks[rule.traffic_class or NORMAL] if has_classes else None)
        for rule in resolved.rules
    )
    in_force = [rules[rule.identity] for rule in resolved.rules if not rule.audit]
    digest = hashlib.sha256(repr((path, resolved.unmatched.value)).encode())
    for one in in_force:
        digest.update(one.digest)
    return LeafView(
        node=bridge.node_numbers[path],
        path=tuple(bridge.node_numbers[node.path] for node in ancestry(bridge.policies, path)),
        unmatched=resolved.unmatched,
        mark=marks[NORMAL] if has_classes else None,
        acts=memo.value(("acts", path), acts, lambda: acts),  # the object there was, which is soon compared
        audited=tuple(rules[rule.identity] for rule in resolved.rules if rule.audit),
        digest=int.from_bytes(digest.digest()[:4], "big"),
    )


def _act(rule: Rule, number: int, class_mark: int | None) -> Act:
    return Act(
        number=number,
        action=rule.action,
        directions=tuple(sorted(rule.directions, key=lambda direction: direction.value)),
        is_audited=rule.audit,
        is_logged=rule.log,
        mark=class_mark if rule.dscp is None else rule.dscp,
        limit_kbps=rule.limit_kbps,
        packets_pps=rule.packets_pps,
    )


def _marks(policies: PolicySet) -> Mapping[str, int]:
    return code_points(policies) if len(policies.classes) > 1 else {}


def on_path(path: Sequence[str], level: int, number: int) -> tuple[str, FieldValue]:
    """What an entry matches so that it is for VIFs below this node. path: the registers of the judging side."""
    shift = 16 * (level % 2)
    return path[(level - 1) // 2], (number << shift, 0xFFFF << shift)


def path_values(path: Sequence[str], numbers: Sequence[int]) -> list[tuple[str, int]]:
    """What the registers of a side hold for a VIF whose nodes, from the top down, have these numbers."""
    found = []
    for place in range(0, len(numbers), 2):
        upper, lower = numbers[place], numbers[place + 1] if place + 1 < len(numbers) else 0
        found.append((path[place // 2], upper << 16 | lower))
    return found


def leaf_of(found: Survey, vif: BridgeVif) -> LeafView:
    return found.leaves[vif.policy]
