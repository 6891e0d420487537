"""Which rule decides: order, directions, services, address families, actions."""

from __future__ import annotations

import pytest

from policies.identity import Identities
from policies.model import Action, Direction
from policies.parser import parse
from policies.resolve import resolve
from policies.semantics import Packet, judge, walk
from tests.support.parties_and_packets import IN, OUT, icmp, packet, party, sctp, tcp, udp

POLICIES = parse(
    {
        "p": """
weir: 1
services: {mail: [tcp/25, tcp/465-467]}
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
          - reject: {name: mails, from: 10.8.0.0/16, service: mail}
          - reject: {name: sctp, service: sctp/132}
        default: [deny: {name: nearer, to: 10.9.0.0/16, service: tcp/25}]
"""
    }
)
LEAF = party("v", "t/leaf")
ORDER = [
    ("mandatory", "t", "first"),
    ("mandatory", "t/leaf", "second"),
    *(
        ("rules", "t/leaf", name)
        for name in ("web", "mail-inside", "low", "redirect", "ping", "ping6", "mails", "sctp")
    ),
    ("default", "t/leaf", "nearer"),
    ("default", "t", "last"),
]


def test_the_order_is_mandatory_downwards_then_own_rules_then_default_upwards_then_unmatched() -> None:
    steps = walk(POLICIES, Identities(), LEAF, OUT, packet("192.0.2.1", "192.0.2.2", 89))
    assert [(step.tier, step.node, step.rule and step.rule.name) for step in steps] == [
        *ORDER,
        ("unmatched", "t/leaf", None),
    ]
    assert [step.rule for step in steps[:-1]] == list(resolve(POLICIES, "t/leaf").rules)


@pytest.mark.parametrize(
    ("direction", "seen", "rule"),
    [
        (OUT, tcp("10.0.0.5", "10.0.0.66"), "first"),
        (IN, tcp("10.0.0.5", "10.0.0.66"), None),
        (OUT, packet("10.0.0.5", "10.1.0.1", 47), "second"),
        (OUT, tcp("10.0.0.5", "10.1.0.1"), "web"),
        (OUT, tcp("fd00::1", "fd00::2", 8099), "web"),
        (OUT, tcp("10.0.0.5", "11.0.0.1"), None),
        (OUT, tcp("10.0.0.5", "10.1.0.1", 7999), None),
        (OUT, tcp("10.0.0.5", "10.1.0.1", 8100), None),
        (OUT, udp("10.0.0.5", "10.1.0.1", 80), None),
        (OUT, tcp("10.0.0.5", "10.9.0.1", 25), "mail-inside"),
        (IN, tcp("10.0.0.5", "10.9.0.1", 25), "mail-inside"),
        (OUT, tcp("10.0.0.6", "10.9.0.1", 25), "nearer"),
        (OUT, tcp("10.0.0.6", "10.8.0.1", 25), "last"),
        (OUT, tcp("10.8.0.6", "10.9.0.1", 25), "mails"),
        (OUT, tcp("10.8.0.6", "10.9.0.1", 467), "mails"),
        (OUT, tcp("10.8.0.6", "10.9.0.1", 468), None),
        (OUT, tcp("fd00::1", "fd00::2", 25), "last"),
        (OUT, udp("10.0.0.5", "10.1.0.1", 53, 1023), "low"),
        (OUT, udp("10.0.0.5", "10.1.0.1", 53, 1024), None),
        (IN, sctp("fd00::1", "fd00::2", 132), "sctp"),
        (IN, tcp("fd00::1", "fd00::2", 132), None),
        (IN, icmp("10.1.0.1", "10.0.0.5", 5, 1), "redirect"),
        (IN, icmp("10.1.0.1", "10.0.0.5", 5, 0), None),
        (IN, icmp("10.1.0.1", "10.0.0.5", 8, 7), "ping"),
        (IN, icmp("fd00::1", "fd00::2", 128), "ping6"),
    ],
)
def test_the_first_rule_that_matches_decides(direction: Direction, seen: Packet, rule: str | None) -> None:
    verdict = judge(POLICIES, Identities(), LEAF, direction, seen)
    assert (verdict.rule and verdict.rule.name) == rule
    assert verdict.action is (verdict.rule.action if verdict.rule else Action.ALLOW)


def in_the_other_family(seen: Packet, protocol: int) -> Packet:
    return Packet(seen.source, seen.destination, protocol, icmp_type=seen.icmp_type, icmp_code=seen.icmp_code)


def test_icmp_is_ipv4_only_and_icmp6_is_ipv6_only() -> None:
    for seen in (
        in_the_other_family(icmp("fd00::1", "fd00::2", 8), 1),
        in_the_other_family(icmp("10.0.0.1", "10.0.0.2", 128), 58),
    ):
        assert judge(POLICIES, Identities(), LEAF, IN, seen).rule is None


@pytest.mark.parametrize(
    ("endpoint", "of_four", "of_six"),
    [("0.0.0.0/0", True, False), ("'::/0'", False, True), ("any", True, True), ("[0.0.0.0/0, '::/0']", True, True)],
)
def test_a_prefix_is_of_one_family_and_any_is_of_both(endpoint: str, of_four: bool, of_six: bool) -> None:
    policies = parse({"p": f"weir: 1\npolicies: {{t: {{rules: [allow: {{from: {endpoint}, to: {endpoint}}}]}}}}"})
    for ends, matches in ((("10.0.0.1", "10.0.0.2"), of_four), (("fd00::1", "fd00::2"), of_six)):
        for direction in Direction:
            assert judge(policies, Identities(), party("v", "t"), direction, tcp(*ends)).allows == matches


@pytest.mark.parametrize("word", ["allow", "deny", "reject"])
def test_what_no_rule_matches_is_unmatched_which_is_inherited(word: str) -> None:
    policies = parse({"p": f"weir: 1\npolicies: {{t: {{unmatched: {word}, children: {{a: {{}}}}}}}}"})
    verdict = judge(policies, Identities(), party("v", "t/a"), IN, tcp("10.0.0.1", "10.0.0.2"))
    assert (verdict.action, verdict.rule) == (Action(word), None)


def test_it_is_deny_where_no_ancestor_says() -> None:
    policies = parse({"p": "weir: 1\npolicies: {t: {}}"})
    verdict = judge(policies, Identities(), party("v", "t"), OUT, tcp("10.0.0.1", "10.0.0.2"))
    assert verdict.action is Action.DENY


def test_an_unknown_policy() -> None:
    with pytest.raises(KeyError):
        judge(POLICIES, Identities(), party("v", "nowhere"), IN, tcp("10.0.0.1", "10.0.0.2"))
