"""Random policy documents that are right: plain values by hypothesis, and YAML texts of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "web", "db-1", "x.y", "_z"])
DIRECTIONS = st.sampled_from(["egress", "ingress"])
ACTIONS = st.sampled_from(["allow", "deny"])
NETWORKS = st.sampled_from(["10.0.0.1", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "fd00::1", "fd00::/64", "::/0"])
SERVICES = st.sampled_from(
    ["any", "tcp", "tcp/80", "tcp/80-443", "udp/53", "icmp", "icmp/8", "icmp/8/0", "icmp6/128", "ip/47", "web"]
)
LEAF_RATES_MBIT = st.integers(0, 50)


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _endpoints() -> st.SearchStrategy[Any]:
    one = st.one_of(st.just("any"), NETWORKS, NETWORKS.map(lambda network: {"cidr": network}))
    return st.one_of(one, st.lists(one, min_size=1, max_size=3))


def rules() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Unnamed, so that any of them may stand together."""
    service = st.one_of(
        SERVICES,
        st.lists(SERVICES, min_size=1, max_size=3),
        st.just({"proto": "udp", "port": "53", "source_port": "1024-65535"}),
    )
    fields = {"direction": DIRECTIONS, "from": _endpoints(), "to": _endpoints(), "service": service}
    body = st.fixed_dictionaries({}, optional=fields)
    return st.lists(st.builds(lambda action, rule: {action: rule}, ACTIONS, body), min_size=1, max_size=3)


@st.composite
def bandwidths(draw: st.DrawFn) -> dict[str, str]:
    """A leaf's numbers, so small that no inner node below is in their way."""
    numbers = draw(_optional(weight=st.sampled_from(["1", "3", "2.5"]), burst=st.sampled_from(["20 ms", "64 kib"])))
    guarantee = draw(LEAF_RATES_MBIT)
    if draw(st.booleans()):
        numbers["guarantee"] = f"{guarantee} mbit"
    if draw(st.booleans()):
        numbers["limit"] = f"{guarantee + draw(st.integers(1, 50))} mbit"
    return numbers


@st.composite
def nodes(draw: st.DrawFn, with_rules: bool, depth: int = 2) -> dict[str, Any]:
    node = draw(_optional(unmatched=ACTIONS, mandatory=rules(), default=rules())) if with_rules else {}
    if depth and draw(st.booleans()):
        node["children"] = draw(st.dictionaries(NAMES, nodes(with_rules, depth - 1), min_size=1, max_size=3))
        if draw(st.booleans()):
            node["egress"] = {"guarantee": f"{200 * 4**depth} mbit", "burst": "10 ms"}
        return node
    node |= draw(_optional(egress=bandwidths(), ingress=bandwidths()))
    if with_rules and draw(st.booleans()):
        node["rules"] = draw(rules())
    return node


@st.composite
def documents(draw: st.DrawFn, with_rules: bool = True) -> dict[str, Any]:
    """A whole document, as values that YAML and JSON both write."""
    document: dict[str, Any] = {"weir": "1", "services": {"web": ["tcp/80", "tcp/443"]}}
    document["policies"] = draw(st.dictionaries(NAMES, nodes(with_rules), max_size=3))
    if draw(st.booleans()):
        document["segments"] = {
            "office": {"type": "bridged", "uplink": "wan", "subnets": ["10.1.0.0/24", "fd00:1::/64"]},
            "lab": {"type": "internal", "subnets": ["10.2.0.0/24"]},
        }
        document["links"] = {"wan": {"capacity": "100 mbit", "hosts": ["h1"]}}
    return document


def text_of(document: dict[str, Any]) -> str:
    """JSON is YAML."""
    return json.dumps(document, indent=1)
