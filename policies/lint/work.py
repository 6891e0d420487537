"""A bound on what one run of the linter costs, whatever it is given. Pure."""

from __future__ import annotations


class OutOfWork(Exception):
    """The bound is reached."""


class Work:
    """What may still be spent, in look-ups of about half a microsecond."""

    def __init__(self, most: int) -> None:
        self._left = most

    def spend(self, count: int) -> None:
        """Raises OutOfWork."""
        self._left -= count
        if self._left < 0:
            raise OutOfWork
