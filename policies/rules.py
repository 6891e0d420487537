"""Rules as written. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from policies.endpoints import EndpointReader, as_written
from policies.errors import Place
from policies.expansion import MOST_OF_RULE, entries
from policies.grammar import DIRECTION, RULE, RULE_ACTION
from policies.model import Action, Direction, Endpoint, Rule, ServiceMatch
from policies.names import Names
from policies.reader import Reader
from policies.rule_effects import EffectsReader
from policies.services import read_rule_services, service_text
from policies.source import Entry, Fields, Listing, Scalar, Tree
from policies.wording import either

TOO_MANY_REMEDY = "Write fewer and wider prefixes and port ranges"
MOST_RULES: Mapping[str, int] = {"mandatory": 1_900, "rules": 28_000, "default": 1_900}  # priorities that a list has

_ANYTHING: tuple[ServiceMatch, ...] = (ServiceMatch(),)
_EXAMPLES = either([f"'- {action}: {{...}}'" for action in RULE_ACTION.built])


class NodeRules:
    """Reads the rules of one node, whose names and identities must differ among all its lists."""

    def __init__(self, reader: Reader, names: Names, path: str) -> None:
        self._reader = reader
        self._names = names
        self._endpoints = EndpointReader(reader, names)
        self._effects = EffectsReader(reader, names)
        self._path = path
        self.entries: Counter[str] = Counter()  # flow entries that the rules read come to, by the list they stand in
        self._named: dict[str, Place] = {}
        self._unnamed: Counter[str] = Counter()

    def read(self, tree: Tree) -> tuple[Rule, ...]:
        """The list of `- ACTION: {...}` that stands under a key of MOST_RULES."""
        most = MOST_RULES[tree.place.step]
        if isinstance(tree, Listing) and len(tree.items) > most:
            problem = f"{len(tree.items):,} rules, more than the {most:,} that '{tree.place.step}' of a node can have"
            remedy = "Write fewer rules: a list in 'from', 'to' or 'service' means any of its items"
            self._reader.problems.add(tree.place, problem, remedy)
        rules = (self._rule(item, tree.place.step) for item in self._reader.items(tree))
        return tuple(rule for rule in rules if rule is not None)

    def _rule(self, item: Tree, written_in: str) -> Rule | None:
        if isinstance(item, Scalar) and item.text:
            remedy = f"Write {_EXAMPLES}; '{{}}' matches everything"
            self._reader.problems.add(item.place, "a text stands where a rule should", remedy)
            return None
        action: Entry | None = None
        for entry in self._reader.mapping(item):
            if entry.key not in RULE_ACTION.built:
                self._refuse(entry)
            elif action is not None:
                remedy = f"Begin a rule of its own: '- {entry.key}: ...'"
                self._reader.problems.add(entry.key_place, f"'{action.key}' has the rule already", remedy)
            else:
                action = entry
        if isinstance(item, Fields) and not item.entries:
            self._reader.problems.add(item.place, "a rule without an action", f"Write {_EXAMPLES}")
        if action is None:
            return None
        rule = self._body(action)
        self._count(rule, action.key_place, written_in)
        return self._identified(rule, action)

    def _refuse(self, entry: Entry) -> None:
        if entry.key in RULE.built:
            remedy = "Put it inside: '- allow: {name: ..., to: ...}'"
            self._reader.problems.add(entry.key_place, f"'{entry.key}' stands beside the rule's action", remedy)
        else:
            self._reader.refuse_key(entry, RULE_ACTION)

    def _body(self, entry: Entry) -> Rule:
        reader = self._reader
        fields = reader.fields(entry.value, RULE)
        word = reader.word(fields["direction"], DIRECTION) if "direction" in fields else None
        sources = self._endpoints.read(fields["from"]) if "from" in fields else None
        destinations = self._endpoints.read(fields["to"]) if "to" in fields else None
        either_way = directions_that_can_hold(self._path, sources, destinations)
        services, service_names = _ANYTHING, frozenset[str]()
        if "service" in fields:
            services, service_names = read_rule_services(reader, fields["service"], self._names)
        action = Action(entry.key)
        effects = self._effects.read(action, fields)
        name = reader.name(fields["name"], "rule") if "name" in fields else None
        return Rule(
            identity=f"{self._path}:{name}",
            action=action,
            directions=frozenset({Direction(word)}) if word else either_way,
            at=entry.key_place.at,
            name=name,
            sources=sources,
            destinations=destinations,
            services=services,
            service_names=service_names,
            traffic_class=effects.traffic_class,
            dscp=effects.dscp,
            limit_kbps=effects.limit_kbps,
            packets_pps=effects.packets_pps,
            log=effects.log,
            audit=effects.audit,
        )

    def _count(self, rule: Rule, place: Place, written_in: str) -> None:
        """A rule that is refused for its number of entries does not count a second time, for its leaf."""
        count = entries(rule)
        if count <= MOST_OF_RULE:
            self.entries[written_in] += count
            return
        problem = f"it makes up to {count:,} flow entries, more than the {MOST_OF_RULE:,} of a rule"
        self._reader.problems.add(place, problem, TOO_MANY_REMEDY)

    def _identified(self, rule: Rule, entry: Entry) -> Rule:
        """With its identity: "acme/web:staff", or by content "acme/web:#3f2a..." (then "...-2" for an equal one)."""
        if rule.name is not None:
            place = next(field.value.place for field in self._reader.mapping(entry.value) if field.key == "name")
            first = self._named.setdefault(rule.name, place)
            if first is not place:
                problem = f"'{rule.name}' names a rule of this node already, at {first.at}"
                self._reader.problems.add(place, problem, "Choose another name")
            return rule
        content = _content_hash(rule)
        self._unnamed[content] += 1
        again = f"-{self._unnamed[content]}" if self._unnamed[content] > 1 else ""
        return replace(rule, identity=f"{self._path}:#{content}{again}")


def directions_that_can_hold(
    path: str, sources: tuple[Endpoint, ...] | None, destinations: tuple[Endpoint, ...] | None
) -> frozenset[Direction]:
    """Of a rule of this node that names no direction: those in which a VIF below the node can be at the rule's own end.

    Only a policy's path tells here; the rest is known at run time. Both where neither can hold: lint says so.
    """
    own = {Direction.EGRESS: sources, Direction.INGRESS: destinations}
    can_hold = {
        direction
        for direction, ends in own.items()
        if ends is None or any(end.policy is None or _share_vifs(end.policy, path) for end in ends)
    }
    return frozenset(can_hold or Direction)


def _share_vifs(path: str, other: str) -> bool:
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")


def _content_hash(rule: Rule) -> str:
    """12 hexadecimal digits over what the rule matches and does; the order within its lists does not count.

    `log` and `stage` are no part of it, so a rule that leaves the audit stage keeps its counters.
    """
    content = (
        rule.action.value,
        sorted(direction.value for direction in rule.directions),
        _canonical(rule.sources),
        _canonical(rule.destinations),
        sorted(map(service_text, rule.services)),
        (rule.traffic_class, rule.dscp, rule.limit_kbps, rule.packets_pps),
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def _canonical(endpoints: tuple[Endpoint, ...] | None) -> list[str] | None:
    written = as_written(endpoints)
    return None if written is None else sorted(json.dumps(_sorted(end), sort_keys=True) for end in written)


def _sorted(end: str | dict[str, object]) -> object:
    if isinstance(end, str) or not isinstance(end.get("cidr"), list):
        return end
    return {**end, "cidr": sorted(map(str, end["cidr"]))}  # type: ignore[call-overload]
