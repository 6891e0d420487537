"""A small virtual machine behind a VIF: a real kernel in QEMU, which boots in seconds and runs what it is told.

with Guest(namespace, ["-netdev", "tap,...", "-device", "virtio-net-pci,..."]) as guest:
    guest.run("ip address add 10.0.0.2/24 dev eth0 && ip link set eth0 up")
    guest.run("ping -c 1 10.0.0.1")
"""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lab.children import Child, Hosted, LabError, as_user, wait_until
from lab.vm.cpio import Member
from lab.vm.prepare import Lab, prepare

_HERE = Path(__file__).parent
_MODULES = ("virtio_pci", "virtio_net")
_KERNEL_ARGUMENTS = "console=ttyS0 quiet loglevel=0 panic=-1 mitigations=off random.trust_cpu=on net.ifnames=0"
_READY = "guest: ready"
_ENDED = re.compile(r"guest: (\d+) ended with (\d+)")
BOOT_S = 90.0
COMMAND_S = 30.0


class Guest(Hosted):
    """Emulated, so it needs no hardware; the speed of its network says nothing.

    devices: QEMU arguments. shared_memory: what a vhost-user port needs of it. user: id of who runs QEMU.
    """

    def __init__(
        self, namespace: str, devices: Sequence[str], shared_memory: bool = False, user: int = 0, memory_mb: int = 160
    ) -> None:
        self._namespace, self._devices, self._user = namespace, list(devices), user
        self._memory = ["-m", str(memory_mb)]
        if shared_memory:
            self._memory += ["-object", f"memory-backend-memfd,id=shared,size={memory_mb}M,share=on"]
        self._machine = "q35,memory-backend=shared" if shared_memory else "q35"
        self._numbers = itertools.count(1)
        self._heard = threading.Condition()
        self._lines: list[str] = []
        self._boots = 0

    def __enter__(self) -> Guest:
        lab = _lab()
        self._directory = Path(tempfile.mkdtemp(prefix="guest-", dir="/tmp"))
        self._directory.chmod(0o755)  # for a QEMU of another user
        try:
            archive = self._directory / "initramfs"
            archive.write_bytes(_initramfs())
            self._child = Child(self._namespace, self._argv(lab, archive), self._on_line)
        except BaseException:
            shutil.rmtree(self._directory)
            raise
        try:
            self.await_boot(1)
        except BaseException:
            self.end()
            raise
        return self

    @property
    def runs(self) -> bool:
        return self._child.runs

    def run(self, command: str, deadline_s: float = COMMAND_S) -> str:
        """What a shell command of one line says. Raises LabError when it fails or does not end."""
        status, said = self.attempt(command, deadline_s)
        if status != 0:
            raise LabError(f"guest: {command}: ended with {status}: {said.strip()}")
        return said

    def attempt(self, command: str, deadline_s: float = COMMAND_S) -> tuple[int, str]:
        """Exit status of a shell command of one line, and what it said. Raises LabError when it does not end."""
        number = next(self._numbers)
        with self._heard:
            self._lines.clear()
            self._child.tell(f"{number} {command}")
            ended = self._heard.wait_for(lambda: not self.runs or self._status(number) is not None, deadline_s)
            status = self._status(number)
            if not ended or status is None:
                raise self._child.fault(f"{command}: " + (f"not within {deadline_s:g} s" if self.runs else "it ended"))
            return status, "\n".join(self._lines[:-1])

    def reboot(self) -> None:
        """The machine is reset, as by a watchdog; returns when it is up again. QEMU goes on."""
        boots = self._boots
        with self._heard:
            self._child.tell(f"{next(self._numbers)} reboot -f")
        self.await_boot(boots + 1)

    def await_boot(self, boots: int) -> None:
        """Returns when the machine has come up that often."""
        wait_until(lambda: self._boots >= boots or not self.runs, f"the guest's boot {boots}", BOOT_S)
        if not self.runs:
            raise self._child.fault("QEMU has ended")

    def _status(self, number: int) -> int | None:
        found = _ENDED.fullmatch(self._lines[-1]) if self._lines else None
        return int(found[2]) if found and int(found[1]) == number else None

    def _on_line(self, line: str) -> None:
        with self._heard:
            text = line.strip()
            self._lines.append(text)
            self._boots += text.endswith(_READY)
            self._heard.notify_all()

    def _argv(self, lab: Lab, archive: Path) -> list[str]:
        settings = [f"{name}={value}" for name, value in lab.emulator.environment.items()]
        return [
            *(as_user(self._user) if self._user else ()), *(["env", *settings] if settings else []), *lab.emulator.argv,
            "-accel", "tcg,tb-size=64", "-machine", self._machine, "-cpu", "max,-erms,-fsrm", *self._memory,
            "-nodefaults", "-display", "none", "-monitor", "none",
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            "-kernel", str(lab.kernel.image), "-initrd", str(archive), "-append", _KERNEL_ARGUMENTS, *self._devices,
        ]  # fmt: skip


@cache
def _lab() -> Lab:
    return prepare()


@cache
def _initramfs() -> bytes:
    lease = Member("lease", (_HERE / "guest_lease.sh").read_bytes())
    return _lab().kernel.initramfs((_HERE / "guest_init.sh").read_bytes(), _MODULES, [lease])
