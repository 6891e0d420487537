"""A process of some instance, told from a later one of the same number by when it was started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """started: in ticks since boot, see `start_time`."""

    pid: int
    started: int

    @property
    def runs(self) -> bool:
        """Whether it is still there, and no other one of the same number."""
        return start_time(self.pid) == self.started

    @property
    def network(self) -> Path:
        return Path(f"/proc/{self.pid}/ns/net")


def start_time(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None when there is no such process, or it is a zombie.

    Source: proc(5), /proc/pid/stat, fields 3 and 22. The name in field 2 is what its owner likes: it may hold spaces
    and parentheses, and need not be text.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
