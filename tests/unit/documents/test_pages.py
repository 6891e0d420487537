"""What the pages tell to type is there, and what they point to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.commands import tree
from controller.dataplane.pipeline import BY_NAME
from policies.capability import unenforced
from policies.parser import parse
from tests.support.markdown import PAGES, ROOT, anchors, blocks, commands, links

README = ROOT / "README.md"
DECISIONS = ROOT / "docs" / "decisions"
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def typed(word: str) -> Iterator[tuple[str, list[str]]]:
    """Where each command stands, and the words after `word`, up to what the shell takes for itself."""
    for page in PAGES:
        for number, line in commands(page):
            for part in re.split(r"\$\(|\||&&", line):
                words = shlex.split(part.rstrip(") &"), comments=True)
                if words[:1] == ["sudo"]:
                    words = words[1:]
                if words[:1] == [word]:
                    yield f"{page.relative_to(ROOT)}:{number}", words[1:]


def mentioned_targets() -> Iterator[tuple[str, list[str]]]:
    """In the running text."""
    for page in PAGES:
        found = re.findall(r"`(?:[A-Z_]+=\w+ )?make ([a-z-]+)`", page.read_text())
        yield str(page.relative_to(ROOT)), found


WEIR, MAKE = list(typed("weir")), [*typed("make"), *mentioned_targets()]


@pytest.mark.parametrize(("place", "words"), WEIR, ids=[place for place, _ in WEIR])
def test_a_weir_command_exists_with_its_options(place: str, words: list[str]) -> None:
    command, path = tree(), ["weir"]
    context = command.context_class(command, info_name="weir")
    words = [word for word in words if not re.fullmatch(r"\d?>.*", word)]
    while hasattr(command, "commands"):
        assert words and words[0] in command.commands, f"{place}: {' '.join(path)} has no command {words[:1]}"
        path.append(words[0])
        command = command.commands[words[0]]
        context = command.context_class(command, info_name=path[-1], parent=context)
        words = words[1:]
    command.parse_args(context, list(words))


@pytest.mark.parametrize(("place", "words"), MAKE, ids=[place for place, _ in MAKE])
def test_a_make_target_exists(place: str, words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [word for word in words if "=" not in word and word not in targets] == []


def every_command() -> Iterator[tuple[str, ...]]:
    for name, command in tree().commands.items():
        yield from ((name, below) for below in command.commands) if hasattr(command, "commands") else [(name,)]


def test_the_pages_show_every_command() -> None:
    in_page = [words for place, words in WEIR if place.startswith("docs/commands.md")]
    assert [path for path in every_command() if not any(tuple(words[: len(path)]) == path for words in in_page)] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_named_table_is_in_the_pipeline(page: Path) -> None:
    assert set(re.findall(r"table=([a-z_]+)", page.read_text())) <= BY_NAME.keys()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name} points to {file}"
        assert not anchor or anchor in anchors(target), f"{page.name} points to {file}#{anchor}"


def test_the_policy_of_the_readme_is_enforced() -> None:
    (policy,) = [block for block in blocks(README) if block.language == "yaml"]
    assert unenforced(parse({"README.md": policy.text})) == []


@pytest.mark.parametrize("name", ["company", "routed", "three-tenants"])
def test_the_examples_are_enforced(name: str) -> None:
    assert unenforced(parse({name: (ROOT / "examples" / f"{name}.yaml").read_text()})) == []


def test_decisions_are_numbered_and_say_what_and_why() -> None:
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. "), page.name
        assert "**Decided.**" in text and "**Why.**" in text, page.name
