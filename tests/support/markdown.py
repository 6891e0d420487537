"""What stands in the project's pages: fenced blocks, commands, rows of tables, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. line: where its text begins, from 1."""

    language: str
    line: int
    text: str


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    opened: tuple[str, int] | None = None
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.startswith("```"):
            continue
        if opened is None:
            opened = (line.removeprefix("```").strip(), number + 1)
        else:
            language, first = opened
            found.append(Block(language, first, "\n".join(lines[first - 1 : number - 1]) + "\n"))
            opened = None
    assert opened is None, f"{page}: a block is not closed"
    return found


def rows(page: Path, first_cell: str) -> list[list[str]]:
    """The cells of the rows of the table whose head begins with this cell."""
    lines = page.read_text().splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith(f"| {first_cell} |"))
    found = []
    for line in lines[head + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return found


def commands(page: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each indented line; a line that ends in a backslash goes on in the next."""
    text = page.read_text().splitlines()
    number = 0
    while number < len(text):
        first, line = number + 1, text[number]
        number += 1
        while line.endswith("\\") and number < len(text):
            line = line.removesuffix("\\") + text[number]
            number += 1
        if line.startswith("    ") and line.strip():
            yield first, line.strip()


def links(page: Path) -> Iterator[tuple[str, str]]:
    """File (empty: the page itself) and anchor (or empty) of each link that leads to no other site."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(page: Path) -> set[str]:
    """Of the headings, as they are made for links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
