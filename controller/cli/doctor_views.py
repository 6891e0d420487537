"""What `weir doctor` prints for people, on lines of at most WIDTH columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

WIDTH = 100
_Cell = Mapping[str, Any]  # how, why_not, remedy, note: texts or None; untried: names of abilities
_Cells = Mapping[str, _Cell]  # by kind


def show(body: Mapping[str, Any]) -> None:
    for name, host in body["chassis"].items():
        print(f"host {name}")
        for ability, word in host["abilities"].items():
            _wrapped(f"{ability}: {word}", 2)
        if "buffers_bytes" in host:
            _wrapped(f"all buffers that policies ask for, full: {host['buffers_bytes']} bytes", 2)
        print()
        for line in _grid(host["matrix"]):
            print(f"  {line}")
        impossible = _impossible(host["matrix"])
        for kind, text in impossible.items():
            print()
            _wrapped(f"kind {kind}: {text}", 2)
        for feature, cells in host["matrix"].items():
            answers = _answers({kind: cell for kind, cell in cells.items() if kind not in impossible})
            print(f"\n  {feature}")
            for text, kinds in answers.items():
                _wrapped(f"{', '.join(kinds)}: {text}", 4)


def _grid(matrix: Mapping[str, _Cells]) -> list[str]:
    """Features by kinds: yes, no, or ? where the host has not said all that it takes."""
    kinds = list(next(iter(matrix.values())))
    wide = max(map(len, matrix)) + 2
    rows = [("kept for kind", kinds)]
    rows += [(feature, [_word(cells[kind]) for kind in kinds]) for feature, cells in matrix.items()]
    return [
        (
            name.ljust(wide) + "".join(word.ljust(len(kind) + 2) for word, kind in zip(words, kinds, strict=True))
        ).rstrip()
        for name, words in rows
    ]


def _word(cell: _Cell) -> str:
    if cell["how"] is None:
        return "no"
    return "?" if cell["untried"] else "yes"


def _impossible(matrix: Mapping[str, _Cells]) -> dict[str, str]:
    """The kinds of which nothing is kept, all for one reason, and that."""
    said: dict[str, set[str]] = {}
    for cells in matrix.values():
        for kind, cell in cells.items():
            said.setdefault(kind, set()).add(_text(cell))
    return {kind: min(texts) for kind, texts in said.items() if len(texts) == 1 and min(texts).startswith("no: ")}


def _answers(cells: _Cells) -> dict[str, list[str]]:
    """Kinds by what is said of them."""
    found: dict[str, list[str]] = {}
    for kind, cell in cells.items():
        found.setdefault(_text(cell), []).append(kind)
    return found


def _text(cell: _Cell) -> str:
    if cell["how"] is None:
        return f"no: {cell['why_not']}. {cell['remedy']}."
    asides = [cell["note"]] if cell["note"] else []
    asides += [f"not tried: {', '.join(cell['untried'])}"] if cell["untried"] else []
    return str(cell["how"]) + (f" ({'; '.join(asides)})" if asides else "")


def _wrapped(text: str, indent: int) -> None:
    lead = " " * indent
    print(textwrap.fill(text, WIDTH, initial_indent=lead, subsequent_indent=f"{lead}  "))
