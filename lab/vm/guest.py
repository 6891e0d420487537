"""A guest that sees this machine's files, and runs one command in a kernel and on hardware of its own.

    done = run_in_guest(lab, [sys.executable, "-m", "pytest", ...], Needs(igb=True), record=directory)

The files are shown read-only, under a layer in the guest's memory: what it changes is gone with it. It finds the
directory WORK writable: what it leaves there stays in `record`. As root there, whoever runs it here.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.children import LabError
from lab.vm.machine import Boot, Machine
from lab.vm.prepare import Lab

WORK = Path("/run/weir-lab")
_INIT = Path(__file__).with_name("guest_init.sh")
_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_IGB = (  # two NICs on one wire, behind an IOMMU
    "-device", "intel-iommu,intremap=on", "-netdev", "hubport,id=wire1,hubid=1", "-netdev", "hubport,id=wire2,hubid=1",
    "-device", "pcie-root-port,id=slot1,slot=1", "-device", "igb,bus=slot1,netdev=wire1,mac=02:00:00:00:01:01",
    "-device", "pcie-root-port,id=slot2,slot=2", "-device", "igb,bus=slot2,netdev=wire2,mac=02:00:00:00:02:01",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hardware:
    """igb: two NICs with real virtual functions, 0000:01:00.0 and 0000:02:00.0, on one wire."""

    memory_mib: int = 1536
    processors: int = 1
    igb: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What the command ended with, and all that the console said."""

    status: int
    output: str


def run_in_guest(
    lab: Lab,
    argv: Sequence[str],
    record: Path,
    hardware: Hardware = Hardware(),
    environment: Mapping[str, str] | None = None,
    deadline_s: float = 300.0,
) -> Done:
    """Boots, runs the command where we are (the same directory), switches off.

    record: a directory for the console's log and what the command leaves in WORK. Raises LabError when the guest dies,
    or has not ended in time.
    """
    record.mkdir(parents=True, exist_ok=True)
    status_file, start = record / "status", record / "start"
    status_file.unlink(missing_ok=True)
    start.write_text(_start(argv, environment or {}))
    with tempfile.NamedTemporaryFile(prefix="weir-initrd-") as initrd:
        initrd.write(lab.kernel.initramfs(_INIT.read_bytes(), _MODULES))
        initrd.flush()
        iommu = "intel_iommu=on iommu=pt" if hardware.igb else ""
        boot = Boot(lab.kernel.image, Path(initrd.name), hardware.memory_mib, hardware.processors, iommu)
        shares = [
            *_share("root", Path("/"), "on"),
            *_share("modules", lab.kernel.modules, "on"),
            *_share("work", record, "off"),
        ]
        devices = [*shares, *(_IGB if hardware.igb else ())]
        with Machine(lab.emulator, boot, devices, record / "console.log") as machine:
            machine.await_end(deadline_s)
            output = "\n".join(machine.lines)
    if not status_file.exists():
        raise LabError(
            f"the virtual machine ended before the command did; see {record / 'console.log'}: {output[-500:]}"
        )
    return Done(int(status_file.read_text()), output)


def _share(tag: str, path: Path, read_only: str) -> list[str]:
    options = f"local,id={tag},path={path},security_model=none,multidevs=remap,readonly={read_only}"
    return ["-fsdev", options, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def _start(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """What the guest's first process does once it sees our files."""
    settings = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", **environment}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
    return (
        f"{exports}hostname vm\nip link set lo up\nulimit -n 65536\n"
        f"cd {shlex.quote(os.getcwd())} && {shlex.join(argv)}\n"
        f"echo $? > {WORK}/status.new\nmv {WORK}/status.new {WORK}/status\nsync\n/run/busybox poweroff -f\n"
    )
