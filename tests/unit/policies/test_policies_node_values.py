"""What nodes say beside bandwidth and rules: what it means, what is inherited, and what is wrong."""

import pytest

from policies.model import (
    MOST_LEVELS,
    Autoscale,
    Bandwidth,
    Congestion,
    Direction,
    LeafQueue,
    Node,
    Objectives,
    Span,
    Threshold,
)
from policies.parser import parse
from tests.support.policy_error_lines import lines


def node(text: str) -> Node:
    return parse({"p": f"weir: 1\npolicies: {{p: {text}}}"}).nodes["p"]


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("{buffer: 64 kib}", "buffer_bytes", Span(65536, 65536)),
        ("{buffer: {min: 32 kib, max: 1 mib}}", "buffer_bytes", Span(32768, 1_048_576)),
        ("{queues: 4}", "queues", Span(4, 4)),
        ("{queues: {max: 4, min: 1}}", "queues", Span(1, 4)),
        ("{cpu: 20 %}", "cpu", Span(0.2, 0.2)),
        ("{cpu: {min: 10 %, max: 100%}}", "cpu", Span(0.1, 1.0)),
        ("{slo: {latency: 5 ms, jitter: 2 ms, loss: 0.1 %}}", "slo", Objectives(0.005, 0.002, 0.001)),
        ("{slo: {loss: 0 %}}", "slo", Objectives(loss=0.0)),
        ("{congestion: {queue: RED, ecn: true}}", "congestion", Congestion(LeafQueue.RED, True)),
        ("{congestion: {queue: fq_codel}}", "congestion", Congestion(LeafQueue.FQ_CODEL, False)),
        ("{congestion: {ecn: false}}", "congestion", Congestion()),
        ("{best-effort: true}", "best_effort", True),
        ("{best-effort: False}", "best_effort", False),
        ("{egress: {packets: 200 kpps}}", "egress", Bandwidth(packets_pps=200_000)),
        (
            "{egress: {guarantee: 100 mbit, limit: 300 mbit}, ingress: {limit: 1 mbit}, "
            "autoscale: {guarantee: {min: 50 mbit, max: 200 mbit}, up: 90 % for 5 s, down: 40 % FOR 1 m}}",
            "autoscale",
            Autoscale(Span(50_000, 200_000), Threshold(0.9, 5.0), Threshold(0.4, 60.0)),
        ),
    ],
)
def test_values(text, field, value):
    assert getattr(node(text), field) == value


TREE = """\
weir: 1
policies:
  top:
    egress: {guarantee: 90 mbit, limit: 99 mbit, weight: 2, burst: 20 ms, packets: 9 kpps}
    buffer: 64 kib
    queues: 2
    cpu: 20 %
    slo: {latency: 5 ms, loss: 1 %}
    congestion: {queue: red}
    unmatched: reject
    best-effort: true
    autoscale: {guarantee: {min: 50 mbit, max: 99 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}
    children:
      same: {}
      other:
        egress: {burst: 64 kib}
        ingress: {burst: 1 kib}
        buffer: {min: 1 kib, max: 2 kib}
        queues: 1
        cpu: 1 %
        slo: {jitter: 1 ms}
        congestion: {queue: fifo}
        unmatched: allow
        best-effort: false
        children: {below: {}}
"""


def test_what_leaves_inherit_and_what_nobody_does():
    nodes = parse({"p": TREE}).nodes
    defaults = ("buffer_bytes", "queues", "cpu", "slo", "congestion", "unmatched", "best_effort")
    for key in defaults:
        assert getattr(nodes["top/same"], key) == getattr(nodes["top"], key)
        assert getattr(nodes["top/other"], key) != getattr(nodes["top"], key)
        assert getattr(nodes["top/other/below"], key) == getattr(nodes["top/other"], key)
    assert nodes["top/other"].slo == Objectives(jitter_s=0.001)  # each key whole
    assert nodes["top/same"].egress == Bandwidth(burst_s=0.02)
    assert nodes["top/other/below"].bandwidth(Direction.INGRESS) == Bandwidth(burst_bytes=1024)
    assert nodes["top"].autoscale is not None
    assert nodes["top/same"].autoscale is nodes["top/other"].autoscale is None


def chain(levels: int) -> str:
    return "".join(f"{'  ' * (2 * n + 1)}n{n}:\n{'  ' * (2 * n + 2)}children:\n" for n in range(levels))


def test_the_tree_has_as_many_levels_as_a_packet_carries():
    inside = f"{'  ' * (2 * MOST_LEVELS - 1)}leaf: {{}}\n"
    leaf = "/".join([*(f"n{n}" for n in range(MOST_LEVELS - 1)), "leaf"])
    assert parse({"p": f"weir: 1\npolicies:\n{chain(MOST_LEVELS - 1)}{inside}"}).nodes[leaf].level == MOST_LEVELS
    deeper = f"{'  ' * (2 * MOST_LEVELS + 1)}leaf: {{unknown: 1}}\n"
    (line,) = lines(f"weir: 1\npolicies:\n{chain(MOST_LEVELS)}{deeper}")
    assert line == (
        "p.yaml:19:35: policies.n0.children.n1.children.n2.children.n3.children.n4.children.n5.children.n6.children.n7."
        "children: the tree of policies is more than 8 levels deep. Move what stands here further up."
    )


SCALE = "autoscale: {guarantee: {min: 50 mbit, max: 200 mbit}, up: 90 % for 5 s, down: 40 % for 30 s}"
NOTHING = "cannot be kept. Write more than nothing, or remove the key."

WRONG = [
    ("{buffer: 64}", "buffer: '64' has no unit. Write '64 b', '64 kb', '64 mb', '64 kib' or '64 mib'."),
    ("{buffer: 0 b}", f"buffer: '0 b' {NOTHING}"),
    ("{buffer: [1 kib]}", "buffer: a list stands where one value should. Write one value."),
    (
        "{buffer: {min: 1 kib}}",
        "buffer: needs both 'min' and 'max'. Write one value, or both, as in {min: 32 kib, max: 128 kib}.",
    ),
    (
        "{buffer: {min: 2 kib, max: 1 kib}}",
        "buffer.min: '2 kib' is more than the max '1 kib'. Write the lower one as 'min'.",
    ),
    (
        "{buffer: {min: 1 kib, max: 2 kib, most: 3}}",
        "buffer.most: unknown key 'most'. Valid here: min, max.",
    ),
    ("{queues: 0}", "queues: '0' is not a whole number from 1 to 1024. Write a number from 1 to 1024."),
    ("{cpu: 0 %}", f"cpu: '0 %' {NOTHING}"),
    ("{cpu: 120 %}", "cpu: '120 %' is more than Weir can keep. Write at most '100 %'."),
    ("{slo: {}}", "slo: says nothing. Remove the key, or write such as {latency: 5 ms}."),
    ("{slo: {latncy: 5 ms}}", "slo.latncy: unknown key 'latncy'. The nearest valid key is 'latency'."),
    ("{slo: {latency: 0 ms}}", f"slo.latency: '0 ms' {NOTHING}"),
    ("{congestion: {}}", "congestion: says nothing. Remove the key, or write such as {queue: fq_codel}."),
    (
        "{congestion: {queue: codel}}",
        "congestion.queue: 'codel' is not understood here. Write fifo, red or fq_codel.",
    ),
    *(
        (
            f"{{congestion: {text}}}",
            "congestion.ecn: a fifo queue drops and never marks. "
            "Write 'queue: red' or 'queue: fq_codel', or remove 'ecn'.",
        )
        for text in ("{queue: fifo, ecn: true}", "{ecn: true}")
    ),
    ("{congestion: {queue: red, ecn: yes}}", "congestion.ecn: 'yes' is not understood here. Write true or false."),
    ("{best-effort: no}", "best-effort: 'no' is not understood here. Write true or false."),
    (
        "{egress: {packets: 2 kbit}}",
        "egress.packets: '2 kbit' is not a packet rate. Write '2 pps', '2 kpps' or '2 mpps'.",
    ),
    (
        "{egress: {packets: 0 pps}}",
        "egress.packets: '0 pps' lets nothing pass. Write a limit, or deny by rules and 'unmatched: deny'.",
    ),
    (
        f"{{{SCALE}}}",
        "autoscale: there is no guarantee to move. Add a 'guarantee' to 'egress' or 'ingress', or remove 'autoscale'.",
    ),
    (
        f"{{egress: {{guarantee: 0 mbit}}, {SCALE}}}",
        "autoscale: there is no guarantee to move. Add a 'guarantee' to 'egress' or 'ingress', or remove 'autoscale'.",
    ),
    (
        f"{{egress: {{guarantee: 10}}, {SCALE}}}",
        "egress.guarantee: '10' has no unit. Write '10 bit', '10 kbit', '10 mbit' or '10 gbit'.",
    ),
    (
        f"{{ingress: {{guarantee: 40 mbit}}, {SCALE}}}",
        "autoscale.guarantee: 50 mbit to 200 mbit does not contain the ingress guarantee 40 mbit. "
        "The guarantee is where it begins: move it or the bounds.",
    ),
    (
        f"{{egress: {{guarantee: 60 mbit, limit: 199 mbit}}, {SCALE}}}",
        "autoscale.guarantee: the max 200 mbit is more than the egress limit 199 mbit. "
        "Raise the limit or lower the max.",
    ),
]
GUARANTEED = "egress: {guarantee: 60 mbit}"
WRONG += [
    (f"{{{GUARANTEED}, autoscale: {{{given}}}}}", f"autoscale{line}")
    for given, line in [
        (
            "guarantee: {min: 50 mbit, max: 90 mbit}, up: 90 % for 5 s",
            ".down: is missing. Add 'down: 40 % for 30 s'.",
        ),
        (
            "guarantee: 50 mbit, up: 90 % for 5 s, down: 4 % for 5 s",
            ".guarantee: a guarantee that moves needs two bounds. Write {min: 50 mbit, max: 200 mbit}.",
        ),
        (
            "guarantee: {min: 0 mbit, max: 90 mbit}, up: 90 % for 5 s, down: 4 % for 5 s",
            f".guarantee.min: '0 mbit' {NOTHING}",
        ),
        (
            "guarantee: {min: 50 mbit, max: 90 mbit}, up: 40 % for 5 s, down: 40 % for 5 s",
            ".down: 40 % is not below the 40 % of 'up'. Lower it, or the guarantee would move up and down at once.",
        ),
        (
            "guarantee: {min: 50 mbit, max: 90 mbit}, up: 90 %, down: 4 % for 5 s",
            ".up: '90 %' is not a part of the guarantee and a time. Write one such as '90 % for 5 s'.",
        ),
        (
            "guarantee: {min: 50 mbit, max: 90 mbit}, up: 90 for 5 s, down: 4 % for 5 s",
            ".up: '90' has no unit. Write '90 %'.",
        ),
        (
            "guarantee: {min: 50 mbit, max: 90 mbit}, up: 90 % for 5 s, down: 0 % for 5 s",
            ".down: '0 % for 5 s' has a part or a time of nothing. Write one such as '90 % for 5 s'.",
        ),
    ]
]


@pytest.mark.parametrize(("text", "line"), WRONG)
def test_what_is_wrong(text, line):
    (found,) = lines(f"weir: 1\npolicies:\n  p: {text}\n")
    position, said = found.split(" ", 1)
    assert said == f"policies.p.{line}"
    assert position.startswith("p.yaml:3:")
