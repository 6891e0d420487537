"""Random policy documents that are right: plain values by hypothesis, and YAML texts of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "web", "db-1", "x.y", "_z"])
DIRECTIONS = st.sampled_from(["egress", "ingress"])
ACTIONS = st.sampled_from(["allow", "deny", "reject"])
NETWORKS = st.sampled_from(["10.0.0.1", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "fd00::1", "fd00::/64", "::/0"])
SERVICES = st.sampled_from(
    ["any", "tcp", "tcp/80", "tcp/80-443", "udp/53", "icmp", "icmp/8", "icmp/8/0", "icmp6/128", "ip/47", "web"]
)

GROUPS = {"staff": ["alice", "bob"], "guests": ["carol"]}
CLASSES = {"fast": {"share": "30 %", "dscp": "ef"}, "normal": {"share": "50 %"}, "slow": {"share": "20 %"}}
SEGMENTS = {
    "office": {"type": "bridged", "uplink": "wan", "subnets": ["10.1.0.0/24", "fd00:1::/64"]},
    "lab": {"type": "internal", "subnets": ["10.2.0.0/24"]},
}
ROOT = "root"  # a path that every document has

# Strategies are made once: making them anew in each draw takes most of the time.
_FREE = st.sampled_from(["alice", "no", "b c", "1"])
_CIDRS = st.one_of(NETWORKS, st.lists(NETWORKS, min_size=1, max_size=2))
_WHO: dict[str, st.SearchStrategy[Any]] = {
    "cidr": _CIDRS,
    "user": _FREE,
    "group": st.sampled_from(sorted(GROUPS)),
    "app": _FREE,
    "policy": st.just(ROOT),
    "vif": st.sampled_from(["web1", "x.y"]),
    "segment": st.sampled_from(sorted(SEGMENTS)),
    "label": st.dictionaries(st.sampled_from(["app", "tier", "z-1"]), _FREE, min_size=1, max_size=2),
}
_MAPPING = st.sampled_from(sorted(_WHO)).flatmap(
    lambda key: st.fixed_dictionaries({key: _WHO[key]}, optional={k: s for k, s in _WHO.items() if k != key})
)
_ENDPOINT = st.one_of(st.just("any"), NETWORKS, NETWORKS.map(lambda network: {"cidr": network}), _MAPPING)
_ENDPOINTS = st.one_of(_ENDPOINT, st.lists(_ENDPOINT, min_size=1, max_size=2))
_SERVICES = st.one_of(
    SERVICES,
    st.lists(SERVICES, min_size=1, max_size=2),
    st.just({"proto": "udp", "port": "53", "source_port": "1024-65535"}),
)
_MATCHED = {"direction": DIRECTIONS, "from": _ENDPOINTS, "to": _ENDPOINTS, "service": _SERVICES}
_WATCHED = {"log": st.sampled_from(["true", "false"]), "stage": st.sampled_from(["audit", "enforce"])}
_MARKED = st.sampled_from(  # a code point belongs to one class
    [{}, {"class": "fast"}, {"class": "fast", "dscp": "ef"}, {"class": "slow", "dscp": "cs1"}, {"dscp": "af11"}]
)
_BODY = st.fixed_dictionaries({}, optional={**_MATCHED, **_WATCHED})
_BOUNDED = st.fixed_dictionaries(
    {}, optional={"limit": st.sampled_from(["5 mbit", "1 gbit"]), "packets": st.just("2 kpps")}
)
_ALLOWING = st.builds(lambda *parts: {key: part[key] for part in parts for key in part}, _BODY, _MARKED, _BOUNDED)
_RULE = st.one_of(
    _ALLOWING.map(lambda body: {"allow": body}),
    st.builds(lambda action, body: {action: body}, st.sampled_from(["deny", "reject"]), _BODY),
)
RULES = st.lists(_RULE, min_size=1, max_size=2)  # unnamed, so that any of them may stand together
_RULE_FIELDS = st.fixed_dictionaries({}, optional={"unmatched": ACTIONS, "mandatory": RULES, "default": RULES})


def _bandwidth(guarantee: int | None, headroom: int | None, weight: str | None, burst: str | None) -> dict[str, str]:
    """A leaf's numbers, in Mbit/s and so small that no inner node below is in their way."""
    limit = None if headroom is None else f"{(guarantee or 0) + headroom} mbit"
    numbers = {"guarantee": guarantee and f"{guarantee} mbit", "limit": limit, "weight": weight, "burst": burst}
    return {key: text for key, text in numbers.items() if text}


_BANDWIDTH = st.builds(
    _bandwidth,
    st.none() | st.integers(0, 50),
    st.none() | st.integers(1, 50),
    st.sampled_from([None, "1", "3", "2.5"]),
    st.sampled_from([None, "20 ms", "64 kib"]),
)
_BANDWIDTHS = st.fixed_dictionaries({}, optional={"egress": _BANDWIDTH, "ingress": _BANDWIDTH})


def _nodes(with_rules: bool, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    shared = _RULE_FIELDS if with_rules else st.just({})
    own = st.fixed_dictionaries({}, optional={"rules": RULES}) if with_rules else st.just({})
    leaf = st.builds(lambda *parts: {key: part[key] for part in parts for key in part}, shared, own, _BANDWIDTHS)
    if not depth:
        return leaf
    reserve = st.sampled_from([{}, {"egress": {"guarantee": f"{200 * 4**depth} mbit", "burst": "10 ms"}}])
    children = st.dictionaries(NAMES, _nodes(with_rules, depth - 1), min_size=1, max_size=2)
    inner = st.builds(lambda node, numbers, below: {**node, **numbers, "children": below}, shared, reserve, children)
    return leaf | inner


_TREES = {with_rules: st.dictionaries(NAMES, _nodes(with_rules, 2), max_size=3) for with_rules in (False, True)}


@st.composite
def documents(draw: st.DrawFn, with_rules: bool = True) -> dict[str, Any]:
    """A whole document, as values that YAML and JSON both write."""
    document: dict[str, Any] = {"weir": "1", "services": {"web": ["tcp/80", "tcp/443"]}}
    document |= {"groups": GROUPS, "classes": CLASSES, "segments": SEGMENTS}
    document["policies"] = {**draw(_TREES[with_rules]), ROOT: {}}
    if draw(st.booleans()):
        document["links"] = {"wan": {"capacity": "100 mbit", "hosts": ["h1"]}}
    return document


def text_of(document: dict[str, Any]) -> str:
    """JSON is YAML."""
    return json.dumps(document, indent=1)
