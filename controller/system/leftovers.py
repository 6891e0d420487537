"""Removing what others had the run of: however deep it is, and whatever they do to it meanwhile."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GRAVE = ".removed"


def remove(directory: Path) -> None:
    """With all below it. What cannot be removed stays, where nobody else gets in.

    Each directory is moved to one place before it is looked into: no path gets long, and none leads through a directory
    in which somebody else could put another in its place.
    """
    grave, begun_ns = directory / _GRAVE, time.monotonic_ns()
    names = (f"{begun_ns}.{number}" for number in itertools.count())
    with suppress(OSError):
        grave.mkdir(mode=0o700, exist_ok=True)
        found = [*os.listdir(grave), *_take_apart(directory, grave, names)]
        while found:
            path = grave / found.pop()
            with suppress(OSError):
                found += _take_apart(path, grave, names)
                path.rmdir()
        grave.rmdir()
        directory.rmdir()


def _take_apart(directory: Path, grave: Path, names: Iterator[str]) -> list[str]:
    """Unlinks what is in the directory and moves directories to the grave. Returns their names there."""
    opened, moved = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC), []
    try:
        with os.scandir(opened) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_directory in found:
            with suppress(OSError):
                if not is_directory:
                    os.unlink(name, dir_fd=opened)
                elif directory / name != grave:
                    moved.append(next(names))
                    os.rename(name, grave / moved[-1], src_dir_fd=opened)
    finally:
        os.close(opened)
    return moved
