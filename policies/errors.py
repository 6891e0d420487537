"""What is wrong with a policy, as values: each error knows its place, field, problem and remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.model import Position
from policies.wording import clipped

_LONGEST_PATH = 200  # characters; nobody writes one, but text made to hurt does
MAX_ERRORS = 1000  # more than anybody reads; bounds time and memory on hostile input


class BadValue(ValueError):
    """A text that does not mean what its field needs; whoever reads the field adds the place.

    `problem` and `remedy` are sentences without their full stop.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}.")
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a document: its position, and the way to it from the document's root."""

    at: Position
    parent: Place | None = None
    step: str = ""  # a key, or "[0]" in a list

    @property
    def path(self) -> str:
        """Like policies.red.rules[0].allow; "document" for the root."""
        steps: list[str] = []
        place: Place | None = self
        while place is not None and place.parent is not None:
            steps.append(clipped(place.step) if place.step.startswith("[") else f".{clipped(place.step)}")
            place = place.parent
        path = "".join(reversed(steps)).removeprefix(".") or "document"
        return path if len(path) <= _LONGEST_PATH else f"{path[:60]}...{path[-120:]}"


@dataclass(frozen=True, slots=True, order=True)
class PolicyError:
    """One thing that is wrong. Printed as the contract says: `FILE:LINE:COLUMN: path.to.field: problem. Remedy.`"""

    position: Position
    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.position}: {self.path}: {self.problem}. {self.remedy}."


class PolicyErrors(ValueError):
    """All that is wrong with a set of files, sorted by file, line and column; its text has one line an error."""

    def __init__(self, errors: Iterable[PolicyError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class TooManyErrors(Exception):
    """Raised by `Problems.add` when there is no point in looking further."""


class Problems:
    """Collects errors while reading goes on."""

    def __init__(self) -> None:
        self._errors: set[PolicyError] = set()

    def add(self, place: Place, problem: str, remedy: str) -> None:
        """Raises TooManyErrors after MAX_ERRORS."""
        if len(self._errors) >= MAX_ERRORS:
            raise TooManyErrors
        self._errors.add(PolicyError(place.at, place.path, problem, remedy))

    def __bool__(self) -> bool:
        return bool(self._errors)

    def raise_all(self) -> None:
        """Raises PolicyErrors if anything was added."""
        errors = sorted(self._errors)
        if len(errors) >= MAX_ERRORS:
            remedy = "Mend these first"
            errors.append(PolicyError(errors[-1].position, "document", f"more than {MAX_ERRORS} errors", remedy))
        if errors:
            raise PolicyErrors(errors)
