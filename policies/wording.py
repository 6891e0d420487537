"""How error lines quote what was written: always one line, always short. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_LONGEST = 60  # characters of a text that a message repeats


def clipped(text: str) -> str:
    """The text on one line: unprintable characters escaped, and the middle left out of a long one."""
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 15]}...{text[-12:]}"
    return one_line(short)


def one_line(text: str) -> str:
    """The text with its unprintable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str) -> str:
    return f"'{clipped(text)}'"


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a misspelt word most likely meant; None when none is near."""
    if len(word) > _LONGEST:
        return None  # the comparison is quadratic, and nobody misspells a key at such length
    found = difflib.get_close_matches(word.lower(), sorted(candidates), n=1, cutoff=0.6)
    return found[0] if found else None


def either(words: Sequence[str]) -> str:
    """('a', 'b', 'c') -> "a, b or c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
