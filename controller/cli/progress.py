"""How far a command with many things to do is: a bar on a terminal, a few plain lines otherwise. On standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.cli.output import say

LINES = 10  # at most, when nobody watches


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yields what to call with how many are done, of how many; None for one thing alone. what: "created", "deleted"."""
    if total < 2:
        yield None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        columns = ("VIFs", what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done, of: bar.update(task, completed=done, total=of)
    else:
        yield Lines(what)


class Lines:
    """A line for each tenth that has been done."""

    def __init__(self, what: str) -> None:
        self._what, self._said = what, 0

    def __call__(self, done: int, total: int) -> None:
        tenth = done * LINES // max(1, total)
        if tenth > self._said:
            self._said = tenth
            say(f"{done} of {total} VIFs {self._what}")
