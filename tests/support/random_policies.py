"""Random policy sets by hypothesis, as YAML texts that a failing case can be read from, and who is where under them.

A fixed cast of VIFs and few names, addresses and ports, so that rules match often. Every text is right: all names that
it uses are defined, and what narrows nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv6Address, ip_address
from typing import Any

from hypothesis import strategies as st

from policies.identity import USER_LABEL, Identities, Party
from policies.model import PolicySet, Segment
from policies.parser import parse
from tests.support.written_policies import text_of

LAB, OFFICE, UPLINK, VLAN = "lab", "office", "wan", "120"  # an internal segment; a bridged one, and its uplink
_LAB = {"type": "internal", "subnets": ["10.0.0.0/24", "fd00::/64"]}
_OFFICE = {"type": "bridged", "uplink": UPLINK, "subnets": ["10.1.0.0/24", "fd01::/64"]}
_WAY_OUT = {"uplink": UPLINK, "address": ["192.0.2.2/24", "2001:db8:1::2/64"], "via": ["192.0.2.1", "2001:db8:1::1"]}
_ROUTED_LAB = {**_LAB, "type": "routed", "gateway": ["10.0.0.254", "fd00::fe"]}
_ROUTED_OFFICE = {**_OFFICE, "type": "routed", "gateway": ["10.1.0.254", "fd01::fe"], **_WAY_OUT}
ROUTED_SEGMENTS = (
    {LAB: _ROUTED_LAB, OFFICE: _ROUTED_OFFICE},
    {LAB: _ROUTED_LAB, OFFICE: {**_ROUTED_OFFICE, "vlan": VLAN}},
    {LAB: _LAB, OFFICE: _ROUTED_OFFICE},
)
SEGMENTS = ({LAB: _LAB, OFFICE: _OFFICE}, {LAB: _LAB, OFFICE: {**_OFFICE, "vlan": VLAN}})


@dataclass(frozen=True, slots=True)
class _Member:
    """Of the cast. numbers: the last parts of its addresses in the subnets of its segment."""

    name: str
    segment: str
    numbers: tuple[int, ...]
    labels: Mapping[str, str]


_CAST = (
    _Member("a1", LAB, (1,), {"app": "web", "role": "front"}),
    _Member("a2", LAB, (2,), {"app": "web", "role": "back"}),
    _Member("a3", LAB, (3,), {"app": "db", "role": "back"}),
    _Member("a4", LAB, (4,), {"user": "dave"}),
    _Member("a5", LAB, (5, 6), {}),
    _Member("b1", OFFICE, (1,), {"app": "web", "role": "front"}),
    _Member("b2", OFFICE, (2,), {"app": "db", "user": "dave"}),
    _Member("c1", OFFICE, (3,), {"app": "web", "role": "back"}),
)
ELSEWHERE = ("c1",)  # on another host, behind the uplink
HERE = tuple(member.name for member in _CAST if member.name not in ELSEWHERE)
OUTSIDE = ("203.0.113.9", "10.1.0.99", "2001:db8::9", "fd01::99")  # addresses of no VIF

PORTS = (52, 53, 54, 79, 80, 81, 443, 1023, 1024, 5432, 7999, 8000, 8003, 8004, 65535)
GROUPS = {"staff": ["alice", "bob"], "family": ["dave", "carol"], "nobody": ["erin"]}
SERVICES = {"web": ["tcp/80", "tcp/443"], "dns": ["udp/53", "tcp/53"], "ping": ["icmp/8", "icmp6/128"]}
CLASSES: tuple[Mapping[str, Mapping[str, str]], ...] = (
    {},
    {
        "realtime": {"dscp": "ef", "share": "30 %"},
        "normal": {"share": "60 %"},
        "bulk": {"dscp": "cs1", "share": "10 %"},
    },
    {"gold": {"share": "40 %"}},
    {"normal": {"dscp": "10", "share": "50 %"}, "slow": {"share": "5 %"}},
)
_MARKS = {
    "normal": ["be", "af41"], "realtime": ["3", "ef"], "bulk": ["7", "63"], "gold": ["11", "cs5"], "slow": ["12", "15"],
}  # fmt: skip
_Shape = Mapping[str, Any]  # children by name; a leaf has none
_SHAPES: tuple[_Shape, ...] = (
    {"solo": {}},
    {"acme": {"web": {}, "db": {}}},
    {"acme": {"web": {}, "apps": {"pay": {}, "shop": {}}}, "solo": {}},
    {"acme": {"apps": {"shop": {"eu": {"till": {}, "desk": {}}}, "pay": {}}}},
)


@dataclass(frozen=True, slots=True)
class Case:
    """text: the policy. parties: the VIFs, also those elsewhere, in the order of their numbers."""

    text: str
    policies: PolicySet
    identities: Identities
    parties: tuple[Party, ...]

    @property
    def segments(self) -> Mapping[str, Segment]:
        return self.policies.segments

    def __repr__(self) -> str:
        """To be read where a law fails."""
        vifs = [f"{p.name}: {p.policy} {p.segment} users {sorted(p.users)} {dict(p.labels)}" for p in self.parties]
        bound = [f"{user}: {sorted(map(str, found))}" for user, found in self.identities.addresses.items()]
        return "\n".join(["Case:", self.text, "VIFs:", *vifs, "users at addresses:", *bound, ""])


def mac(party: Party) -> str:
    return f"02:00:00:00:00:{party.number:02x}"


def interfaces(party: Party) -> tuple[str, ...]:
    """The addresses that it was given, with prefix lengths: "10.0.0.1/24"."""
    given = sorted((a for a in party.addresses if not a.is_link_local), key=lambda a: (a.version, a))
    return tuple(f"{address}/{24 if address.version == 4 else 64}" for address in given)


def _addresses(member: _Member) -> list[str]:
    four, six = {LAB: ("10.0.0.", "fd00::"), OFFICE: ("10.1.0.", "fd01::")}[member.segment]
    return [prefix + str(number) for number in member.numbers for prefix in (four, six)]


def _paths(shape: _Shape, above: str = "") -> Iterator[tuple[str, bool]]:
    """Each node's path and whether it is a leaf."""
    for name, below in shape.items():
        yield above + name, not below
        yield from _paths(below, f"{above}{name}/")


_HERE_AND_THERE = tuple(address for member in _CAST for address in _addresses(member))
_PREFIXES = (
    "0.0.0.0/0", "::/0", "10.0.0.0/30", "10.0.0.2/31", "10.0.0.0/15", "fd00::/126", "fd00::/15", "10.1.0.0/24",
    "fd01::/64", "fe80::/10", "203.0.113.0/24", "2001:db8::/32",
)  # fmt: skip
_NETWORK = st.sampled_from([*_HERE_AND_THERE, *_PREFIXES, *_PREFIXES, *OUTSIDE])
_USER = st.sampled_from(["alice", "bob", "carol", "dave", "erin"])
_LABELS = st.sampled_from([{"role": "front"}, {"role": "back"}, {"app": "web", "role": "back"}, {"user": "dave"}])
_SPANS = ("53", "80", "443", "53-80", "80-443", "1024-65535", "0-1023", "8000-8003", "7999-8004", "0-65535")
_SPAN = st.sampled_from(_SPANS)
_SERVICE = st.one_of(
    st.sampled_from([*SERVICES, *SERVICES, "any", "tcp", "udp", "sctp", "icmp", "icmp6"]),
    st.builds("{}/{}".format, st.sampled_from(["tcp", "udp", "sctp"]), _SPAN),
    st.sampled_from(["icmp/8", "icmp/8/0", "icmp/8/1", "icmp/13", "icmp/9", "icmp6/128", "icmp6/128/0", "icmp6/200"]),
    st.sampled_from(["ip/47", "ip/89", "ip/6", "ip/17", "ip/132", "ip/51", "ip/51", "ip/60", "ip/0", "ip/50"]),
    st.fixed_dictionaries(
        {"proto": st.sampled_from(["tcp", "udp", "sctp"])}, optional={"port": _SPAN, "source_port": _SPAN}
    ),
    st.builds(lambda proto: {"proto": proto}, st.sampled_from(["47", "icmp", "icmp6", "253"])),
)

_NARROWED_BY = (  # what narrows a rule: mostly little, so that it matches, and seldom nothing, so that others do
    *(("from",), ("to",), ("service",), ("direction", "from"), ("direction", "to"), ("direction", "service")) * 2,
    *(("from", "service"), ("to", "service"), ("from", "to"), ("direction",), ("direction", "from", "to", "service")),
    ("direction", "from", "to"),
    ("from", "to", "service"),
    (),
)
_WRITTEN = ("name", "direction", "from", "to", "service", "class", "dscp", "limit", "packets", "log", "stage")


def _one_or_more(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(some, st.lists(some, min_size=1, max_size=3))


@cache
def _endpoints(paths: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """paths: of all nodes."""
    key = {
        "cidr": st.one_of(_NETWORK, st.lists(_NETWORK, min_size=2, max_size=2)),
        "user": _USER,
        "group": st.sampled_from(list(GROUPS)),
        "app": st.sampled_from(["web", "db", "none"]),
        "policy": st.sampled_from(paths),
        "vif": st.sampled_from([*HERE, *ELSEWHERE, "z9"]),
        "segment": st.sampled_from([LAB, OFFICE]),
        "label": _LABELS,
    }
    of_one_key = [st.fixed_dictionaries({name: values}) for name, values in key.items()]
    several = st.lists(st.sampled_from(list(key)), min_size=2, max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: key[name] for name in sorted(names)})
    )
    return _one_or_more(st.one_of(_NETWORK, _NETWORK, *of_one_key, several, st.just("any")))


@cache
def _rules(paths: tuple[str, ...], classes: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of rules without names. classes: those that a rule may name."""
    endpoints, services = _endpoints(paths), _one_or_more(_SERVICE)
    values = {
        "direction": st.sampled_from(["egress", "ingress"]),
        "from": endpoints,
        "to": endpoints,
        "service": services,
    }
    narrowed = [st.fixed_dictionaries({key: values[key] for key in keys}) for keys in _NARROWED_BY]
    logged = st.sampled_from([{}, {}, {"log": "true"}, {"log": "false"}])
    matched = st.builds(lambda body, log: {**body, **log}, st.one_of(narrowed), logged)
    audit = st.sampled_from([{}, {}, {}, {"stage": "audit"}])
    allow = st.builds(lambda body, more, stage: {"allow": {**body, **more, **stage}}, matched, _effects(classes), audit)
    refuse = st.builds(
        lambda action, body, stage: {action: {**body, **stage}}, st.sampled_from(["deny", "reject"]), matched, audit
    )
    return st.lists(st.one_of(allow, allow, refuse), max_size=4)


def _effects(classes: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    """What a rule does that allows. In one policy set a code point is that of one class alone."""
    rates = {
        "limit": st.sampled_from(["1 mbit", "5 mbit", "20 mbit"]),
        "packets": st.sampled_from(["1 kpps", "5 kpps"]),
    }
    unnamed = st.fixed_dictionaries({}, optional={"dscp": st.sampled_from(_MARKS["normal"]), **rates})
    named = [
        st.fixed_dictionaries({"class": st.just(name)}, optional={"dscp": st.sampled_from(_MARKS[name]), **rates})
        for name in classes
    ]
    return st.one_of(unnamed, *named)


@st.composite
def cases(draw: st.DrawFn, kinds: Sequence[Mapping[str, Any]] = SEGMENTS) -> Case:
    """kinds: what its segments may be."""
    shape, segments = draw(st.sampled_from(_SHAPES)), draw(st.sampled_from(kinds))
    return draw(_case(_policies(draw, shape, segments), shape))


@st.composite
def changes(draw: st.DrawFn) -> tuple[Case, Case]:
    """Two policy sets of the same tree and segments, for the same VIFs and users."""
    shape, segments = draw(st.sampled_from(_SHAPES)), draw(st.sampled_from(SEGMENTS))
    before = draw(_case(_policies(draw, shape, segments), shape))
    text = _policies(draw, shape, segments)
    return before, replace(before, text=text, policies=parse({"policy.yaml": text}))


def _policies(draw: st.DrawFn, shape: _Shape, segments: Mapping[str, Any]) -> str:
    classes = draw(st.sampled_from(CLASSES))
    rules = _rules(tuple(path for path, _ in _paths(shape)), tuple(dict.fromkeys([*classes, "normal"])))
    document: dict[str, Any] = {"weir": "1", "segments": segments, "services": SERVICES, "groups": GROUPS}
    if classes:
        document["classes"] = classes
    document["policies"] = {name: _node(draw, below, rules) for name, below in shape.items()}
    return text_of(document)


@st.composite
def _case(draw: st.DrawFn, text: str, shape: _Shape) -> Case:
    leaves = [path for path, is_leaf in _paths(shape) if is_leaf]
    return case_of(text, {member.name: draw(st.sampled_from(leaves)) for member in _CAST}, draw(_PLACES))


def case_of(text: str, leaves: Mapping[str, str], places: Mapping[str, Sequence[str]] | None = None) -> Case:
    """The cast under a policy set. leaves: of each VIF. places: of each user, names of VIFs and addresses."""
    places = places or {}
    parties = tuple(_party(member, number, leaves[member.name], places) for number, member in _numbered())
    at_addresses = {
        user: frozenset(ip_address(place) for place in found if place not in _NAMES) for user, found in places.items()
    }
    identities = Identities({party.name: party for party in parties}, {u: a for u, a in at_addresses.items() if a})
    return Case(text, parse({"policy.yaml": text}), identities, parties)


_NAMES = frozenset(member.name for member in _CAST)
_PLACE = st.one_of(st.sampled_from(sorted(_NAMES)), st.sampled_from([*_HERE_AND_THERE, *OUTSIDE]))
_PLACES = st.fixed_dictionaries({user: st.lists(_PLACE, max_size=5) for user in ("alice", "bob", "carol")})
_UNMATCHED = st.sampled_from([None, "allow", "allow", "deny", "reject"])
_HAS_NAME = st.sampled_from([True, True, False])


def _numbered() -> Iterator[tuple[int, _Member]]:
    return enumerate(_CAST, start=1)


def _party(member: _Member, number: int, leaf: str, places: Mapping[str, Sequence[str]]) -> Party:
    addresses = {ip_address(address) for address in _addresses(member)} | {IPv6Address(f"fe80::ff:fe00:{number:x}")}
    users = {user for user, found in places.items() if member.name in found}
    users |= {member.labels[USER_LABEL]} if USER_LABEL in member.labels else set()
    labels = tuple(sorted(member.labels.items()))
    return Party(member.name, number, leaf, member.segment, frozenset(addresses), frozenset(users), labels)


def _node(draw: st.DrawFn, below: _Shape, rules: st.SearchStrategy[list[dict[str, Any]]]) -> dict[str, Any]:
    lists = ("mandatory", "default") if below else ("mandatory", "rules", "default")
    node: dict[str, Any] = {"unmatched": draw(_UNMATCHED)}
    for key in lists:
        drawn = draw(rules)
        node[key] = [
            {action: _in_order({"name": f"{key}-{place}", **body} if draw(_HAS_NAME) else body)}
            for place, rule in enumerate(drawn, start=1)
            for action, body in rule.items()
        ]
    node["children"] = {name: _node(draw, further, rules) for name, further in below.items()}
    return {key: value for key, value in node.items() if value}


def _in_order(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in _WRITTEN if key in body}
