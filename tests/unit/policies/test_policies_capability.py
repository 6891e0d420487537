"""What this version reads and does not enforce: said for each, refused unless the node is best-effort."""

import pytest

from policies.capability import unenforced
from policies.parser import parse


def findings(policies: str, *others: str) -> list[tuple[str, bool]]:
    text = "\n".join(["weir: 1", *others, f"policies: {policies}"])
    return [(str(found), found.is_refusal) for found in unenforced(parse({"p": text}))]


NOTHING = "or add 'best-effort: true' to the node to go on without it."
QUEUES = "queues: {min: 1, max: 4}"
SCALED = "autoscale: {guarantee: {min: 1 mbit, max: 2 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}"
RANGE = "nothing moves it in this range: a VM has as many queues as its device was made with. "
REFUSED = f"{RANGE}Write one number, {NOTHING}"
WARNED = f"{RANGE}The node is best-effort: it goes on without it."


def test_a_range_of_queues():
    path = "p:2:30: policies.acme.children.web.queues: "
    assert findings(f"{{acme: {{children: {{web: {{{QUEUES}}}}}}}}}") == [(f"{path}{REFUSED}", True)]
    knowingly = f"{{acme: {{children: {{web: {{{QUEUES}, best-effort: true}}}}}}}}"
    assert findings(knowingly) == [(f"{path}{WARNED}", False)]


def test_autoscale_moves_what_interfaces_have_and_nothing_of_nodes_above_them():
    numbers = f"egress: {{guarantee: 1 mbit}}, {SCALED}"
    assert findings(f"{{acme: {{{numbers}}}}}") == []
    ((line, is_refused),) = findings(f"{{acme: {{{numbers}, children: {{web: {{}}}}}}}}")
    assert is_refused and line == (
        "p:2:12: policies.acme.autoscale: moves guarantees of interfaces, and a node with children has none. "
        f"Write it at the leaves below it, {NOTHING}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{best-effort: true}",
        "{congestion: {queue: red, ecn: true}, buffer: 64 kib, queues: 2, cpu: 20 %}",
        "{buffer: {min: 32 kib, max: 64 kib}, cpu: {min: 1 %, max: 2 %}}",
        "{egress: {packets: 2 kpps}, ingress: {packets: 2 kpps}}",
        "{slo: {latency: 5 ms, jitter: 2 ms, loss: 0.1 %}}",
    ],
)
def test_what_is_enforced(text):
    assert findings(f"{{p: {text}}}") == []


@pytest.mark.parametrize(
    ("top", "web", "db", "is_refused"),
    [
        (QUEUES, "", "", True),
        (QUEUES, "best-effort: true", "", True),
        (QUEUES, "best-effort: true", "best-effort: true", False),
        (f"{QUEUES}, best-effort: true", "", "", False),
        (f"{QUEUES}, best-effort: true", "", "best-effort: false", True),
    ],
)
def test_what_is_inherited_is_said_once_where_it_stands_and_judged_by_the_leaves(top, web, db, is_refused):
    text = f"{{top: {{{top}, children: {{web: {{{web}}}, db: {{{db}}}}}}}}}"
    assert findings(text) == [(f"p:2:12: policies.top.queues: {REFUSED if is_refused else WARNED}", is_refused)]


ROUTED = "{{type: routed, subnets: [10.{}.0.0/16]{}}}"


def test_routed_segments_may_be_of_different_sizes():
    sizes = ("", ", mtu: 9000", ", mtu: 1300")
    front, back, rear = (ROUTED.format(place, size) for place, size in enumerate(sizes, start=1))
    assert findings("{}", f"segments: {{front: {front}, back: {back}, rear: {rear}}}") == []


def test_findings_stand_in_the_order_of_the_files():
    text = f"{{b: {{{QUEUES}, best-effort: true}}, a: {{children: {{c: {{{QUEUES}}}, d: {{}}}}}}}}"
    found = [found.split(" ")[1] for found, _ in findings(text)]
    assert found == ["policies.b.queues:", "policies.a.children.c.queues:"]
