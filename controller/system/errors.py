"""Why a system could not be started, stopped or looked at."""

from __future__ import annotations


class SystemFault(Exception):
    """Reads `what and where. Remedy.`, and is shown as it is. The remedy may end in lines of a log."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}" + ("" if "\n" in remedy or remedy.endswith("?") else "."))


class WrongRequest(SystemFault):
    """What was asked can never work: the input is wrong, not the machine."""
