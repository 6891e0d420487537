"""What commands print: one document or table on standard output, everything else as plain lines on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def say(line: str) -> None:
    """For the human: progress, notes, errors. Never wrapped, so that a program can read it line by line."""
    print(line, file=sys.stderr, flush=True)


def warnings() -> Callable[[str], None]:
    """To be called with warnings, of which each is said once."""
    said = set[str]()

    def warn(line: str) -> None:
        if line not in said:
            said.add(line)
            say(f"warning: {line}")

    return warn


def document(body: Any) -> None:
    """The one document of a command that was asked for --json."""
    print(json.dumps(body, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On a terminal a table; otherwise lines of columns separated by tabs. Nothing is ever cut short."""
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        shown.add_column(Text(column), overflow="fold")
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    Console().print(shown)


def fields(body: Mapping[str, Any], indent: str = "") -> None:
    """A document for people: one field a line, what is nested below its name."""
    for name, value in body.items():
        if isinstance(value, Mapping) and value:
            print(f"{indent}{name}:")
            fields(value, indent + "  ")
        else:
            print(f"{indent}{name}: {_words(value)}")


def _words(value: Any) -> str:
    if value is None or value == {}:
        return "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_words, value)) or "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
