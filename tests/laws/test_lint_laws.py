"""Laws of the linter: what it says no packet reaches, none reaches, and what one earlier rule covers it always says."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.endpoints_meaning import Side, mismatch
from policies.identity import Identities, Party
from policies.lint.coverage import Coverage
from policies.model import (
    Action,
    Direction,
    Endpoint,
    Group,
    Node,
    PolicySet,
    Position,
    Rule,
    Segment,
    SegmentType,
    ServiceMatch,
)
from policies.semantics import Packet, judge

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
AT = Position("f", 1, 1)
EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS
NETWORKS = [ip_network(n) for n in ("10.0.0.0/30", "10.0.0.0/31", "10.0.0.2/31", "10.0.0.1", "10.0.0.2", "10.9.0.0/30")]
WIDE = [ip_network(n) for n in ("0.0.0.0/0", "::/0", "fd00::/64", "fd00::1", "0.0.0.0/1", "128.0.0.0/1")]
SEGMENTS = {
    "lab": Segment("lab", SegmentType.INTERNAL, AT, (ip_network("10.0.0.0/30"), ip_network("fd00::/64"))),
    "far": Segment("far", SegmentType.INTERNAL, AT, (ip_network("10.9.0.0/30"),)),
}
GROUPS = {name: Group(name, frozenset(users), AT) for name, users in (("one", "a"), ("two", "ab"), ("other", "bc"))}
LEAVES = ("r/x", "r/y")


def party(number: int, leaf: str, segment: str, addresses: list[str], users: str, labels: dict[str, str]) -> Party:
    found = frozenset(map(ip_address, [*addresses, f"fe80::{number}"]))
    return Party(f"v{number}", number, leaf, segment, found, frozenset(users), tuple(sorted(labels.items())))


PARTIES = (
    party(1, "r/x", "lab", ["10.0.0.1", "fd00::1"], "a", {"app": "web", "k": "1"}),
    party(2, "r/x", "far", ["10.9.0.1"], "bc", {"app": "db"}),
    party(3, "r/y", "lab", ["10.0.0.2"], "", {"app": "web", "k": "2"}),
    party(4, "r/y", "far", ["10.9.0.2"], "ab", {}),
    party(5, "r/x", "lab", ["10.0.0.3"], "c", {"app": "db", "k": "1"}),
)
IDENTITIES = Identities(
    {one.name: one for one in PARTIES},
    {"a": frozenset({ip_address("8.8.8.8")}), "b": frozenset({ip_address("10.0.0.3"), ip_address("fd00::9")})},
)
REMOTES = [
    *{a for one in PARTIES for a in one.addresses},
    *map(ip_address, ("8.8.8.8", "200.0.0.1", "10.0.0.0", "fd00::9")),
]
TRANSPORT = [
    *({"protocol": 6, "source_port": a, "destination_port": b} for a in (1, 2) for b in (1, 2, 3)),
    {"protocol": 17, "source_port": 1, "destination_port": 1},
    *({"protocol": 1, "icmp_type": kind, "icmp_code": code} for kind, code in ((8, 0), (8, 1), (0, 0))),
    {"protocol": 58, "icmp_type": 128, "icmp_code": 0},
    {"protocol": 47},
]

_NETS = st.lists(st.sampled_from([*NETWORKS, *WIDE]), min_size=1, max_size=2).map(tuple)
_KEYS = {
    "networks": _NETS,
    "user": st.sampled_from("abc"),
    "group": st.sampled_from(sorted(GROUPS)),
    "app": st.sampled_from(["web", "db"]),
    "policy": st.sampled_from(["r", *LEAVES]),
    "vif": st.sampled_from(["v1", "v3"]),
    "segment": st.sampled_from(sorted(SEGMENTS)),
    "labels": st.sampled_from([(("k", "1"),), (("k", "2"),), (("app", "web"), ("k", "1"))]),
}
_ENDPOINT = st.lists(st.sampled_from(sorted(_KEYS)), min_size=1, max_size=2, unique=True).flatmap(
    lambda keys: st.builds(Endpoint, **{key: _KEYS[key] for key in keys})
)
_SIDE = st.none() | st.lists(_ENDPOINT, min_size=1, max_size=2).map(tuple)
_SPAN = st.sampled_from([None, (1, 1), (2, 3), (1, 2), (0, 65535)])
_FEW = [
    *map(ServiceMatch, (None, 1, 17, 47, 58)),
    *(ServiceMatch(1, icmp_type=8, icmp_code=code) for code in (None, 1)),
]
_SERVICE = st.sampled_from(_FEW) | st.builds(lambda ports, sources: ServiceMatch(6, ports, sources), _SPAN, _SPAN)
_SERVICES = st.lists(_SERVICE, min_size=1, max_size=2).map(tuple)
_DIRECTIONS = st.sampled_from([frozenset({EGRESS}), frozenset({INGRESS}), frozenset(Direction)])


_SELDOM = st.sampled_from([False, False, False, True])


def rules(side=_SIDE, services=_SERVICES, audit=_SELDOM):
    return st.builds(
        Rule, st.just(""), st.sampled_from(Action), _DIRECTIONS, st.just(AT),
        sources=side, destinations=side, services=services, audit=audit,
    )  # fmt: skip


def identified(node: str, name: str, some: list[Rule]) -> tuple[Rule, ...]:
    return tuple(replace(rule, identity=f"{node}:{name}{place}") for place, rule in enumerate(some))


@st.composite
def policy_sets(draw, drawn):
    def node(path: str, **more) -> Node:
        lists = {name: identified(path, name, draw(drawn)) for name in ("mandatory", "default")}
        return Node(path, AT, **lists, **more)

    nodes = [node("r", children=LEAVES)]
    nodes += [node(leaf, parent="r", rules=identified(leaf, "rules", draw(drawn))) for leaf in LEAVES]
    return PolicySet(segments=SEGMENTS, groups=GROUPS, nodes={one.path: one for one in nodes})


def unreached(policies: PolicySet) -> list[str]:
    return [one.rule.identity for one, _ in Coverage(policies).fates()]


def reached(policies: PolicySet, rule: Rule, node: str) -> Packet | None:
    """A packet that this rule decides or, under audit, counts."""
    for who, direction in product(PARTIES, rule.directions):
        if who.policy not in (node, *policies.nodes[node].children):
            continue
        own, remote = (rule.sources, rule.destinations)[:: 1 if direction is EGRESS else -1]
        here = [a for a in who.addresses if mismatch(own, Side(a, who, policies, IDENTITIES)) is None]
        there = [a for a in REMOTES if here and mismatch(remote, Side(a, None, policies, IDENTITIES)) is None]
        for a, b, transport in product(here, there, TRANSPORT):
            if a.version != b.version or not any(s.protocol in (None, transport["protocol"]) for s in rule.services):
                continue
            packet = Packet(*((a, b) if direction is EGRESS else (b, a)), **transport)
            verdict = judge(policies, IDENTITIES, who, direction, packet)
            if any(rule is other for other in (verdict.rule, *verdict.audited)):
                return packet
    return None


@settings(SLOW, max_examples=60)
@given(policy_sets(st.lists(rules(), max_size=3)))
def test_no_packet_reaches_what_it_says_none_reaches(policies):
    dead = set(unreached(policies))
    for node in policies.nodes.values():
        for rule in (*node.mandatory, *node.rules, *node.default):
            if rule.identity in dead:
                assert reached(policies, rule, node.path) is None, rule


@st.composite
def narrowed(draw, rule: Rule) -> Rule:
    """A rule that matches no more than this one does."""

    def side(ends):
        if ends is None:
            return draw(_SIDE)
        return tuple(draw(narrower(draw(st.sampled_from(ends)))) for _ in range(draw(st.integers(1, 2))))

    services = tuple(draw(_narrower_service(draw(st.sampled_from(rule.services)))) for _ in range(2))
    return replace(
        rule,
        action=draw(st.sampled_from(Action)),
        directions=draw(st.sampled_from([rule.directions, frozenset({min(rule.directions)})])),
        sources=side(rule.sources),
        destinations=side(rule.destinations),
        services=services,
        audit=draw(st.booleans()),
    )


@st.composite
def narrower(draw, end: Endpoint) -> Endpoint:
    more: dict = {}
    if end.networks is not None:
        network = draw(st.sampled_from(end.networks))
        within = [other for other in NETWORKS if other.version == network.version and other.subnet_of(network)]
        more["networks"] = (draw(st.sampled_from([network, *within])),)
    else:
        more["networks"] = draw(st.none() | _NETS)
    if end.group is not None and draw(st.booleans()):
        more |= {"group": None, "user": end.user or draw(st.sampled_from(sorted(GROUPS[end.group].users)))}
        if end.user is not None and end.user not in GROUPS[end.group].users:
            more["group"] = end.group
    if end.policy == "r":
        more["policy"] = draw(st.sampled_from(["r", *LEAVES]))
    if end.app is None:
        more["app"] = draw(st.none() | _KEYS["app"])
    return replace(end, **more)


@st.composite
def _narrower_service(draw, service: ServiceMatch) -> ServiceMatch:
    if service.protocol is None:
        return draw(_SERVICE)
    if service.protocol == 1 and service.icmp_type is None:
        return replace(service, icmp_type=draw(st.sampled_from([None, 8])))
    if service.protocol == 6:
        spans = {"ports": service.ports or (0, 65535), "source_ports": service.source_ports or (0, 65535)}
        return replace(
            service, **{key: (first, draw(st.integers(first, last))) for key, (first, last) in spans.items()}
        )
    return service


@settings(SLOW, max_examples=80)
@given(st.data(), policy_sets(st.lists(rules(), max_size=2)), rules(audit=st.just(False)))
def test_what_one_earlier_rule_covers_is_always_said(data, policies, cover):
    last = data.draw(narrowed(cover))
    node, list_name = data.draw(st.sampled_from([("r", "mandatory"), ("r/x", "rules"), ("r", "default")]))
    old = policies.nodes[node]
    chosen = replace(old, **{list_name: identified(node, list_name, [cover, *getattr(old, list_name), last])})
    policies = replace(policies, nodes={**policies.nodes, node: chosen})
    assert getattr(chosen, list_name)[-1].identity in unreached(policies)


_PLAIN_NETWORK = st.sampled_from(NETWORKS[:3])  # a whole and its halves
_PLAIN_SIDE = st.lists(_PLAIN_NETWORK, min_size=1, max_size=2).map(lambda n: (Endpoint(tuple(n)),))
_PLAIN_SPAN = st.sampled_from([(0, 3), (0, 1), (2, 3)])
_PLAIN_SERVICE = st.builds(lambda ports, sources: ServiceMatch(6, ports, sources), _PLAIN_SPAN, st.just((0, 3)))
_PLAIN_SERVICES = st.one_of(
    st.builds(lambda *some: some, _PLAIN_SERVICE),
    st.builds(lambda *some: some, _PLAIN_SERVICE, st.builds(ServiceMatch, st.just(6), _PLAIN_SPAN, _PLAIN_SPAN)),
)
_PLAIN = rules(_PLAIN_SIDE, _PLAIN_SERVICES, st.just(False))


def boxes(rule: Rule) -> set[tuple[object, ...]]:
    """All that it matches, packet by packet."""
    ends = [
        [a for end in side or () for n in end.networks or () for a in n] for side in (rule.sources, rule.destinations)
    ]
    ports = {
        (a, b)
        for service in rule.services
        for a, b in product(range(4), range(4))
        if service.ports[0] <= a <= service.ports[1] and service.source_ports[0] <= b <= service.source_ports[1]
    }
    return set(product(rule.directions, *ends, ports))


@settings(SLOW, max_examples=80)
@given(st.lists(_PLAIN, min_size=4, max_size=10))
def test_among_addresses_and_ports_it_is_exact(drawn):
    node = Node("r", AT, rules=identified("r", "rules", drawn))
    decided: set[tuple[object, ...]] = set()
    expected = []
    for rule in node.rules:
        if boxes(rule) <= decided:
            expected.append(rule.identity)
        decided |= boxes(rule)
    assert unreached(PolicySet(nodes={"r": node})) == expected
