from ipaddress import ip_address

import pytest

from policies.model import Action, Direction
from policies.parser import parse
from policies.resolve import resolve
from policies.semantics import Packet, judge

POLICIES = parse(
    {
        "p": """
weir: 1
policies:
  t:
    unmatched: allow
    mandatory: [deny: {name: first, direction: egress, to: 10.0.0.66}]
    default: [deny: {name: last, service: tcp/25}]
    children:
      leaf:
        mandatory: [deny: {name: second, service: ip/47}]
        rules:
          - allow: {name: web, direction: egress, to: [10.0.0.0/8, 'fd00::/8'], service: [tcp/80, tcp/8000-8099]}
          - allow: {name: mail-inside, from: 10.0.0.5, service: tcp/25}
          - deny: {name: low, service: {proto: udp, port: 53, source_port: 0-1023}}
          - deny: {name: redirect, service: icmp/5/1}
          - deny: {name: ping, service: icmp/8}
          - deny: {name: ping6, service: icmp6/128}
        default: [deny: {name: nearer, to: 10.9.0.0/16, service: tcp/25}]
"""
    }
)
IN, OUT = Direction.INGRESS, Direction.EGRESS


def packet(source: str, destination: str, protocol: int, **fields: int) -> Packet:
    return Packet(ip_address(source), ip_address(destination), protocol, **fields)


def tcp(source: str, destination: str, port: int) -> Packet:
    return packet(source, destination, 6, source_port=40000, destination_port=port)


def test_the_order_of_rules():
    names = [rule.name for rule in resolve(POLICIES, "t/leaf").rules]
    assert names == ["first", "second", "web", "mail-inside", "low", "redirect", "ping", "ping6", "nearer", "last"]


@pytest.mark.parametrize(
    ("direction", "seen", "rule"),
    [
        (OUT, tcp("10.0.0.5", "10.0.0.66", 80), "first"),
        (IN, tcp("10.0.0.5", "10.0.0.66", 80), None),
        (OUT, packet("10.0.0.5", "10.1.0.1", 47), "second"),
        (OUT, tcp("10.0.0.5", "10.1.0.1", 80), "web"),
        (OUT, tcp("fd00::1", "fd00::2", 8099), "web"),
        (OUT, tcp("10.0.0.5", "11.0.0.1", 80), None),
        (OUT, tcp("10.0.0.5", "10.1.0.1", 8100), None),
        (OUT, packet("10.0.0.5", "10.1.0.1", 17, source_port=1, destination_port=80), None),
        (OUT, tcp("10.0.0.5", "10.9.0.1", 25), "mail-inside"),
        (IN, tcp("10.0.0.5", "10.9.0.1", 25), "mail-inside"),
        (OUT, tcp("10.0.0.6", "10.9.0.1", 25), "nearer"),
        (OUT, tcp("10.0.0.6", "10.8.0.1", 25), "last"),
        (OUT, tcp("fd00::1", "fd00::2", 25), "last"),
        (OUT, packet("10.0.0.5", "10.1.0.1", 17, source_port=1023, destination_port=53), "low"),
        (OUT, packet("10.0.0.5", "10.1.0.1", 17, source_port=1024, destination_port=53), None),
        (IN, packet("10.1.0.1", "10.0.0.5", 1, icmp_type=5, icmp_code=1), "redirect"),
        (IN, packet("10.1.0.1", "10.0.0.5", 1, icmp_type=5, icmp_code=0), None),
        (IN, packet("10.1.0.1", "10.0.0.5", 1, icmp_type=8, icmp_code=7), "ping"),
        (IN, packet("fd00::1", "fd00::2", 58, icmp_type=128, icmp_code=0), "ping6"),
        (IN, packet("fd00::1", "fd00::2", 1, icmp_type=8, icmp_code=0), None),
        (IN, packet("10.1.0.1", "10.0.0.5", 58, icmp_type=128, icmp_code=0), None),
    ],
)
def test_the_first_rule_that_matches_decides(direction, seen, rule):
    verdict = judge(POLICIES, "t/leaf", direction, seen)
    assert (verdict.rule and verdict.rule.name) == rule
    assert verdict.action is (verdict.rule.action if verdict.rule else Action.ALLOW)


def test_an_unknown_policy():
    with pytest.raises(KeyError):
        judge(POLICIES, "nowhere", IN, tcp("10.0.0.1", "10.0.0.2", 80))
