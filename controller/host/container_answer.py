"""What a container runtime says of one container."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """pid: of its first process; 0: it does not run. state: in the runtime's words."""

    pid: int
    state: str


class Silent(Exception):
    """The runtime cannot be asked; says why. lasts: it took its time, and will again."""

    def __init__(self, reason: str, lasts: bool = False) -> None:
        super().__init__(reason)
        self.lasts = lasts
