"""Endpoints of rules as written. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policies import addresses
from policies.errors import BadValue
from policies.grammar import ENDPOINT, LABEL
from policies.groups import free_name
from policies.model import Endpoint, IPNetwork
from policies.names import Names
from policies.reader import Reader
from policies.source import Fields, Listing, Scalar, Tree
from policies.wording import quoted

_ANY = "any"
_WHO = ("user", "group", "app", "policy", "vif", "segment")  # keys of one name each


@dataclass(frozen=True, slots=True)
class EndpointReader:
    reader: Reader
    names: Names

    def read(self, tree: Tree) -> tuple[Endpoint, ...] | None:
        """`from` or `to`: one endpoint or a list, of which any may hold. None: any.

        Those that are networks alone become one endpoint, the first.
        """
        networks: list[IPNetwork] = []
        others: list[Endpoint] = []
        anywhere = False
        for item in self.reader.one_or_more(tree):
            if isinstance(item, Scalar) and item.text.strip().lower() == _ANY:
                anywhere = True
                continue
            endpoint = self._fields(item) if isinstance(item, Fields) else self._plain(item)
            if endpoint.is_address:
                networks += endpoint.networks or ()
            else:
                others.append(endpoint)
        if anywhere:
            return None
        plain = [Endpoint(tuple(dict.fromkeys(networks)))] if networks else []
        return tuple(dict.fromkeys([*plain, *others]))

    def _plain(self, tree: Tree) -> Endpoint:
        network = self.reader.value(tree, self._network)
        return Endpoint(None if network is None else (network,))

    def _network(self, text: str) -> IPNetwork:
        try:
            return addresses.network(text)
        except BadValue as bad:
            if text in self.names.groups:
                remedy = f"The group of this name is written {{group: {text}}}"
            elif any(c in text for c in "./:"):
                raise
            else:
                remedy = (
                    "Write 'any', an address, a prefix such as 10.0.0.0/8, a mapping such as {user: alice}, or a list"
                )
            raise BadValue(bad.problem, remedy) from None

    def _fields(self, tree: Fields) -> Endpoint:
        reader = self.reader
        if not tree.entries:
            reader.problems.add(tree.place, "an endpoint that says nothing", "Write 'any', or {cidr: 10.0.0.0/8}")
        fields = reader.fields(tree, ENDPOINT)
        who = {key: self._name(key, fields[key]) for key in _WHO if key in fields}
        return Endpoint(
            networks=self._networks(fields["cidr"]) if "cidr" in fields else None,
            user=who.get("user"),
            group=who.get("group"),
            app=who.get("app"),
            policy=who.get("policy"),
            vif=who.get("vif"),
            segment=who.get("segment"),
            labels=self._labels(fields["label"]) if "label" in fields else (),
        )

    def _networks(self, tree: Tree) -> tuple[IPNetwork, ...]:
        items = (self.reader.value(item, addresses.network) for item in self.reader.one_or_more(tree))
        return tuple(dict.fromkeys(network for network in items if network is not None))

    def _name(self, key: str, tree: Tree) -> str | None:
        if isinstance(tree, Listing):
            remedy = f"Write an endpoint for each, as in [{{{key}: a}}, {{{key}: b}}]"
            self.reader.problems.add(tree.place, f"a list stands where one {key} should", remedy)
            return None
        if key in ("group", "segment"):
            return self.names.read(tree, key)
        if key == "policy":
            return self.names.read_path(tree)
        return self.reader.value(tree, _vif if key == "vif" else free_name)

    def _labels(self, tree: Tree) -> tuple[tuple[str, str], ...]:
        """All of them must hold."""
        if isinstance(tree, Fields) and not tree.entries:
            self.reader.problems.add(tree.place, "there are no labels in it", "Remove the key, or write {tier: front}")
        found = []
        for entry in self.reader.mapping(tree):
            if not LABEL.fullmatch(entry.key):
                remedy = "Use letters, digits, '.', '_' and '-', at most 63"
                self.reader.problems.add(entry.key_place, f"{quoted(entry.key)} cannot be a label", remedy)
            value = self.reader.value(entry.value, free_name)
            if value is not None:
                found.append((entry.key, value))
        return tuple(sorted(found))


def _vif(text: str) -> str:
    if not LABEL.fullmatch(text):
        raise BadValue(
            f"{quoted(text)} cannot be the name of a VIF", "Use letters, digits, '.', '_' and '-', at most 63"
        )
    return text


def as_written(endpoints: tuple[Endpoint, ...] | None) -> list[Any] | None:
    """Plain values in the language's own form: None for any; networks as texts, other endpoints as mappings by key."""
    if endpoints is None:
        return None
    written: list[Any] = []
    for endpoint in endpoints:
        if endpoint.is_address:
            written += map(str, endpoint.networks or ())
        else:
            written.append(_mapping(endpoint))
    return written


def _mapping(endpoint: Endpoint) -> dict[str, Any]:
    networks = None if endpoint.networks is None else [str(network) for network in endpoint.networks]
    keys = {"cidr": networks, **{key: getattr(endpoint, key) for key in _WHO}, "label": dict(endpoint.labels) or None}
    return {key: value for key, value in keys.items() if value is not None}
