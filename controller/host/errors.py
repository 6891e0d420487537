"""What the agent could not do, and what to do about it."""

from __future__ import annotations


class HostError(Exception):
    """Reads `what and where. Remedy.`; goes into the Weir DB as it is, where the one who asked reads it.

    Neither argument ends in a stop.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}.")
        self.problem = problem
        self.remedy = remedy
