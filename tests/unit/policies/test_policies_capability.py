"""What this version reads and does not enforce: said for each, refused unless the node is best-effort."""

import pytest

from policies.capability import unenforced
from policies.parser import parse

REFUSED = "is not enforced by this version. Remove it, or add 'best-effort: true' to the node to go on without it."
WARNED = "is not enforced by this version. The node is best-effort: it goes on without it."


def findings(policies: str, *others: str) -> list[tuple[str, bool]]:
    text = "\n".join(["weir: 1", *others, f"policies: {policies}"])
    return [(str(found), found.is_refusal) for found in unenforced(parse({"p": text}))]


FEATURES = [
    ("buffer", "buffer: 64 kib"),
    ("queues", "queues: 2"),
    ("cpu", "cpu: 20 %"),
    ("slo", "slo: {latency: 5 ms}"),
    ("congestion", "congestion: {queue: red}"),
    ("egress.packets", "egress: {packets: 2 kpps}"),
    ("ingress.packets", "ingress: {packets: 2 kpps}"),
    (
        "autoscale",
        "egress: {guarantee: 1 mbit}, "
        "autoscale: {guarantee: {min: 1 mbit, max: 2 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}",
    ),
]


@pytest.mark.parametrize(("key", "text"), FEATURES)
def test_a_node(key, text):
    path = f"p:2:30: policies.acme.children.web.{key}: "
    assert findings(f"{{acme: {{children: {{web: {{{text}}}}}}}}}") == [(f"{path}{REFUSED}", True)]
    assert findings(f"{{acme: {{children: {{web: {{{text}, best-effort: true}}}}}}}}") == [(f"{path}{WARNED}", False)]


@pytest.mark.parametrize("text", ["{}", "{best-effort: true}", "{congestion: {queue: fifo}}", "{unmatched: reject}"])
def test_what_is_enforced(text):
    assert findings(f"{{p: {text}}}") == []


@pytest.mark.parametrize(
    ("top", "web", "db", "is_refused"),
    [
        ("cpu: 9 %", "", "", True),
        ("cpu: 9 %", "best-effort: true", "", True),
        ("cpu: 9 %", "best-effort: true", "best-effort: true", False),
        ("cpu: 9 %, best-effort: true", "", "", False),
        ("cpu: 9 %, best-effort: true", "", "best-effort: false", True),
    ],
)
def test_what_is_inherited_is_said_once_where_it_stands_and_judged_by_the_leaves(top, web, db, is_refused):
    text = f"{{top: {{{top}, children: {{web: {{{web}}}, db: {{{db}}}}}}}}}"
    assert findings(text) == [(f"p:2:12: policies.top.cpu: {REFUSED if is_refused else WARNED}", is_refused)]


def test_a_routed_segment():
    segments = "segments: {lab: {type: internal}, front: {type: routed, subnets: [10.0.0.0/8]}}"
    assert findings("{}", segments) == [
        (
            "p:2:35: segments.front.type: this version does not route between segments. "
            "Make the segment internal or bridged.",
            True,
        )
    ]


def test_findings_stand_in_the_order_of_the_files():
    text = "{b: {cpu: 1 %, best-effort: true}, a: {queues: 1, cpu: 1 %}}"
    assert [found.split(" ")[1] for found, _ in findings(text)] == [
        "policies.b.cpu:",
        "policies.a.cpu:",
        "policies.a.queues:",
    ]
