"""Policy files to texts. RIM: reads files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from policies.errors import PolicyError, PolicyErrors
from policies.model import Position
from policies.source import MAX_BYTES
from policies.wording import one_line


def load(paths: Iterable[str | Path]) -> dict[str, str]:
    """The text of each file by its path as given, ready for `parse`.

    Raises PolicyErrors for every file that cannot be read, is too large, is not UTF-8, is named twice or has a name
    that is not printable.
    """
    texts: dict[str, str] = {}
    errors: list[PolicyError] = []
    first: dict[str, str] = {}
    for path in map(str, paths):
        if not path.isprintable():  # it stands in error lines and listings
            remedy = "Rename the file, or its directory, in letters that can be printed"
            errors.append(_error(one_line(path), "the name of the file is not printable", remedy))
            continue
        same = first.setdefault(os.path.realpath(path), path)
        if path in texts or same != path:
            also = "" if same == path else f", also as '{same}'"
            errors.append(_error(path, f"the file is named twice{also}", "Name each file once"))
            continue
        try:
            texts[path] = _read(path)
        except PolicyErrors as unreadable:
            errors += unreadable.errors
    if errors:
        raise PolicyErrors(sorted(errors))
    return texts


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)  # a device or pipe may never end
    except FileNotFoundError:
        raise PolicyErrors([_error(path, "there is no such file", "Check the name")]) from None
    except IsADirectoryError:
        remedy = f"Name the files in it: {os.path.join(path, '*.yaml')}"
        raise PolicyErrors([_error(path, "is a directory", remedy)]) from None
    except OSError as error:
        raise PolicyErrors([_error(path, f"cannot be read: {error.strerror}", "Make it a readable file")]) from None
    if len(content) > MAX_BYTES:
        problem = f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB"
        raise PolicyErrors([_error(path, problem, "Split it into several files")])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        at = Position(path, before.count("\n") + 1, len(before) - before.rfind("\n"))
        problem = f"byte 0x{content[error.start]:02X} is not UTF-8"
        raise PolicyErrors([PolicyError(at, "document", problem, "Save the file as UTF-8")]) from None


def _error(path: str, problem: str, remedy: str) -> PolicyError:
    return PolicyError(Position(path, 1, 1), "document", problem, remedy)
