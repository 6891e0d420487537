"""What can be said of a policy set that is right by the grammar: values, printed like errors. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from policies.errors import Place
from policies.model import Position

Severity = Literal["warning", "refusal"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One remark. refusal: the set is not applied with it. `problem` and `remedy` are sentences without full stop."""

    position: Position
    path: str
    problem: str
    remedy: str
    severity: Severity = "warning"

    @property
    def is_refusal(self) -> bool:
        return self.severity == "refusal"

    def __str__(self) -> str:
        return f"{self.position}: {self.path}: {self.problem}. {self.remedy}."

    def as_values(self) -> dict[str, str]:
        """For JSON."""
        return {
            "position": str(self.position),
            "path": self.path,
            "problem": self.problem,
            "remedy": self.remedy,
            "severity": self.severity,
        }


def field_path(at: Position, *steps: str) -> str:
    """The path of a field as error lines write it; a step is a key, or "[0]" in a list."""
    place = Place(at)
    for step in steps:
        place = Place(at, place, step)
    return place.path


def node_steps(path: str) -> tuple[str, ...]:
    """From the root of a document to a node: "acme/web" -> ("policies", "acme", "children", "web")."""
    steps = path.split("/")
    return ("policies", steps[0], *(part for step in steps[1:] for part in ("children", step)))
