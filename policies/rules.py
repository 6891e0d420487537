"""Rules as written. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from policies import addresses
from policies.errors import BadValue, Place
from policies.expansion import MOST_OF_RULE, entries
from policies.grammar import DIRECTION, ENDPOINT, RULE, RULE_ACTION
from policies.model import Action, Direction, IPNetwork, Rule, ServiceMatch
from policies.reader import Reader
from policies.services import Services, read_service
from policies.source import Entry, Fields, Scalar, Tree

TOO_MANY_REMEDY = "Write fewer and wider prefixes and port ranges, and leave out 'from' or 'to' where either will do"
_EITHER_WAY = frozenset(Direction)  # addresses alone can hold in both directions


class NodeRules:
    """Reads the rules of one node, whose names and identities must differ among all its lists."""

    def __init__(self, reader: Reader, services: Services, path: str) -> None:
        self._reader = reader
        self._services = services
        self._path = path
        self._names: dict[str, Place] = {}
        self._unnamed: Counter[str] = Counter()

    def read(self, tree: Tree) -> tuple[Rule, ...]:
        """A list of `- ACTION: {...}`."""
        rules = (self._rule(item) for item in self._reader.items(tree))
        return tuple(rule for rule in rules if rule is not None)

    def _rule(self, item: Tree) -> Rule | None:
        if isinstance(item, Scalar) and item.text:
            remedy = "Write '- allow: {...}' or '- deny: {...}'; '{}' matches everything"
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
            self._reader.problems.add(
                item.place, "a rule without an action", "Write '- allow: {...}' or '- deny: {...}'"
            )
        return self._body(action) if action is not None else None

    def _refuse(self, entry: Entry) -> None:
        if entry.key in (*RULE.built, *RULE.later):
            remedy = "Put it inside: '- allow: {name: ..., to: ...}'"
            self._reader.problems.add(entry.key_place, f"'{entry.key}' stands beside the rule's action", remedy)
        else:
            self._reader.refuse_key(entry, RULE_ACTION)

    def _body(self, entry: Entry) -> Rule:
        reader = self._reader
        fields = reader.fields(entry.value, RULE)
        name = reader.name(fields["name"], "rule") if "name" in fields else None
        word = reader.word(fields["direction"], DIRECTION) if "direction" in fields else None
        services = read_service(reader, fields["service"], self._services) if "service" in fields else None
        unnamed = Rule(
            identity="",
            action=Action(entry.key),
            directions=frozenset({Direction(word)}) if word else _EITHER_WAY,
            at=entry.key_place.at,
            name=name,
            sources=self._endpoint(fields["from"]) if "from" in fields else None,
            destinations=self._endpoint(fields["to"]) if "to" in fields else None,
            services=(ServiceMatch(),) if services is None else services,
        )
        self._refuse_too_many(unnamed, entry.key_place)
        return self._identified(unnamed, fields["name"].place if name else entry.key_place)

    def _refuse_too_many(self, rule: Rule, place: Place) -> None:
        count = entries(rule)
        if count > MOST_OF_RULE:
            parts = [
                f"{len(part)} {word}{'s' * (len(part) > 1)}"
                for part, word in (
                    (rule.sources, "source"),
                    (rule.destinations, "destination"),
                    (rule.services, "service"),
                )
                if part is not None
            ]
            problem = (
                f"{' x '.join(parts)} make at least {count:,} flow entries, more than the {MOST_OF_RULE:,} of a rule"
            )
            self._reader.problems.add(place, problem, TOO_MANY_REMEDY)

    def _identified(self, rule: Rule, place: Place) -> Rule:
        """With its identity: "acme/web:staff", or by content "acme/web:#3f2a..." (then "...-2" for an equal one)."""
        if rule.name is not None:
            first = self._names.setdefault(rule.name, place)
            if first is not place:
                problem = f"'{rule.name}' names a rule of this node already, at {first.at}"
                self._reader.problems.add(place, problem, "Choose another name")
            return replace(rule, identity=f"{self._path}:{rule.name}")
        content = _content_hash(rule)
        self._unnamed[content] += 1
        again = f"-{self._unnamed[content]}" if self._unnamed[content] > 1 else ""
        return replace(rule, identity=f"{self._path}:#{content}{again}")

    def _endpoint(self, tree: Tree) -> tuple[IPNetwork, ...] | None:
        """The networks of `from` or `to`; None: any. A list means any of its items."""
        found: list[IPNetwork] = []
        anywhere = False
        for item in self._reader.one_or_more(tree):
            if isinstance(item, Fields):
                found += self._endpoint_fields(item)
            elif isinstance(item, Scalar) and item.text.strip().lower() == "any":
                anywhere = True
            else:
                network = self._reader.value(item, _endpoint_text)
                found += [network] if network is not None else []
        return None if anywhere else tuple(dict.fromkeys(found))

    def _endpoint_fields(self, tree: Fields) -> list[IPNetwork]:
        reader = self._reader
        if not tree.entries:
            reader.problems.add(tree.place, "an endpoint that says nothing", "Write 'any', or {cidr: 10.0.0.0/8}")
        fields = reader.fields(tree, ENDPOINT)
        items = reader.one_or_more(fields["cidr"]) if "cidr" in fields else ()
        networks = (reader.value(item, addresses.network) for item in items)
        return [network for network in networks if network is not None]


def _endpoint_text(text: str) -> IPNetwork:
    try:
        return addresses.network(text)
    except BadValue as bad:
        if any(c in text for c in "./:"):
            raise
        remedy = "Write 'any', an address, a prefix such as 10.0.0.0/8, or a list of them"
        raise BadValue(bad.problem, remedy) from None


def _content_hash(rule: Rule) -> str:
    """12 hexadecimal digits over what the rule matches and does; the order within its lists does not count."""
    content = (
        rule.action.value,
        sorted(direction.value for direction in rule.directions),
        None if rule.sources is None else sorted(map(str, rule.sources)),
        None if rule.destinations is None else sorted(map(str, rule.destinations)),
        sorted(map(repr, rule.services)),
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]
