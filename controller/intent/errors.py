"""Why something asked for is not done: one line a reason, each saying what, where and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class Rejected(ValueError):
    """What is asked for is wrong, or does not go with what is there; nothing was changed."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class NotInForce(Exception):
    """What was asked for was right, and has not come into force; the lines say where it hangs and what was done."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class Partly(NotInForce):
    """Of many things asked for, `done` (names) are in force, and the others are not there; the lines say why."""

    def __init__(self, lines: Iterable[str], done: Iterable[str]) -> None:
        super().__init__(lines)
        self.done = tuple(done)
