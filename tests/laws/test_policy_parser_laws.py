"""Laws of reading policies: nothing but PolicyErrors is ever raised, and the order of files and keys does not count."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.errors import PolicyErrors
from policies.model import Direction, PolicySet, Position
from policies.parser import parse
from policies.resolve import resolve
from policies.summary import describe
from tests.support.policy_documents import documents, text_of

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # documents, on a busy machine
LINE = re.compile(r"[^:\n]+:[0-9]+:[0-9]+: .+: .+\. .+\.", re.DOTALL)
TOKENS = st.sampled_from(
    ["{", "}", "[", "]", ":", ",", "\n", "  ", "\t", "- ", "&a", "*a", "<<: ", "!!int ", "---\n", '"', "'", "#", "|",
     "?", "null", "~", "yes", "-1", "1e9", "0", "weir", "allow", "10.0.0.0/8", "::1/0", "tcp/99999", "10 mbps",
     "reject", "\x00", "\ud800", "\u2028", "é", "%"]
)  # fmt: skip


def tried(files: dict[str, str]) -> PolicySet | None:
    """What parsing gives; None when it was refused in the form of the contract."""
    try:
        return parse(files)
    except PolicyErrors as wrong:
        assert wrong.errors
        assert list(wrong.errors) == sorted(wrong.errors)
        for error in wrong.errors:
            assert LINE.fullmatch(str(error)) and "\n" not in str(error)
            assert stands_within(files[error.position.file], error.position)
        return None


def stands_within(text: str, at: Position) -> bool:
    """At a character of the text, or just behind a line's or the text's end."""
    lines = [*text.split("\n"), ""]
    return 1 <= at.line <= len(lines) and 1 <= at.column <= len(lines[at.line - 1]) + 1


@given(st.text())
def test_any_text_is_policies_or_policy_errors(text):
    tried({"f": text})


@given(st.lists(TOKENS).map("".join))
def test_any_soup_of_tokens_is_policies_or_policy_errors(text):
    tried({"f": text})
    tried({"f": f"weir: 1\npolicies: {{a: {{rules: [allow: {{{text}"})
    tried({"f": f"weir: 1\npolicies:\n  a:\n    egress:\n      limit: {text}\n"})


@settings(SLOW, max_examples=200)
@given(documents(), st.data())
def test_any_mutation_of_a_document_is_policies_or_policy_errors(document, data):
    text = text_of(document)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(st.one_of(TOKENS, st.just(text[start:end] * 2), st.just(""))) + text[end:]
    tried({"f": text})


@settings(SLOW, max_examples=60)
@given(documents())
def test_a_right_document_is_read_and_described(document):
    policies = parse({"f": text_of(document)})
    assert set(describe(policies)["nodes"]) == set(policies.nodes)
    identities = [r.identity for node in policies.nodes.values() for r in (*node.mandatory, *node.rules, *node.default)]
    assert len(identities) == len(set(identities))
    parents_first = list(policies.nodes)
    assert all(
        parents_first.index(c) > parents_first.index(n.path) for n in policies.nodes.values() for c in n.children
    )


@settings(SLOW, max_examples=60)
@given(documents(), st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_count(document, random):
    sections = list(document.items())[1:]
    files = [(f"{name}.yaml", text_of({"weir": "1", name: section})) for name, section in sections]
    shuffled = random.sample(files, len(files))
    one, other = parse(dict(files)), parse(dict(shuffled))
    assert one == other and list(one.nodes) == list(other.nodes)
    assert set(one.nodes) == set(parse({"whole.yaml": text_of(document)}).nodes)


@settings(SLOW, max_examples=40)
@given(documents(), st.integers(0, 1 << 32))
def test_neither_the_order_of_keys_nor_positions_count_but_for_classes(document, seed):
    texts = text_of(document), "\n# moved\n" + text_of(_shuffled(document, Random(seed)))
    whole, shuffled = (parse({"f": text}) for text in texts)
    assert _unordered(describe(shuffled)) == _unordered(describe(whole))
    assert list(shuffled.classes) == list(whole.classes)


def _shuffled(value: Any, random: Random) -> Any:
    """With the keys of every mapping in another order, but for those of `classes`."""
    if isinstance(value, list):
        return [_shuffled(item, random) for item in value]
    if not isinstance(value, dict):
        return value
    keys = random.sample(list(value), len(value))
    return {key: value[key] if key == "classes" else _shuffled(value[key], random) for key in keys}


def _unordered(value: Any) -> Any:
    """Without positions and without the order of children."""
    if isinstance(value, list):
        return [_unordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: sorted(part) if key == "children" else _unordered(part) for key, part in value.items() if key != "at"}


@settings(SLOW, max_examples=60)
@given(documents())
def test_rules_hold_mandatory_from_the_root_then_own_then_default_up_to_the_root(document):
    policies = parse({"f": text_of(document)})
    for leaf in (node for node in policies.nodes.values() if node.is_leaf):
        depth = {leaf.path[:i]: k for k, i in enumerate([*_slashes(leaf.path), len(leaf.path)])}
        expected = sorted(
            ((stage, sign * depth[node], index, rule.identity))
            for node in depth
            for stage, sign, rules in (
                (0, 1, policies.nodes[node].mandatory),
                (1, 0, leaf.rules if node == leaf.path else ()),
                (2, -1, policies.nodes[node].default),
            )
            for index, rule in enumerate(rules)
        )
        assert [rule.identity for rule in resolve(policies, leaf.path).rules] == [row[3] for row in expected]


@settings(SLOW, max_examples=60)
@given(documents())
def test_a_burst_and_unmatched_are_the_nearest_ones_upwards(document):
    policies = parse({"f": text_of(document)})
    for node in policies.nodes.values():
        written = [_written(document, path) for path in _upwards(node.path)]
        unmatched = next((fields["unmatched"] for fields in written if "unmatched" in fields), "deny")
        assert node.unmatched.value == unmatched
        bursts = (fields.get("egress", {}).get("burst") for fields in written)
        burst = next((text for text in bursts if text), None)
        own = node.bandwidth(Direction.EGRESS)
        assert (own.burst_s, own.burst_bytes) == {
            "20 ms": (0.02, None), "10 ms": (0.01, None), "64 kib": (None, 65536), None: (None, None)
        }[burst]  # fmt: skip


def _slashes(path: str) -> list[int]:
    return [match.start() for match in re.finditer("/", path)]


def _upwards(path: str) -> list[str]:
    return [path, *(path[:i] for i in reversed(_slashes(path)))]


def _written(document: dict, path: str) -> dict:
    node = {"children": document["policies"]}
    for name in path.split("/"):
        node = node["children"][name]
    return node
