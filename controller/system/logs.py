"""The log files of a system: one a process, appended to over restarts, bounded in size."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

LARGEST_BYTES = 16 << 20  # a file and its predecessor: at most twice this, and what one minute adds
_TAIL_BYTES = 16 << 10


def note(log: Path, text: str) -> None:
    """Adds a line of our own, in the manner of OVS's: time in UTC, then what. A full disk is no reason to fail."""
    with suppress(OSError), log.open("a") as lines:
        lines.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}|weir|{text}\n")


def bound(log: Path) -> None:
    """Moves what a grown log holds into LOG.1. Its writer, who appends, keeps the file it has open."""
    if log.exists() and log.stat().st_size > LARGEST_BYTES:
        with suppress(OSError):  # no room for a second one: then the first goes without
            shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def tail(log: Path, lines: int = 12, since_bytes: int = 0) -> list[str]:
    """The last lines that were written after the first since_bytes; [] when there is no log."""
    try:
        with log.open("rb") as content:
            size = content.seek(0, os.SEEK_END)
            content.seek(max(min(since_bytes, size), size - _TAIL_BYTES))
            return content.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
