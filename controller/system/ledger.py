"""processes.json: what the supervisor last did to each process, for those who look (`weir status`)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.config import StateDir
from controller.system import processes


@dataclass(frozen=True, slots=True)
class Record:
    """pid None: not running when this was written. started_ticks: since boot; tells the process from a later one."""

    name: str
    pid: int | None = None
    started_ticks: int | None = None
    restarts: int = 0
    last_end: str | None = None  # how it last ended: "exit status 1", "killed by SIGSEGV"

    @property
    def runs(self) -> bool:
        """Whether the very process still runs, seen now."""
        return (
            self.pid is not None
            and self.started_ticks is not None
            and processes.is_running(self.pid, self.started_ticks)
        )


def path(directory: StateDir) -> Path:
    return directory.run / "processes.json"


def write(directory: StateDir, records: Iterable[Record]) -> None:
    """Replaces the file in one step."""
    fresh = path(directory).with_suffix(".new")
    fresh.write_text(json.dumps([asdict(record) for record in records], indent=2) + "\n")
    fresh.replace(path(directory))


def read(directory: StateDir) -> dict[str, Record]:
    """By name; {} when there is no ledger or none that can be read."""
    try:
        return {body["name"]: Record(**body) for body in json.loads(path(directory).read_text())}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
