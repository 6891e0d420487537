"""Which QEMU there is, and how it is called. The kernel is emulated (TCG), so no privilege is needed, nor hardware."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.vm.packages import Packages, Unavailable, debian_codename

PROGRAM = "qemu-system-x86_64"
_PACKAGE = "qemu-system-x86"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


@dataclass(frozen=True, slots=True)
class Emulator:
    """argv: how it begins. environment: what it needs beside that of its caller. has_igb: a NIC with real SR-IOV."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    has_igb: bool = False


def installed() -> Emulator | None:
    path = shutil.which(PROGRAM)
    return _tried(Emulator((path,))) if path else None


def unpacked(directory: Path) -> Emulator | None:
    """The one that `fetch` put there."""
    program = directory / "usr" / "bin" / PROGRAM
    if not program.exists():
        return None
    libraries = directory / _LIBRARIES
    environment = {"LD_LIBRARY_PATH": str(libraries), "QEMU_MODULE_DIR": str(libraries / "qemu")}
    shared = directory / "usr" / "share"
    return _tried(Emulator((str(program), "-L", f"{shared / 'qemu'}", "-L", f"{shared / 'seabios'}"), environment))


def fetch(packages: Packages, into: Path) -> None:
    """Unpacks the QEMU of Debian's backports. Raises Unavailable."""
    codename = debian_codename()
    if codename is None:
        raise Unavailable("a newer QEMU is taken from Debian's backports, and this is another distribution")
    packages.fetch_with_needs(into, _PACKAGE, release=f"{codename}-backports")
    if (found := unpacked(into)) is None or not found.has_igb:
        raise Unavailable(f"the QEMU of {codename}-backports does not run here, or has no igb")


def _tried(emulator: Emulator) -> Emulator | None:
    """None when it does not start."""

    def asked(*question: str) -> bool:
        argv, environment = [*emulator.argv, "-machine", "none", *question], {**os.environ, **emulator.environment}
        return subprocess.run(argv, env=environment, capture_output=True, timeout=60, check=False).returncode == 0

    if not asked("-accel", "help"):
        return None
    return Emulator(emulator.argv, emulator.environment, has_igb=asked("-device", "igb,help"))
