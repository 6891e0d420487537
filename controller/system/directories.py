"""The state directory and those in it: root writes there, so nobody else may be able to put anything in its way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from controller.config import StateDir
from controller.system.errors import SystemFault

_OWNERS_ALONE = 0o700


def make(path: Path) -> None:
    """For its owner alone, which is us; one that is there stays as it is. Raises SystemFault, OSError."""
    try:
        path.mkdir(mode=_OWNERS_ALONE, parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise SystemFault(f"{path} is no directory", "Choose another state directory") from None


def check(directory: StateDir) -> None:
    """Raises SystemFault when somebody else could write into the state directory, or into one of those in it."""
    for path in (directory.path, directory.run, directory.db, directory.log):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(found.st_mode):
            raise SystemFault(f"{path} is no directory", "Move it away, or choose another state directory")
        if found.st_uid not in (0, os.geteuid()):
            raise SystemFault(
                f"{path} belongs to user {found.st_uid}, who could change what root reads and writes there",
                f"Choose another state directory, or take this one over: chown root {path}",
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise SystemFault(
                f"{path} can be written by others, who could change what root reads and writes there",
                f"Choose another state directory, or close this one: chmod go-w {path}",
            )
