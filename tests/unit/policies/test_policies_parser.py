"""What right text means."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from policies.errors import PolicyErrors
from policies.model import (
    Action,
    Bandwidth,
    Direction,
    Endpoint,
    PolicySet,
    Position,
    SegmentType,
    Service,
    ServiceMatch,
)
from policies.parser import parse

TEXT = """\
weir: 1
segments:
  office: {type: bridged, uplink: eth1, vlan: 120, subnets: [10.1.0.0/24, 'fd00:1::/64']}
  bare: {type: bridged, uplink: eth1}
  lab: {type: Internal, subnets: [10.2.0.0/24]}
links:
  eth1: {capacity: 10 gbit}
  eth2: {capacity: 1 gbit, hosts: [h1, h2]}
services:
  web: [tcp/80, tcp/8000-8099]
  ssh: tcp/22
policies:
  acme:
    egress: {guarantee: 400 mbit, limit: 800 mbit, burst: 20 ms, weight: 2}
    unmatched: allow
    mandatory:
      - deny: {name: no-metadata, direction: egress, to: 169.254.169.254}
    default:
      - allow: {service: web}
    children:
      web:
        egress: {guarantee: 100 mbit, limit: 300 mbit, weight: 2.5, burst: 64 kib}
        rules:
          - allow: {direction: ingress, from: [10.0.0.0/8, {cidr: ['fd00::/8', 10.9.9.9]}], service: [web, udp/53]}
          - deny: {}
      db:
        unmatched: deny
"""


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return parse({"p.yaml": TEXT})


def rule_with(service: str):
    text = f"weir: 1\nservices: {{web: [tcp/80, tcp/443]}}\npolicies: {{p: {{rules: [allow: {{service: {service}}}]}}}}"
    return parse({"p": text}).nodes["p"].rules[0]


def test_segments_and_links(policies):
    office, bare, lab = (policies.segments[name] for name in ("office", "bare", "lab"))
    assert (office.type, office.uplink, office.vlan) == (SegmentType.BRIDGED, "eth1", 120)
    assert office.subnets == (ip_network("10.1.0.0/24"), ip_network("fd00:1::/64"))
    assert office.at == Position("p.yaml", 3, 3)
    assert (bare.vlan, bare.subnets) == (None, ())
    assert (lab.type, lab.uplink) == (SegmentType.INTERNAL, None)
    assert policies.links["eth1"].capacity_kbps == 10_000_000 and policies.links["eth1"].hosts is None
    assert policies.links["eth2"].hosts == ("h1", "h2")


def test_the_tree(policies):
    acme, web = policies.nodes["acme"], policies.nodes["acme/web"]
    assert (acme.children, acme.parent, acme.is_leaf) == (("acme/web", "acme/db"), None, False)
    assert (web.parent, web.is_leaf, web.at) == ("acme", True, Position("p.yaml", 21, 7))
    assert acme.egress == Bandwidth(400_000, 800_000, 2.0, burst_s=0.02)
    assert acme.ingress == Bandwidth()
    assert web.egress == Bandwidth(100_000, 300_000, 2.5, burst_bytes=65536)


def test_only_burst_and_unmatched_are_inherited(policies):
    assert policies.nodes["acme/db"].egress == Bandwidth(burst_s=0.02)
    assert policies.nodes["acme/web"].unmatched is Action.ALLOW
    assert policies.nodes["acme/db"].unmatched is Action.DENY


def test_rules(policies):
    acme, web = policies.nodes["acme"], policies.nodes["acme/web"]
    (metadata,), (default,), (allow, deny) = acme.mandatory, acme.default, web.rules
    assert (metadata.identity, metadata.action, metadata.name) == ("acme:no-metadata", Action.DENY, "no-metadata")
    assert metadata.directions == {Direction.EGRESS}
    assert metadata.destinations == (Endpoint((ip_network("169.254.169.254/32"),)),) and metadata.sources is None
    assert metadata.at == Position("p.yaml", 17, 9)
    assert default.directions == set(Direction) and default.services == (
        ServiceMatch(6, (80, 80)),
        ServiceMatch(6, (8000, 8099)),
    )
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("10.9.9.9/32"))
    assert allow.sources == (Endpoint(networks),)
    assert allow.services == (ServiceMatch(6, (80, 80)), ServiceMatch(6, (8000, 8099)), ServiceMatch(17, (53, 53)))
    assert (allow.service_names, metadata.service_names) == ({"web"}, set())
    web_matches = (ServiceMatch(6, (80, 80)), ServiceMatch(6, (8000, 8099)))
    assert policies.services["web"] == Service("web", web_matches, Position("p.yaml", 10, 3))
    assert (deny.sources, deny.destinations, deny.services) == (None, None, (ServiceMatch(),))


@pytest.mark.parametrize(
    ("service", "match"),
    [
        ("any", ServiceMatch()),
        ("tcp", ServiceMatch(6)),
        ("TCP/443", ServiceMatch(6, (443, 443))),
        ("udp/53", ServiceMatch(17, (53, 53))),
        ("tcp/8000-8099", ServiceMatch(6, (8000, 8099))),
        ("'tcp/8000 - 8099'", ServiceMatch(6, (8000, 8099))),
        ("sctp/132", ServiceMatch(132, (132, 132))),
        ("ip/47", ServiceMatch(47)),
        ("ip/0", ServiceMatch(0)),
        ("icmp", ServiceMatch(1)),
        ("icmp/8", ServiceMatch(1, icmp_type=8)),
        ("icmp/8/0", ServiceMatch(1, icmp_type=8, icmp_code=0)),
        ("icmp6/128", ServiceMatch(58, icmp_type=128)),
        ("{proto: udp, port: 53, source_port: 1024-65535}", ServiceMatch(17, (53, 53), (1024, 65535))),
        ("{proto: 47}", ServiceMatch(47)),
        ("{proto: 6, port: 1-2}", ServiceMatch(6, (1, 2))),
    ],
)
def test_services(service, match):
    assert rule_with(service).services == (match,)


def test_columns_count_characters():
    text = "weir: 1\npolicies: {p: {rules: [\n  # é😀\n  deny: {from: 'é😀', to: 'x'}]}}"
    with pytest.raises(PolicyErrors) as raised:
        parse({"é": text})
    assert [error.position.column for error in raised.value.errors] == [16, 26]


def test_any_among_endpoints_is_any():
    text = "weir: 1\npolicies: {p: {rules: [allow: {to: [10.0.0.1, any]}, allow: {from: any}]}}"
    one, other = parse({"p": text}).nodes["p"].rules
    assert one.destinations is None and other.sources is None


def test_every_scalar_is_a_text():
    text = "weir: '1'\nsegments: {no: {type: internal}, 1_000: {type: internal}, null: {type: internal}}"
    assert list(parse({"p": text}).segments) == ["no", "1_000", "null"]


def test_an_unnamed_rule_is_known_by_its_content():
    def identities(*rules: str) -> list[str]:
        text = f"weir: 1\npolicies: {{p: {{rules: [{', '.join(rules)}]}}}}"
        return [rule.identity for rule in parse({"p": text}).nodes["p"].rules]

    (one,) = identities("allow: {to: [10.0.0.1, 10.0.0.2]}")
    assert one.startswith("p:#") and len(one) == 15
    assert identities("deny: {}", "allow: {to: [10.0.0.2, 10.0.0.1]}")[1] == one
    assert identities("allow: {to: [10.0.0.1, 10.0.0.2]}", "allow: {to: [10.0.0.1, 10.0.0.2]}") == [one, f"{one}-2"]
    assert identities("allow: {from: [10.0.0.1, 10.0.0.2]}") != [one]


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_the_examples_are_right(path):
    assert parse({path.name: path.read_text()}).nodes
