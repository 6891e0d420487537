"""What the measuring processes hand over: JSON, in seconds and MiB."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PaperChange:
    """The pure part of a change. changed: entries and meters that it touches."""

    label: str
    changed: int
    parse_s: float
    compile_s: float
    diff_s: float


@dataclass(frozen=True, slots=True)
class Paper:
    """A case without a switch. yaml_s: libyaml's events of the text. of_rule: entries beside those of the bare case.

    peak_mib: of parsing and compiling, in a process that does no more.
    """

    entries: int
    of_rule: int
    yaml_s: float
    parse_s: float
    compile_s: float
    peak_mib: float
    changes: list[PaperChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LiveChange:
    """total_s: from the snapshot, its policy read, until the switch was read back."""

    label: str
    send_s: float
    read_back_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Live:
    """A case in a real controller process with a real switch.

    load_s: from the snapshot, its policy read, until the empty switch held everything and was read back. audit_*: a
    reading of the whole switch that finds all as it was, by the clock and of the processor.
    """

    load_s: float
    peak_mib: float
    audit_s: float
    audit_cpu_s: float
    changes: list[LiveChange] = field(default_factory=list)


def write(path: Path, figures: Paper | Live) -> None:
    path.write_text(json.dumps(asdict(figures)))


def read_paper(path: Path) -> Paper:
    found = json.loads(path.read_text())
    return Paper(**{**found, "changes": [PaperChange(**change) for change in found["changes"]]})


def read_live(path: Path) -> Live:
    found = json.loads(path.read_text())
    return Live(**{**found, "changes": [LiveChange(**change) for change in found["changes"]]})


def peak_mib(pid: str = "self") -> float:
    """The most memory that a process has had. Not ru_maxrss, in which the process that started it may count."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
