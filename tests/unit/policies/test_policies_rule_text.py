"""Rules in one line."""

from __future__ import annotations

import pytest

from policies.parser import parse
from policies.rule_text import rate_of_packets_text, rule_text


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("allow: {}", "allow"),
        ("deny: {direction: egress, to: [10.0.0.0/8, {user: bob}]}", "deny egress to [10.0.0.0/8, {user: bob}]"),
        ("reject: {service: [tcp/25, tcp/465]}", "reject service [tcp/25, tcp/465]"),
        (
            "allow: {direction: ingress, from: {app: pay, label: {tier: front}}, log: true, stage: audit}",
            "allow ingress from {app: pay, label: {tier: front}} log stage audit",
        ),
        (
            "allow: {to: {cidr: [10.0.0.0/8, 11.0.0.0/8], segment: s}, dscp: 8, limit: 50 mbit, packets: 20 kpps}",
            "allow to {cidr: [10.0.0.0/8, 11.0.0.0/8], segment: s} dscp 8 limit 50 mbit packets 20 kpps",
        ),
        (
            "allow: {service: [tcp/1, tcp/2, tcp/3, tcp/4, tcp/5, tcp/6]}",
            "allow service [tcp/1, tcp/2, tcp/3, tcp/4, and 2 more]",
        ),
    ],
)  # fmt: skip
def test_a_rule_in_one_line(written: str, line: str) -> None:
    text = f"weir: 1\nsegments: {{s: {{type: internal}}}}\npolicies:\n  a:\n    rules:\n      - {written}\n"
    (rule,) = parse({"p.yaml": text}).nodes["a"].rules
    assert rule_text(rule) == line


def test_packet_rates() -> None:
    assert (rate_of_packets_text(1500), rate_of_packets_text(2000), rate_of_packets_text(0)) == (
        "1500 pps",
        "2 kpps",
        "0 pps",
    )
