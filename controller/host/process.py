"""When a process was started, which tells it from a later one of the same number."""

from __future__ import annotations

from pathlib import Path


def start_time(pid: int) -> int | None:
    """When a process was started, in clock ticks since boot; None when there is no such process, or it is a zombie.

    Source: proc(5), /proc/pid/stat, fields 3 and 22; the name in field 2 may hold spaces and parentheses.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
