"""docs/policy-language.md says what is true: each example is read, and says of packets what stands below it.

An example is changed from the first one: sections replace sections, keys of a node stand at acme/web, a list of rules
stands under `rules` there. One that begins with the language's version is a file of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from controller.intent.trace_question import parse_question
from policies import grammar
from policies.capability import unenforced
from policies.errors import PolicyErrors
from policies.identity import Identities, Party
from policies.model import NORMAL, PolicySet, Rule
from policies.parser import parse
from policies.semantics import Verdict, judge
from tests.support.markdown import ROOT, Block, blocks, rows

PAGE = ROOT / "docs" / "policy-language.md"
EXAMPLE = ROOT / "examples" / "whole-language.yaml"
BLOCKS = blocks(PAGE)
BASE = next(block for block in BLOCKS if block.language == "yaml")
WEB = ("acme", "children", "web")
FILE = "policy.yaml"  # as error lines of the page call it
BOB = frozenset({ip_address("10.20.0.200")})
READS = [block for block in BLOCKS if block.language == "yaml"]


def values(text: str) -> Any:
    """Every scalar as a text, as the language reads it."""
    return yaml.load(text, Loader=yaml.BaseLoader)


def whole(example: Block) -> str:
    """The file that the example makes."""
    if example.text.startswith("weir:"):
        return example.text
    document, change = values(BASE.text), values(example.text)
    if isinstance(change, dict) and set(change) <= set(grammar.DOCUMENT.built):
        return json.dumps({**document, **change})
    web = document["policies"]
    for step in WEB:
        web = web[step]
    web.update(change if isinstance(change, dict) else {"rules": change})
    return json.dumps(document)


def said_below(example: Block) -> list[str]:
    """The lines of the text block that follows an example, before the next one."""
    following = BLOCKS[BLOCKS.index(example) + 1 :]
    if not following or following[0].language != "text":
        return []
    return following[0].text.splitlines()


def identities() -> Identities:
    parties = {}
    for number, cells in enumerate(rows(PAGE, "VIF"), start=1):
        name, policy, segment, addresses, labels, users = cells
        pairs = sorted((key, value) for key, _, value in (text.partition("=") for text in labels.split()))
        parties[name] = Party(
            name, number, policy, segment, frozenset(map(ip_address, addresses.split())), frozenset(users.split()),
            tuple(pairs),
        )  # fmt: skip
    return Identities(parties, {"bob": BOB})


def called(rule: Rule | None) -> str:
    return "unmatched" if rule is None else rule.name or ""


def in_words(verdict: Verdict, policies: PolicySet) -> str:
    words = [f"{verdict.action.value}: {called(verdict.rule) or place_of(verdict.rule, policies)}"]
    if verdict.traffic_class != NORMAL:
        words.append(f"class {verdict.traffic_class}")
    if verdict.mark is not None:
        words.append(f"DSCP {verdict.mark}")
    if verdict.limit_kbps is not None:
        words.append(f"{verdict.limit_kbps} kbit/s")
    if verdict.packets_pps is not None:
        words.append(f"{verdict.packets_pps} packets/s")
    if verdict.log:
        words.append("logged")
    words += [f"counted by {called(rule)}" for rule in verdict.audited]
    return ", ".join(words)


def place_of(rule: Rule | None, policies: PolicySet) -> str:
    """As web[2] for the second rule of acme/web."""
    for path, node in policies.nodes.items():
        if rule in node.rules:
            return f"{path.rpartition('/')[2]}[{node.rules.index(rule) + 1}]"
    raise AssertionError(f"no node has {rule}")


@pytest.mark.parametrize("example", READS, ids=lambda example: f"line-{example.line}")
def test_an_example_means_what_is_said_below_it(example: Block) -> None:
    said = said_below(example)
    if said and said[0].startswith(FILE):
        with pytest.raises(PolicyErrors) as wrong:
            parse({FILE: example.text})
        assert str(wrong.value).splitlines() == said
        return
    policies, who = parse({FILE: whole(example)}), identities()
    for line in said:
        asked, answer = re.split(r"  +", line, maxsplit=1)
        question = parse_question(asked)
        verdict = judge(policies, who, who.parties[question.vif], question.direction, question.packet)
        assert in_words(verdict, policies) == answer, line


def test_every_line_of_packets_follows_an_example() -> None:
    """But for the first, which shows what such lines look like: it is true of the first example."""
    texts = [block for block in BLOCKS if block.language == "text"]
    after = [BLOCKS[at + 1] for at, block in enumerate(BLOCKS[:-1]) if block.language == "yaml"]
    assert [block for block in texts if block not in after] == texts[:1]
    (line,) = texts[0].text.splitlines()
    asked, answer = re.split(r"  +", line, maxsplit=1)
    policies, who, question = parse({FILE: BASE.text}), identities(), parse_question(asked)
    verdict = judge(policies, who, who.parties[question.vif], question.direction, question.packet)
    assert in_words(verdict, policies) == answer


def vocabulary() -> Iterator[str]:
    for kind in (
        grammar.DOCUMENT, grammar.SEGMENT, grammar.LINK, grammar.SERVICE, grammar.NODE, grammar.BANDWIDTH, grammar.SPAN,
        grammar.AUTOSCALE, grammar.OBJECTIVES, grammar.CONGESTION, grammar.CLASS, grammar.RULE_ACTION, grammar.RULE,
        grammar.ENDPOINT,
    ):  # fmt: skip
        yield from (f"{key}:" for key in kind.built)
    for words in (grammar.SEGMENT_TYPE, grammar.UNMATCHED, grammar.DIRECTION, grammar.STAGE):
        yield from words.built
    yield from grammar.SERVICE_WORDS


@pytest.mark.parametrize("word", sorted(set(vocabulary()) - {"any"}))
def test_every_word_of_the_language_has_an_example(word: str) -> None:
    pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])" if word[-1] != ":" else rf"(?<![\w-]){word}")
    assert any(pattern.search(block.text) for block in READS)
    assert pattern.search(EXAMPLE.read_text()) or word in grammar.SERVICE_WORDS


def test_what_is_not_enforced_is_listed() -> None:
    """The example of that section, and the segments, bring all of it up."""
    policies = parse({FILE: next(whole(block) for block in READS if "queues: {min" in block.text)})
    found = {finding.path.rpartition(".")[2]: finding.severity for finding in unenforced(policies)}
    assert found == {"autoscale": "warning", "queues": "warning"}
    listed = " ".join(cell for row in rows(PAGE, "what") for cell in row)
    assert all(f"`{word}`" in listed for word in found)
    judged = [block for block in READS if said_below(block) and not said_below(block)[0].startswith(FILE)]
    every = [unenforced(parse({FILE: whole(block)})) for block in judged]
    assert not any(every), "an example that says what happens to packets is enforced"


def test_the_whole_language_is_read() -> None:
    policies = parse({"whole": EXAMPLE.read_text()})
    assert {finding.severity for finding in unenforced(policies)} == {"warning"}
