"""The way to a verdict, rule by rule, with the reason why each does not match."""

from __future__ import annotations

import pytest

from policies.identity import Party
from policies.parser import parse
from policies.semantics import Packet, Step, judge, walk
from tests.support.parties_and_packets import IN, OUT, icmp, identities, party, tcp, udp

ME = party("me", "t", "10.0.0.1", "fd00::1", app="web")
PAIR = party("pair", "t", "10.0.0.2", users=["bob"], app="db", role="back")
WHO = identities(ME, PAIR)
HEAD = """
weir: 1
segments: {lab: {type: internal, subnets: [10.0.0.0/24]}, far: {type: internal, subnets: [10.9.0.0/24]}}
groups: {staff: [alice, bob], away: [zoe]}
policies:
  other: {}
"""


def walked(rules: str, packet: Packet, who: Party = ME, unmatched: str = "deny") -> tuple[Step, ...]:
    policies = parse({"p": f"{HEAD}  t: {{unmatched: {unmatched}, rules: [{rules}]}}"})
    return walk(policies, WHO, who, OUT, packet)


OUTWARDS = tcp("10.0.0.1", "10.0.0.2", 443)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("{direction: ingress}", "direction ingress only"),
        ("{from: 10.1.0.0/16}", "from: 10.0.0.1 is not in 10.1.0.0/16"),
        ("{from: '::/0'}", "from: 10.0.0.1 is not in ::/0"),
        ("{from: [10.1.0.0/16, 10.2.0.0/16]}", "from: 10.0.0.1 is not in 10.1.0.0/16 or 10.2.0.0/16"),
        (
            "{from: [10.1.0.1, 10.1.0.2, 10.1.0.3, 10.1.0.4, 10.1.0.5]}",
            "from: 10.0.0.1 is not in 10.1.0.1/32, 10.1.0.2/32, 10.1.0.3/32 or 2 more",
        ),
        ("{from: {app: payroll}}", "from: VIF me is not one with app=payroll"),
        ("{direction: egress, from: {policy: other}}", "from: VIF me is not one under policy other"),
        ("{from: {vif: pair}}", "from: VIF me is not one named pair"),
        ("{from: {segment: far}}", "from: VIF me is not one in segment far"),
        ("{from: {user: bob}}", "from: VIF me is not one of user bob"),
        ("{from: {group: staff}}", "from: VIF me is not one of group staff"),
        ("{from: {label: {app: web, role: back}}}", "from: VIF me is not one with role=back"),
        ("{to: {app: payroll}}", "to: no VIF with app=payroll has address 10.0.0.2"),
        ("{to: {policy: other}}", "to: no VIF under policy other has address 10.0.0.2"),
        ("{to: {user: alice}}", "to: user alice is not bound"),
        ("{to: {group: away}}", "to: no user of group away is bound"),
        ("{to: {segment: far}}", "to: no VIF in segment far has address 10.0.0.2"),
        (
            "{to: [{vif: me}, 10.0.0.3]}",
            "to: 10.0.0.2 is not in 10.0.0.3/32; no VIF named me has address 10.0.0.2",
        ),
        ("{service: udp/53}", "service: tcp/443 is not udp/53"),
        ("{service: [tcp/80, tcp/8000-8099]}", "service: tcp/443 is not tcp/80 or tcp/8000-8099"),
        (
            "{service: {proto: tcp, source_port: 1-1023}}",
            "service: tcp/443 from 40000 is not tcp from 1-1023",
        ),
        ("{service: icmp/8}", "service: tcp/443 is not icmp/8"),
    ],
)
def test_why_a_rule_is_passed_over(rule: str, reason: str) -> None:
    step, last = walked(f"allow: {rule}", OUTWARDS)
    assert (step.tier, step.node, step.outcome, step.reason) == ("rules", "t", "passed over", reason)
    assert (last.rule, last.tier, last.node, last.outcome) == (None, "unmatched", "t", "decides")


def test_what_holds_of_two_vifs_of_one_address_but_of_neither_alone() -> None:
    twin = party("twin", "t", "10.0.0.2", app="web")
    policies = parse({"p": HEAD + "  t: {rules: [allow: {to: {app: web, label: {role: back}}}]}"})
    steps = walk(policies, identities(ME, PAIR, twin), ME, OUT, OUTWARDS)
    assert steps[0].reason == "to: no VIF with app=web and with role=back has address 10.0.0.2"


def test_icmp_in_the_wrong_family_is_told_apart() -> None:
    seen = icmp("fd00::1", "fd00::2", 8)
    wrong = Packet(seen.source, seen.destination, 1, icmp_type=8, icmp_code=0)
    assert walked("allow: {service: icmp}", wrong)[0].reason == "service: protocol 1 in IPv6 is not icmp"
    assert walked("allow: {service: icmp6/128/1}", icmp("fd00::1", "fd00::2", 128))[0].reason == (
        "service: icmp6/128/0 is not icmp6/128/1"
    )


def test_it_ends_with_the_rule_that_decides_and_names_those_under_audit() -> None:
    rules = "deny: {name: a, service: udp}}, {deny: {name: b, stage: audit}}, {allow: {name: c}}, {deny: {name: d}"
    steps = walked(f"{{{rules}}}", OUTWARDS)
    assert [(step.rule and step.rule.name, step.outcome) for step in steps] == [
        ("a", "passed over"),
        ("b", "audited"),
        ("c", "decides"),
    ]
    assert steps[1].reason == "it matches; in force it would deny"


def test_the_verdict_is_that_of_the_walk() -> None:
    policies = parse({"p": HEAD + "  t: {rules: [{deny: {service: udp}}, {reject: {to: {user: bob}}}]}"})
    for packet in (OUTWARDS, udp("10.0.0.1", "10.0.0.2"), tcp("10.0.0.1", "10.0.0.9")):
        for direction in (IN, OUT):
            steps = walk(policies, WHO, ME, direction, packet)
            assert judge(policies, WHO, ME, direction, packet).rule == steps[-1].rule
